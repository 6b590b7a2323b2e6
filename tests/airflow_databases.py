"""A metadata database for Airflow: migrated once in a test run, and copied for an Airflow of its own."""

from __future__ import annotations

import contextlib
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
    unused = tmp_path_factory.mktemp("airflow") / "unused.db"
    used = settings.engine.url.database
    # Unlike a copy of the file, it has what SQLite still holds in its log.
    with (
        contextlib.closing(sqlite3.connect(unused)) as copy,
        contextlib.closing(sqlite3.connect(used)) as ours,
    ):
        ours.backup(copy)
    return unused


@pytest.fixture
def new_airflow_database(airflow_database: Path) -> Callable[[Path], str]:
    """Make a migrated database in a folder; return its URL."""

    def make(folder: Path) -> str:
        file = folder / "airflow.db"
        file.write_bytes(airflow_database.read_bytes())
        # Several programs write to it: on a busy machine one waits for another longer than SQLite's 5 s.
        return f"sqlite:///{file}?timeout=60"

    return make
