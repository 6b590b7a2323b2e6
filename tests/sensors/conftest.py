"""Sensors as a worker runs them: connection and store from the environment, and nobody who sleeps long."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import beside_an_instance
import pytest

from airflow_provider_servicenow_dq.client.limits import forget_limits
from airflow_provider_servicenow_dq.operators.servicenow import ServiceNowCreateIncidentOperator
from airflow_provider_servicenow_dq.sensors import looks, servicenow
from airflow_provider_servicenow_dq.triggers import lines, polls
from airflow_provider_servicenow_dq.triggers import servicenow as triggers

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_provider_servicenow_dq.sandbox.server import Sandbox

connect = beside_an_instance.connect
raised = beside_an_instance.raised
server = beside_an_instance.server


@pytest.fixture
def sandbox(
    server: Sandbox, connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Sandbox:
    """A fresh instance, with ``servicenow_default`` leading to it and a store of this test's own."""
    server.reset()
    forget_limits()
    connect(server.url)
    monkeypatch.setenv("AIRFLOW__SERVICENOW_DQ__STORE", f"sqlite:///{tmp_path / 'store.db'}")
    for module, name in (
        (servicenow, "SHORTEST_POLL_S"),
        (triggers, "SHORTEST_POLL_S"),
        (looks, "_SHORTLY_S"),
        (polls, "_GATHER_S"),
    ):
        monkeypatch.setattr(module, name, 0.02)
    monkeypatch.setattr(lines, "_PATIENCE_S", 0.0)
    return server


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that tries a request once: what it does when it tries more is another room's business."""
    from airflow_provider_servicenow_dq.client import transport

    monkeypatch.setattr(transport, "_MAX_TRIES", 1)


@pytest.fixture
def open_tickets(sandbox: Sandbox) -> Callable[..., Any]:
    """Open tickets for anomalies; give the results as another task gets them."""

    def run(*anomalies: Any, **parameters: Any) -> Any:
        operator = ServiceNowCreateIncidentOperator(task_id="open", anomalies=list(anomalies), **parameters)
        return json.loads(json.dumps(operator.execute({})))

    return run


@pytest.fixture
def between_looks(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """Let something happen each time that a sensor sleeps."""
    acts: list[Callable[[], None]] = []

    def sleep(_: float) -> None:
        if acts:
            acts.pop(0)()

    monkeypatch.setattr("airflow.sdk.bases.sensor.time.sleep", sleep)
    return acts.append
