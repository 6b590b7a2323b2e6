"""The store makes and migrates its database by itself, whoever comes first."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
import threading

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from airflow_provider_servicenow_dq.exceptions import StoreError, StoreTooNewError
from airflow_provider_servicenow_dq.store import instances, outbox, schema, tickets
from airflow_provider_servicenow_dq.store.migrations import run
from airflow_provider_servicenow_dq.store.store import Store

_fork = multiprocessing.get_context("fork")


@pytest.fixture
def url(empty_store_url):
    """Here the stores are as new as their first user finds them."""
    return empty_store_url


@pytest.fixture
def sqlite_file(tmp_path):
    """A file for what only SQLite can do wrong."""
    return tmp_path / "only.db"


@pytest.fixture
def sqlite_store(sqlite_file):
    store = Store(f"sqlite:///{sqlite_file}")
    yield store
    store.close()


def differences(store):
    """Return what Alembic would have to change to make the database the one that schema.py describes."""
    with store.begin() as connection:
        options = {"compare_type": True, "version_table": schema.VERSION_TABLE}
        context = MigrationContext.configure(connection, opts=options)
        return compare_metadata(context, schema.metadata)


def columns(connection):
    """Return every column, key and index of our tables, as the database itself sees them."""
    inspector = sa.inspect(connection)
    return {
        table: (
            [(each["name"], str(each["type"]), each["nullable"]) for each in inspector.get_columns(table)],
            inspector.get_pk_constraint(table),
            sorted(inspector.get_unique_constraints(table), key=str),
            sorted(inspector.get_foreign_keys(table), key=str),
            sorted(inspector.get_indexes(table), key=str),
        )
        for table in schema.metadata.tables
    }


versions = sa.table(schema.VERSION_TABLE, sa.column("version_num"))


def set_version(url, version):
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(versions.update().values(version_num=version))
    engine.dispose()


def version(store):
    with store.begin() as connection:
        return connection.execute(sa.select(versions)).scalar_one()


def test_the_first_use_makes_the_file(sqlite_store, sqlite_file):
    assert not sqlite_file.exists()

    sqlite_store.upgrade()

    assert sqlite_file.exists()


def test_the_first_use_makes_the_tables(store):
    with store.begin() as connection:
        assert set(sa.inspect(connection).get_table_names()) == {
            *schema.metadata.tables,
            schema.VERSION_TABLE,
        }

    assert version(store) == schema.HEAD


def test_the_migrations_make_the_tables_of_the_schema(store):
    assert differences(store) == []


def test_the_migrations_make_what_sqlalchemy_would_make_of_the_schema(store):
    with store.begin() as connection:
        migrated = columns(connection)
        schema.metadata.drop_all(connection)
        schema.metadata.create_all(connection)

        assert migrated == columns(connection)


def test_a_store_that_exists_keeps_what_is_in_it(open_store):
    with open_store().begin() as connection:
        instances.learn(connection, "acme", conn_id="servicenow_default")

    with open_store().begin() as connection:
        assert instances.get(connection, "acme").conn_id == "servicenow_default"


def test_a_store_of_a_newer_version_is_refused_in_words_that_name_the_way_out(store, open_store, url):
    store.upgrade()
    set_version(url, "9999")

    with pytest.raises(StoreTooNewError, match="schema '9999'") as refusal, open_store().begin():
        pass

    words = str(refusal.value)
    assert "upgrade the package" in words
    assert "[servicenow_dq] store" in words


def test_a_refused_store_is_left_as_it_was(store, open_store, url):
    store.upgrade()
    set_version(url, "9999")

    with pytest.raises(StoreTooNewError):
        open_store().upgrade()

    assert version(store) == "9999"


def test_in_sqlite_readers_do_not_wait_for_a_writer(sqlite_store):
    with sqlite_store.begin() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar_one() == 1


def test_the_first_use_waits_for_another_process_that_is_just_making_the_store(sqlite_store, sqlite_file):
    other = sqlite3.connect(sqlite_file, isolation_level=None, check_same_thread=False)
    other.execute("CREATE TABLE other (x)")
    other.execute("BEGIN IMMEDIATE")
    threading.Timer(0.3, other.rollback).start()

    sqlite_store.upgrade()

    assert version(sqlite_store) == schema.HEAD
    other.close()


def test_what_is_read_in_a_transaction_on_sqlite_is_still_true_when_it_writes(sqlite_store, sqlite_file):
    sqlite_store.upgrade()
    other = sa.create_engine(f"sqlite:///{sqlite_file}", connect_args={"timeout": 0})

    with (
        sqlite_store.begin(),
        pytest.raises(sa.exc.OperationalError, match="locked"),
        other.begin() as connection,
    ):
        connection.exec_driver_sql("INSERT INTO dq_instance (host) VALUES ('acme')")
    other.dispose()


def test_an_error_rolls_the_transaction_back(store):
    def learn_and_fail():
        with store.begin() as connection:
            instances.learn(connection, "acme", conn_id="servicenow_default")
            raise KeyError

    with pytest.raises(KeyError):
        learn_and_fail()

    with store.begin() as connection:
        assert instances.get(connection, "acme").conn_id is None


def _record(url, barrier, draft, number, now):
    store = Store(url)
    barrier.wait()
    with store.begin() as connection:
        outbox.record(
            connection, [draft(f"report|{number}"), draft("report|shared")], recorded_by=str(number), now=now
        )


def test_twenty_processes_may_open_a_new_store_at_once(url, draft, now, open_store):
    barrier = _fork.Barrier(20, timeout=30)
    crowd = [_fork.Process(target=_record, args=(url, barrier, draft, number, now)) for number in range(20)]
    for process in crowd:
        process.start()
    for process in crowd:
        process.join()

    assert [process.exitcode for process in crowd] == [0] * 20
    with open_store().begin() as connection:
        intents = connection.execute(sa.select(schema.outbox.c.idempotency_key)).scalars().all()
    assert sorted(intents) == sorted([*(f"report|{number}" for number in range(20)), "report|shared"])


def _own_connections(store, parents, answers):
    with store.begin() as connection:
        answers.put((connection.connection.dbapi_connection is parents, who_asks(connection), os.getpid()))


def who_asks(connection):
    """Return which process of the server answers a connection; SQLite has none."""
    if connection.dialect.name == "sqlite":
        return None
    return connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()


def test_a_forked_child_opens_connections_of_its_own(store):
    with store.begin() as connection:
        parents, backend = connection.connection.dbapi_connection, who_asks(connection)
    answers = _fork.SimpleQueue()
    child = _fork.Process(target=_own_connections, args=(store, parents, answers))
    child.start()
    child.join()

    assert child.exitcode == 0
    shared, childs_backend, pid = answers.get()
    assert (shared, pid) == (False, child.pid)
    assert backend is None or childs_backend != backend
    with store.begin() as connection:
        assert connection.connection.dbapi_connection is parents
        assert who_asks(connection) == backend


@pytest.fixture
def first_version(url):
    """A store as the first version left it, with something in every column that has changed since."""
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        run.upgrade(connection, current=None, name="store", to="0001")
        connection.exec_driver_sql("INSERT INTO dq_instance VALUES ('acme', true, 'svc_airflow')")
        connection.exec_driver_sql("INSERT INTO dq_instance VALUES ('other', NULL, NULL)")
        connection.exec_driver_sql(
            "INSERT INTO dq_ticket (instance, table_name, sys_id, correlation_id, number, state, record, "
            "created_by_us, seen, seen_at_note, noted_at, severity, changed_at) VALUES ('acme', 'incident', "
            "'1', 'dq:1', 'INC1', '1', '{}', true, 1, 1, '2026-01-05', 'high', '2026-01-05')"
        )
        connection.exec_driver_sql("INSERT INTO dq_known_note VALUES (1, 'hash', 2)")
    engine.dispose()


def test_a_store_of_the_first_version_becomes_one_of_this_and_keeps_what_it_knows(store, first_version):
    assert differences(store) == []
    assert version(store) == schema.HEAD
    with store.begin() as connection:
        migrated = columns(connection)
        assert instances.get(connection, "acme") == instances.Instance("acme", honours_sys_id=True)
        assert instances.user_names(connection, "acme") == {"user:svc_airflow": "svc_airflow"}
        assert instances.user_names(connection, "other") == {}
        assert tickets.known_notes(connection, 1) == {"hash": 2}
        assert not tickets.claim_note(connection, 1, "hash")
        schema.metadata.drop_all(connection)
        schema.metadata.create_all(connection)

        assert {table: sorted(columns[0]) for table, columns in migrated.items()} == {
            table: sorted(made[0]) for table, made in columns(connection).items()
        }


def _open(url, barrier):
    store = Store(url)
    barrier.wait()
    with store.begin() as connection:
        assert instances.get(connection, "acme").honours_sys_id


def test_ten_processes_may_open_an_old_store_at_once(url, first_version, store):
    barrier = _fork.Barrier(10, timeout=30)
    crowd = [_fork.Process(target=_open, args=(url, barrier)) for _ in range(10)]
    for process in crowd:
        process.start()
    for process in crowd:
        process.join()

    assert [process.exitcode for process in crowd] == [0] * 10
    assert version(store) == schema.HEAD


def test_a_file_that_is_no_database_is_an_error_in_words(sqlite_store, sqlite_file):
    sqlite_file.write_text("not a database, whatever its name says" * 100)

    with pytest.raises(StoreError, match="not a database"):
        sqlite_store.upgrade()
