"""What ``store check`` knows of a store."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from airflow_provider_servicenow_dq.store import claims, outbox, schema
from airflow_provider_servicenow_dq.store.care import examine
from airflow_provider_servicenow_dq.store.store import Store


@pytest.fixture
def look(store, now):
    def examine_now():
        with store.snapshot() as connection:
            return examine(connection, now=now)

    return examine_now


def test_a_new_store_is_sound_and_empty(look):
    health = look()

    assert health.wrong == []
    assert set(health.rows) == set(schema.metadata.tables)
    assert not any([*health.rows.values(), *health.entries.values()])
    assert (health.oldest_waiting, health.left_claims) == (None, 0)


def test_it_counts_what_is_there_and_knows_how_long_something_waits(store, look, draft, address, now):
    with store.begin() as connection:
        _, dead = (
            outbox.record(connection, [draft(name)], recorded_by="t", now=now - timedelta(hours=hours))[0]
            for name, hours in (("old", 5), ("dead", 9))
        )
        outbox.settle(connection, [dead.id], state=outbox.DEAD, now=now)
        claims.take(connection, address, now=now - timedelta(hours=1), lease=timedelta(minutes=1))

    health = look()

    assert (health.entries["pending"], health.entries["dead"], health.rows["dq_outbox"]) == (1, 1, 2)
    assert health.oldest_waiting == now - timedelta(hours=5)
    assert health.left_claims == 1
    assert health.wrong == []


@pytest.mark.parametrize(
    ("spoil", "words"),
    [({"state": "sending"}, "not written down what"), ({"state": "lost"}, "a state that does not exist")],
)
def test_what_no_version_writes_is_wrong(store, look, draft, now, spoil, words):
    with store.begin() as connection:
        outbox.record(connection, [draft()], recorded_by="t", now=now)
        connection.execute(schema.outbox.update().values(**spoil))

    (wrong,) = look().wrong
    assert words in wrong


def test_a_damaged_sqlite_file_is_wrong(tmp_path, draft, now):
    store = Store(f"sqlite:///{tmp_path / 'damaged.db'}")
    with store.begin() as connection:
        outbox.record(connection, [draft()], recorded_by="t", now=now)
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'damaged.db'}")
    with engine.begin() as connection:  # without foreign keys
        connection.exec_driver_sql("UPDATE dq_outbox SET ticket_id = 99")
    engine.dispose()

    with store.snapshot() as connection:
        (wrong,) = examine(connection, now=now).wrong
    store.close()
    assert "foreign_key_check: dq_outbox" in wrong


def test_a_look_at_the_revision_makes_and_migrates_nothing(tmp_path):
    path = tmp_path / "not-yet.db"
    store = Store(f"sqlite:///{path}")

    assert store.revision() is None
    assert not path.exists()
    store.upgrade()
    assert store.revision() == schema.HEAD
    store.close()
