"""The only reader of Airflow's configuration: our section ``[servicenow_dq]``, and who runs the tasks."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

SECTION: Final = "servicenow_dq"

#: They run tasks on the machine on which they run.
_LOCAL_EXECUTORS: Final = frozenset(
    {"LocalExecutor", "SequentialExecutor", "DebugExecutor", "InProcessExecutor"}
)


def store() -> str:
    """Return what names the store: a SQLAlchemy URL, or the id of an Airflow connection.

    By default it is the URL of a SQLite file in ``AIRFLOW_HOME``.
    """
    named = _get(SECTION, "store")
    if named:
        return named
    return f"sqlite:///{_home() / 'servicenow_dq.db'}"


def namespace() -> str:
    """Return the environment's name, which is part of every key."""
    return _get(SECTION, "namespace")


def projects_file() -> Path | None:
    """Return the YAML file of projects for all connections, if there is one; relative to ``AIRFLOW_HOME``."""
    named = _get(SECTION, "projects_file")
    return _home() / Path(named).expanduser() if named else None


def has_remote_executor() -> bool:
    """Whether tasks may run on other machines than the scheduler's; an executor we do not know may do so."""
    # Such a pod is itself told that its executor is the local one.
    return bool(os.environ.get("AIRFLOW_IS_K8S_EXECUTOR_POD")) or not _LOCAL_EXECUTORS.issuperset(
        _executors()
    )


def _home() -> Path:
    return Path(os.environ.get("AIRFLOW_HOME") or "~/airflow").expanduser().absolute()


def _executors() -> Iterator[str]:
    """Yield the executors of all teams: ``LocalExecutor,alias:my.module.Executor;team=CeleryExecutor``."""
    for team in _get("core", "executor").split(";"):
        for name in team.rpartition("=")[2].split(","):
            if executor := name.rpartition(":")[2].strip():
                yield executor.removeprefix("airflow.executors.local_executor.")


def _get(section: str, option: str) -> str:
    from airflow.sdk import conf  # noqa: PLC0415 (a DAG file that only parses does not need it)

    value: str = conf.get(section, option, fallback="") or ""
    return value.strip()
