"""What stands for a task instance, and looking at what came of a task."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_servicenow_dq.sandbox.server import Sandbox

_PAYLOADS = Path(__file__).parents[1] / "payloads"


@dataclass
class ListeningTaskInstance:
    """Stands for the task instance of a context; keeps what is pushed, as JSON would give it back."""

    dag_id: str = "dag"
    run_id: str = "run"
    task_id: str = "open"
    map_index: int | None = -1
    xcom: dict[str, Any] = field(default_factory=dict)

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcom[key] = json.loads(json.dumps(value))


def incidents(sandbox: Sandbox) -> list[dict[str, str]]:
    """Return the incidents that we opened."""
    return [record for record in sandbox.records("incident") if record["correlation_id"].startswith("dq:")]


def payload(name: str) -> Any:
    """Return a real output of a tool, by its file name."""
    return json.loads((_PAYLOADS / f"{name}.json").read_text(encoding="utf-8"))
