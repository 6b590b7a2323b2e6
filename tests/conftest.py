"""A home for Airflow that no test shares with a real one, set before anything imports ``airflow``."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import settings

if TYPE_CHECKING:
    import pytest

if "airflow" in sys.modules:
    msg = "airflow was imported before tests/conftest.py could give it a home of its own"
    raise RuntimeError(msg)

#: Every room may keep its stores in either database, and run DAGs.
pytest_plugins = ("airflow_databases", "databases")

_HOME = Path(tempfile.mkdtemp(prefix="airflow-home-"))

# Whatever the developer has configured must not reach the tests.
for _name in [name for name in os.environ if name.startswith("AIRFLOW")]:
    del os.environ[_name]

os.environ.update(
    AIRFLOW_HOME=str(_HOME),
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__CORE__UNIT_TEST_MODE="False",
    AIRFLOW__CORE__DAGS_FOLDER=str(Path(__file__).parent.parent / "dags"),
    AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=f"sqlite:///{_HOME / 'airflow.db'}",
)

# How long an example takes says more about what else the machine does than about the code.
settings.register_profile("without deadlines", deadline=None)
settings.load_profile("without deadlines")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let what takes longest begin: no worker is to be left with it when the others are done."""
    items.sort(key=_minutes, reverse=True)


def _minutes(item: pytest.Item) -> float:
    heavy = item.get_closest_marker("heavy")
    return heavy.kwargs.get("minutes", 0.0) if heavy else 0.0


def pytest_unconfigure() -> None:
    """Remove the home again."""
    shutil.rmtree(_HOME, ignore_errors=True)
