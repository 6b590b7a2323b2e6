"""What a task does in a process of its own, and what befalls it there."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import points
from histories import TIMEOUT_S, History

from airflow_provider_servicenow_dq.anomalies.model import Anomaly, Comment
from airflow_provider_servicenow_dq.client.config import InstanceConfig
from airflow_provider_servicenow_dq.client.names import Names
from airflow_provider_servicenow_dq.client.table import TableApi
from airflow_provider_servicenow_dq.client.transport import Transport
from airflow_provider_servicenow_dq.desk.clear import deliver_waiting
from airflow_provider_servicenow_dq.desk.desk import Desk, Run
from airflow_provider_servicenow_dq.desk.link import link_anomalies
from airflow_provider_servicenow_dq.desk.open import open_tickets
from airflow_provider_servicenow_dq.desk.order import Order
from airflow_provider_servicenow_dq.desk.pull import pull
from airflow_provider_servicenow_dq.desk.push import push_comments, push_status
from airflow_provider_servicenow_dq.exceptions import ServiceNowError
from airflow_provider_servicenow_dq.projects.project import Project
from airflow_provider_servicenow_dq.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

#: A paused process wakes after its lease and before the time in which an instance ends a request is over.
_SLEPT_S: Final = 2.3 * TIMEOUT_S

Task = dict[str, Any]


def work(history: History, task: Task, *, url: str, store: str, theirs: str) -> dict[str, Any]:
    """Do what a task of a history does; return what it was told, and how it goes on.

    :param url: The instance.
    :param store: URL of the store.
    :param theirs: Number of the ticket that a person has opened.
    """
    run = Run("dag", task.get("run", "sync"), task.get("task", "deliver"))
    config = InstanceConfig(url, login="svc_airflow", password="airflow-secret", timeout_s=TIMEOUT_S)
    with Transport(config) as transport:
        table_api = TableApi(transport)
        desk = Desk(config, table_api, Names(table_api), Store(store))
        if task["what"] == "deliver":
            clearing = deliver_waiting(desk, run)
            return {"results": [], "failures": clearing.causes, "wait": clearing.retry_after or 0.0,
                    "pending": bool(clearing.causes) and not clearing.refused}  # fmt: skip
        try:
            if task["what"] == "pull":
                pull(desk, Project(**history.rules))
                return {"results": [], "failures": [], "wait": 0.0, "pending": False}
            came = _tell(desk, history, task, run, theirs)
        except ServiceNowError as error:
            # Nothing is written down yet: the task fails, and runs again.
            wait = getattr(error, "retry_after", None) or 0.0
            return {"results": [], "failures": [str(error)], "wait": wait, "pending": True}
        waits = [getattr(error, "retry_after", None) or 0.0 for error in came.pending]
        return {"results": came.results, "failures": came.failures, "pending": bool(came.pending),
                "wait": max(waits, default=0.0)}  # fmt: skip


def _tell(desk: Desk, history: History, task: Task, run: Run, theirs: str) -> Any:
    rules = Project(**history.rules)
    match task["what"]:
        case "report":
            found = [_anomaly(*each) for each in task["anomalies"]]
            return open_tickets(desk, found, order=Order(rules, history.columns), run=run)
        case "status":
            changed = datetime(2026, 2, 1, tzinfo=UTC) + timedelta(minutes=task["minute"])
            fact = _anomaly(task["check"], status=task["status"], status_changed_at=changed)
            return push_status(desk, [fact], run=run, project=rules)
        case "link":
            return link_anomalies(desk, [_anomaly(task["check"])], incident=theirs, run=run, project=rules)
    comments = [Comment(id=name, body=text) for name, text in task["comments"]]
    return push_comments(desk, [_anomaly(task["check"], comments=comments)], run=run, project=rules)


def _anomaly(check: str, hour: int | None = None, severity: str = "high", **fields: Any) -> Anomaly:
    detected_at = None if hour is None else datetime(2026, 1, 5, tzinfo=UTC) + timedelta(hours=hour)
    return Anomaly(
        source="custom", dataset="nyc.flights", check_name=check, severity=severity, detected_at=detected_at,
        **fields,
    )  # fmt: skip


def without_fate(task: Task) -> Task:
    """Return a task to which nothing happens."""
    return {name: value for name, value in task.items() if name not in {"killed_at", "paused_at", "person"}}


def fate_of(task: Task) -> Callable[[str], None]:
    """Return what is to happen to the process of a task at each of its moments."""
    if "killed_at" in task:
        return points.kill_at(task["killed_at"])
    left = [task.get("paused_at", 0)]
    lock = threading.Lock()

    def pause(_: str) -> None:
        with lock:
            left[0] -= 1
            due = left[0] == 0
        if due:
            # The whole process stands still, as when its machine sleeps.
            with lock:
                time.sleep(_SLEPT_S)

    return pause
