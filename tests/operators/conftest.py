"""Operators as a worker runs them: connection and store from the environment, and a listening context."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import beside_an_instance
import pytest
from operating import ListeningTaskInstance

from airflow_provider_servicenow_dq.client.limits import forget_limits
from airflow_provider_servicenow_dq.operators.servicenow import ServiceNowCreateIncidentOperator
from airflow_provider_servicenow_dq.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from airflow_provider_servicenow_dq.sandbox.server import Sandbox

connect = beside_an_instance.connect
server = beside_an_instance.server


@pytest.fixture
def sandbox(
    server: Sandbox, connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Sandbox]:
    """A fresh instance, with ``servicenow_default`` leading to it and a store of this test's own."""
    defaults = {"mandatory": (), "abort": (), "hidden": ()}
    server.configure(**defaults)
    server.reset()
    forget_limits()
    connect(server.url)
    monkeypatch.setenv("AIRFLOW__SERVICENOW_DQ__STORE", store_url(tmp_path))
    yield server
    server.configure(**defaults)


@pytest.fixture
def store(sandbox: Sandbox, tmp_path: Path) -> Iterator[Store]:
    """The test's own eye on the store that the operator writes."""
    opened = Store(store_url(tmp_path))
    yield opened
    opened.close()


@pytest.fixture
def ti() -> ListeningTaskInstance:
    return ListeningTaskInstance()


@pytest.fixture
def open_tickets() -> Callable[..., Any]:
    """Run the create operator outside a DAG, or in the task instance ``ti``."""

    def run(anomalies: Any, *, ti: ListeningTaskInstance | None = None, **parameters: Any) -> Any:
        operator = ServiceNowCreateIncidentOperator(task_id="open", anomalies=anomalies, **parameters)
        return operator.execute({} if ti is None else {"ti": ti})

    return run


def store_url(folder: Path) -> str:
    return f"sqlite:///{folder / 'store.db'}"
