"""What stands for a task instance and for what Airflow remembers of it, and people who edit tickets."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import TaskDeferred
from beside_an_instance import SOLVED

from airflow_provider_servicenow_dq.sensors.servicenow import ServiceNowIncidentStateSensor

if TYPE_CHECKING:
    from airflow_provider_servicenow_dq.sandbox.server import Sandbox


@dataclass
class Waiting:
    """Stands for the task instance of a sensor; keeps what is pushed, as JSON would give it back."""

    dag_id: str = "dag"
    run_id: str = "run"
    task_id: str = "wait"
    map_index: int = -1
    try_number: int = 1
    xcom: dict[str, Any] = field(default_factory=dict)

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcom[key] = json.loads(json.dumps(value))

    def get_first_reschedule_date(self, context: Any) -> None:
        return None


@dataclass
class Memory:
    """Stands for what Airflow 3.3 keeps of a task until it runs again."""

    kept: dict[str, str] = field(default_factory=dict)

    def get(self, key: str, default: Any = None) -> Any:
        return json.loads(self.kept[key]) if key in self.kept else default

    def set(self, key: str, value: Any) -> None:
        self.kept[key] = json.dumps(value)


def sensor(**parameters: Any) -> ServiceNowIncidentStateSensor:
    """Return a sensor that looks often."""
    return ServiceNowIncidentStateSensor(
        **{"task_id": "wait", "poke_interval": 0, "timeout": 20, "deferrable": False, **parameters}
    )


def deferred(waiting: ServiceNowIncidentStateSensor, context: Any = None) -> TaskDeferred:
    """Run a sensor that defers, and return how."""
    with pytest.raises(TaskDeferred) as deferral:
        waiting.execute({} if context is None else context)
    return deferral.value


def event_of(deferral: TaskDeferred) -> Any:
    """Run the trigger of a deferral, made anew of what Airflow has kept of it, to its event."""
    path, kwargs = deferral.trigger.serialize()
    module, _, name = path.rpartition(".")
    trigger = getattr(import_module(module), name)(**json.loads(json.dumps(kwargs)))

    async def first() -> Any:
        async for event in trigger.run():
            return json.loads(json.dumps(event.payload))
        raise AssertionError("it ended without an event")

    return asyncio.run(asyncio.wait_for(first(), 20))


def solve(sandbox: Sandbox, sys_id: str, **values: str) -> None:
    """Let a person resolve an incident, or change it otherwise."""
    sandbox.act_as("beth.anglin", "incident", sys_id, values or SOLVED)


def reads(sandbox: Sandbox) -> int:
    """Return how much was read."""
    return sum(logged.method == "GET" for logged in sandbox.requests)
