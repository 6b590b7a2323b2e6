"""Problems to report, and looking at what came of it."""

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


def problem(check: str, hour: int = 0, **fields: Any) -> Anomaly:
    """Return an anomaly; ``hour`` is when it was detected, and so which occurrence it is."""
    detected_at = datetime(2026, 1, 5, tzinfo=UTC) + timedelta(hours=hour)
    given = {"dataset": "nyc.flights", "severity": "high", "detected_at": detected_at, **fields}
    return Anomaly(source="custom", check_name=check, **given)


def report(desk: Desk, *problems: Anomaly, run: str = "run", **rules: Any) -> Opening:
    """Report problems as a task of a DAG would."""
    return open_tickets(desk, problems, order=Order(Project(**rules)), run=Run("dag", run, "task"))


def incidents(sandbox: Sandbox) -> list[dict[str, str]]:
    """Return the incidents that we opened."""
    return [record for record in sandbox.records("incident") if record["correlation_id"].startswith("dq:")]


def writes(sandbox: Sandbox) -> list[str]:
    return [logged.method for logged in sandbox.requests if logged.method != "GET"]
