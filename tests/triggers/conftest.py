"""Triggers as a triggerer runs them: many in one event loop, beside a real instance."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import beside_an_instance
import pytest

from airflow_provider_servicenow_dq.client.config import InstanceConfig
from airflow_provider_servicenow_dq.client.limits import forget_limits
from airflow_provider_servicenow_dq.client.table import TableApi
from airflow_provider_servicenow_dq.client.transport import Transport
from airflow_provider_servicenow_dq.triggers import lines, polls, servicenow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_servicenow_dq.sandbox.server import Sandbox

connect = beside_an_instance.connect
raised = beside_an_instance.raised
server = beside_an_instance.server


@pytest.fixture
def sandbox(server: Sandbox, connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """A fresh instance, ``servicenow_default`` leading to it, and triggers that do not wait for seconds."""
    server.reset()
    forget_limits()
    connect(server.url)
    monkeypatch.setattr(servicenow, "SHORTEST_POLL_S", 0.05)
    monkeypatch.setattr(servicenow, "_STORED_AFTER_S", 0.01)
    monkeypatch.setattr(polls, "_GATHER_S", 0.02)
    monkeypatch.setattr(lines, "_PATIENCE_S", 0.0)
    return server


@pytest.fixture
def all_come_together(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a triggerer that starts, where the first waits a second for the others."""
    monkeypatch.setattr(polls, "_GATHER_S", 0.15)


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """Return all lines that were logged, whichever way this Airflow takes them."""
    caplog.set_level(logging.INFO)

    def text() -> str:
        printed = capfd.readouterr()
        return caplog.text + printed.out + printed.err

    return text


@pytest.fixture
def table_api(sandbox: Sandbox) -> Iterator[TableApi]:
    config = InstanceConfig(sandbox.url, login="svc_airflow", password=beside_an_instance.PASSWORD)
    with Transport(config) as transport:
        yield TableApi(transport)
