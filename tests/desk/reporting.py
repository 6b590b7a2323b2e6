"""Anomalies to report, reporting them, and looking at what came of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_servicenow_dq.anomalies.model import Anomaly
from airflow_provider_servicenow_dq.desk.desk import Desk, Run
from airflow_provider_servicenow_dq.desk.open import Opening, open_tickets
from airflow_provider_servicenow_dq.desk.order import Order
from airflow_provider_servicenow_dq.projects.project import Project

if TYPE_CHECKING:
    from airflow_provider_servicenow_dq.sandbox.server import Sandbox


def anomaly(check: str = "dep_time not null", hour: int | None = 0, **fields: Any) -> Anomaly:
    """Return an anomaly; ``hour`` is when it was detected, and so which occurrence it is."""
    detected_at = None if hour is None else datetime(2026, 1, 5, tzinfo=UTC) + timedelta(hours=hour)
    return Anomaly(
        **{
            "source": "custom",
            "dataset": "nyc.flights",
            "check_name": check,
            "severity": "high",
            "detected_at": detected_at,
            **fields,
        }
    )


def report(
    desk: Desk,
    *anomalies: Anomaly,
    run: str = "run",
    task: str = "task",
    order: Order | None = None,
    **rules: Any,
) -> Opening:
    """Report anomalies as a task of a DAG would."""
    order = order or Order(Project(**rules))
    return open_tickets(desk, anomalies, order=order, run=Run("dag", run, task))


def actions(opening: Opening) -> list[str]:
    return [result["action"] for result in opening.results]


def writes(sandbox: Sandbox) -> list[str]:
    return [logged.method for logged in sandbox.requests if logged.method != "GET"]


def incidents(sandbox: Sandbox) -> list[dict[str, str]]:
    """Return the incidents that we opened."""
    return [record for record in sandbox.records("incident") if record["correlation_id"].startswith("dq:")]
