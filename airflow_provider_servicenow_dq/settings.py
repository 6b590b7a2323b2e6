"""The only reader of Airflow's configuration: our section ``[servicenow_dq]``, and who runs the tasks."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from airflow_provider_servicenow_dq.exceptions import ServiceNowConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

SECTION: Final = "servicenow_dq"

DEFAULT_CONN_ID: Final = "servicenow_default"

#: Who may write through the REST routes: whoever may edit connections, or whoever may edit DAGs.
WriteAccess = Literal["connection", "dag"]

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


def default_conn_id() -> str:
    """Return the connection to use where a request names none."""
    return _get(SECTION, "default_conn_id") or DEFAULT_CONN_ID


def write_access() -> WriteAccess:
    """Return what somebody must be allowed in Airflow to write through the REST routes.

    :raises ServiceNowConfigError: If the setting is none of the two.
    """
    match _get(SECTION, "write_access").lower():
        case "" | "connection":
            return "connection"
        case "dag":
            return "dag"
        case other:
            raise ServiceNowConfigError(f"[{SECTION}] write_access must be connection or dag, not {other!r}")


def base_url() -> str:
    """Return the address at which browsers find Airflow, empty where nobody has said."""
    return _get("api", "base_url")


def lets_everybody_in() -> bool:
    """Whether Airflow takes whoever comes for an administrator, without a login."""
    return _get("core", "simple_auth_manager_all_admins").lower() in {"true", "t", "1"}


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
