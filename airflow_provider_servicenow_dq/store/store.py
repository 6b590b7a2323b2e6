"""The store: one database, opened on first use, created and migrated by itself."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
import tenacity

from airflow_provider_servicenow_dq.exceptions import StoreError
from airflow_provider_servicenow_dq.store.network import network_file_system
from airflow_provider_servicenow_dq.store.schema import HEAD, VERSION_TABLE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import Connection, Engine

#: How long a writer waits for another one, in seconds.
BUSY_TIMEOUT_S: Final = 60

#: One number of our own, under which PostgreSQL lets one process migrate at a time.
_MIGRATION_LOCK: Final = 0x5E21CE

#: Alembic keeps what it works on in globals of the process.
_alembic_alone: Final = threading.Lock()


class Store:
    """Our memory: anomalies, tickets, links and the outbox.

    Threads may share a store; a forked child opens connections of its own.

    :param url: SQLAlchemy URL, ``sqlite:////path/to/file.db`` or ``postgresql+psycopg2://…``.
    :raises StoreError: If it is no URL.
    """

    def __init__(self, url: str | sa.URL) -> None:
        self._url = _parsed(url)
        self._engine: Engine | None = None
        self._pid = 0
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        # What libpq reads of the query may be a password, too.
        known = {name: value for name, value in self._url.query.items() if "password" not in name}
        return f"Store({self._url.set(query=known).render_as_string(hide_password=True)!r})"

    @contextlib.contextmanager
    def begin(self) -> Iterator[Connection]:
        """Open a transaction that commits at the end of the block and rolls back on an error.

        On SQLite it holds the write lock from its first statement, so what it read is still true when it
        writes. On PostgreSQL it locks rows, and does so in one order, else two wait for each other: claim,
        :func:`~.exclusive.alone`, tickets, anomalies, entries of the outbox; several of a kind in one
        statement, by their ids or keys; links and cases with their ticket, or alone.

        :raises StoreError: If the database cannot be opened.
        """
        engine = self._ready_engine()
        try:
            with engine.begin() as connection:
                yield connection
        except sa.exc.OperationalError as error:
            raise StoreError(f"{self!r} cannot be used: {error.orig}") from error

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """Open a transaction that only reads and sees one moment, however long it takes; nobody waits for it.

        :raises StoreError: If the database cannot be opened.
        """
        engine = self._ready_engine()
        try:
            with engine.connect() as connection:
                if connection.dialect.name == "postgresql":
                    connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
                connection.execution_options(only_reads=True)
                with connection.begin():
                    yield connection
        except sa.exc.OperationalError as error:
            raise StoreError(f"{self!r} cannot be used: {error.orig}") from error

    def revision(self) -> str | None:
        """Return the schema that the database has now, None if it has none; nothing is made or migrated.

        :raises StoreError: If the database cannot be opened.
        """
        if self._url.get_backend_name() == "sqlite" and not Path(self._url.database or "").exists():
            return None
        engine = _create_engine(self._url, repr(self))
        try:
            with engine.connect().execution_options(only_reads=True) as connection:
                return _current_revision(connection)
        except sa.exc.DBAPIError as error:
            raise StoreError(f"{self!r} cannot be opened: {error.orig}") from error
        finally:
            engine.dispose()

    def upgrade(self) -> None:
        """Bring the database to the schema of this version; a no-op when it is there.

        :raises StoreTooNewError: If a newer version of this package wrote it.
        """
        self._ready_engine()

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            if self._engine is not None:
                self._engine.dispose()
                self._engine = None

    def _ready_engine(self) -> Engine:
        with self._lock:
            if self._engine is None or self._pid != os.getpid():
                if self._engine is not None:
                    self._engine.dispose(close=False)  # the parent's connections are not ours to close
                engine = _create_engine(self._url, repr(self))
                _migrate(engine, repr(self))
                self._engine, self._pid = engine, os.getpid()
            return self._engine


def _parsed(url: str | sa.URL) -> sa.URL:
    try:
        parsed = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        # Not even a part of it is shown: what stands where the port should be may be the password.
        raise StoreError(
            "The store's address is no SQLAlchemy URL (special characters in it need %XX)"
        ) from None
    # Which driver the bare name means depends on SQLAlchemy's version; ours is that of our extra.
    return parsed.set(drivername="postgresql+psycopg2") if parsed.drivername == "postgresql" else parsed


def _create_engine(url: sa.URL, name: str) -> Engine:
    match url.get_backend_name():
        case "sqlite":
            return _sqlite_engine(url, name)
        case "postgresql":
            return _postgresql_engine(url, name)
    raise StoreError(f"{name} cannot be opened: a store is sqlite:///… or postgresql+psycopg2://…")


def _postgresql_engine(url: sa.URL, name: str) -> Engine:
    try:
        if url.get_dialect().is_async:
            raise StoreError(f"{name} cannot be opened: its driver is an asynchronous one")
        # Stated, because a server may be set to another one. That it suffices is said in claims.py.
        return sa.create_engine(
            url, pool_pre_ping=True, isolation_level="READ COMMITTED", hide_parameters=True
        )
    except sa.exc.NoSuchModuleError as error:
        raise StoreError(f"{name} cannot be opened: {error}") from error
    except ImportError as error:
        way_out = "install airflow-provider-servicenow-dq[postgres], or this driver"
        raise StoreError(f"{name} cannot be opened: {error}; {way_out}") from error


def _sqlite_engine(url: sa.URL, name: str) -> Engine:
    if url.database and (kind := network_file_system(Path(url.database))):
        raise StoreError(
            f"{name} cannot be opened: it is on a network file system ({kind}), where SQLite's write-ahead "
            f"log does not work. Name a local file or a PostgreSQL database in [servicenow_dq] store"
        )
    patient = {"timeout": BUSY_TIMEOUT_S, "check_same_thread": False}
    # What is stored is the users' data: it has no place in the text of an error.
    engine = sa.create_engine(url, connect_args=patient, hide_parameters=True)

    @sa.event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver must not begin transactions behind our back
        _use_wal(connection)
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA foreign_keys=ON")

    @sa.event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        only_reads = connection.get_execution_options().get("only_reads", False)
        connection.exec_driver_sql("BEGIN" if only_reads else "BEGIN IMMEDIATE")

    return engine


def _is_busy(error: BaseException) -> bool:
    # The low byte is the code, the rest says what about it (sqlite.org/rescode.html).
    return (
        isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
    )


@tenacity.retry(
    retry=tenacity.retry_if_exception(_is_busy),
    stop=tenacity.stop_after_delay(BUSY_TIMEOUT_S),
    wait=tenacity.wait_random(0.01, 0.1),
    reraise=True,
)
def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch to the write-ahead log, in which readers do not wait for a writer.

    While another process does the same SQLite refuses it at once, whatever the timeout.
    """
    if connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
        connection.execute("PRAGMA journal_mode=WAL")


def _migrate(engine: Engine, name: str) -> None:
    try:
        with engine.connect().execution_options(only_reads=True) as connection:
            # Nearly always so, and nobody who writes has to be waited for.
            if _current_revision(connection) == HEAD:
                return
        with engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(sa.text("SELECT pg_advisory_xact_lock(:n)"), {"n": _MIGRATION_LOCK})
            current = _current_revision(connection)
            if current != HEAD:
                from airflow_provider_servicenow_dq.store.migrations import run  # noqa: PLC0415 (Alembic is heavy)

                with _alembic_alone:
                    run.upgrade(connection, current=current, name=name)
    except sa.exc.DBAPIError as error:
        raise StoreError(f"{name} cannot be opened: {error.orig}") from error


def _current_revision(connection: Connection) -> str | None:
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    revision: str | None = connection.execute(
        sa.select(sa.column("version_num")).select_from(sa.table(VERSION_TABLE))
    ).scalar()
    return revision
