"""The only reader of Airflow's configuration: the section ``[servicenow_dq]``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from airflow_provider_servicenow_dq.exceptions import ServiceNowConfigError

SECTION: Final = "servicenow_dq"


def store_url() -> str:
    """Return the SQLAlchemy URL of the store; by default a SQLite file in ``AIRFLOW_HOME``.

    :raises ServiceNowConfigError: If ``[servicenow_dq] store`` is no URL.
    """
    url = _get("store")
    if not url:
        home = Path(os.environ.get("AIRFLOW_HOME") or "~/airflow").expanduser().absolute()
        return f"sqlite:///{home / 'servicenow_dq.db'}"
    if "://" not in url:
        raise ServiceNowConfigError(
            "[servicenow_dq] store must be a SQLAlchemy URL such as sqlite:////var/lib/airflow/servicenow_dq.db"
        )
    return url


def namespace() -> str:
    """Return the environment's name, which is part of every key."""
    return _get("namespace")


def _get(option: str) -> str:
    from airflow.sdk import conf  # noqa: PLC0415 (a DAG file that only parses does not need it)

    value: str = conf.get(SECTION, option, fallback="") or ""
    return value.strip()
