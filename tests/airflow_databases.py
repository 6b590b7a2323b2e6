"""A metadata database for Airflow: migrated once in a test run, and copied for an Airflow of its own."""

from __future__ import annotations

import contextlib
import functools
import sqlite3
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(scope="session")
def airflow_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Migrate the database of this test run's own Airflow, once; return a copy that nobody has used."""
    from airflow import settings
    from airflow.utils.db import initdb

    initdb()
    _make_the_api_of_tasks_once()
    unused = tmp_path_factory.mktemp("airflow") / "unused.db"
    used = settings.engine.url.database
    # Unlike a copy of the file, it has what SQLite still holds in its log.
    with (
        contextlib.closing(sqlite3.connect(unused)) as copy,
        contextlib.closing(sqlite3.connect(used)) as ours,
    ):
        ours.backup(copy)
    return unused


def _make_the_api_of_tasks_once() -> None:
    """Let ``dag.test`` of Airflow 3.2 keep what it makes for each task anew, in seconds; 3.3 does so."""
    from airflow.sdk.execution_time import supervisor

    make = supervisor.in_process_api_server
    if not hasattr(make, "cache_info"):
        supervisor.in_process_api_server = functools.lru_cache(maxsize=1)(make)


@pytest.fixture
def new_airflow_database(airflow_database: Path) -> Callable[[Path], str]:
    """Make a migrated database in a folder; return its URL."""

    def make(folder: Path) -> str:
        file = folder / "airflow.db"
        file.write_bytes(airflow_database.read_bytes())
        return f"sqlite:///{file}"

    return make
