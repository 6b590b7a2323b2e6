"""Contexts as Airflow hands them to callbacks, and looking at what came of them."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, BaseOperator
from airflow.sdk.exceptions import AirflowException

from airflow_provider_servicenow_dq.notifications.servicenow import ServiceNowNotifier
from airflow_provider_servicenow_dq.operators.servicenow import ServiceNowDeliverOperator

if TYPE_CHECKING:
    from airflow_provider_servicenow_dq.sandbox.server import Sandbox

COLUMN_CHECKS = [
    "dep_delay.max failed on flights",
    "dep_time.null_check failed on flights",
    "tailnum.distinct_check failed on flights",
]
_PAYLOADS = Path(__file__).parents[1] / "payloads"


@dataclass
class EndedTaskInstance:
    """Stands for the task instance of a callback's context."""

    dag_id: str = "etl"
    task_id: str = "load"
    run_id: str = "manual__1"
    map_index: int = -1
    try_number: int = 2
    max_tries: int = 2
    state: str | None = "failed"
    end_date: datetime | None = field(default_factory=lambda: datetime.now(UTC))
    returned: Any = None
    task: Any = field(default_factory=SimpleNamespace)

    @property
    def log_url(self) -> str:
        return f"http://airflow.example/dags/{self.dag_id}/runs/{self.run_id}/tasks/{self.task_id}"

    def xcom_pull(self, *, task_ids: str, key: str, map_indexes: int | None = None) -> Any:
        assert (task_ids, key) == (self.task_id, "return_value")
        return self.returned


def dag_of(dag_id: str = "etl", tasks: tuple[str, ...] = ("load",), tags: tuple[str, ...] = ()) -> DAG:
    with DAG(dag_id, schedule=None, tags=set(tags)) as dag:
        for name in tasks:
            BaseOperator(task_id=name)
    return dag


def failed(exception: BaseException | str = "out of memory", task: Any = None, **ti: Any) -> dict[str, Any]:
    """Return the context of a task that failed."""
    error = ValueError(exception) if isinstance(exception, str) else exception
    task = task or SimpleNamespace()
    instance = EndedTaskInstance(task=task, **ti)
    return {"ti": instance, "task": task, "dag": dag_of(instance.dag_id), "exception": error}


def well(task: Any = None, **ti: Any) -> dict[str, Any]:
    """Return the context of a task that succeeded."""
    return {**failed(task=task, **{"state": "success", **ti}), "exception": None}


def from_payload(name: str, **ti: Any) -> dict[str, Any]:
    """Return what a real SQL check operator's callback saw, by the operator's name."""
    seen = json.loads((_PAYLOADS / f"airflow-callback-{name}.json").read_text(encoding="utf-8"))
    kept = {key: seen[key] for key in ("check_results", "column_mapping", "checks", "sql")}
    if kept["check_results"]:
        kept["check_results"] = [SimpleNamespace(**result) for result in kept["check_results"]]
    where = {key: seen[key] for key in ("dag_id", "task_id", "run_id", "try_number", "map_index")}
    return failed(AirflowException(seen["exception"]), SimpleNamespace(**kept), **{**where, **ti})


def of_dag(reason: str = "task_failure", **context: Any) -> dict[str, Any]:
    """Return the context of a DAG's own callback."""
    return {"dag": dag_of(), "run_id": "manual__1", "reason": reason, **context}


def incidents(sandbox: Sandbox) -> list[dict[str, str]]:
    """Return the incidents that we opened."""
    return [record for record in sandbox.records("incident") if record["correlation_id"].startswith("dq:")]


def titles(sandbox: Sandbox) -> list[str]:
    return sorted(record["short_description"] for record in incidents(sandbox))


def writes(sandbox: Sandbox) -> list[str]:
    return [logged.method for logged in sandbox.requests if logged.method != "GET"]


def deliver() -> dict[str, Any]:
    """Deliver what waits, as the sync DAG does."""
    return ServiceNowDeliverOperator(task_id="deliver").execute({})


def notify(context: Any, **parameters: Any) -> float:
    """Notify; return how many seconds that took."""
    began = time.monotonic()
    ServiceNowNotifier(**parameters)(context)
    return time.monotonic() - began


def the_state(sandbox: Sandbox) -> str:
    """Return the state of the only incident."""
    (incident,) = incidents(sandbox)
    return incident["state"]


def notes(sandbox: Sandbox) -> list[Any]:
    """Return all notes of all our incidents."""
    return [note for incident in incidents(sandbox) for note in sandbox.notes(incident["sys_id"])]


def text_of_the_ticket(sandbox: Sandbox) -> str:
    """Return what the only ticket says."""
    (incident,) = incidents(sandbox)
    return incident["description"]
