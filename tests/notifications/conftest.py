"""A fresh instance, the connection to it and a store of each test's own."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any

import beside_an_instance
import pytest
from notifying import titles

from airflow_provider_servicenow_dq.client.limits import forget_limits
from airflow_provider_servicenow_dq.hooks.store import open_store
from airflow_provider_servicenow_dq.notifications import errand, patience
from airflow_provider_servicenow_dq.notifications.servicenow import ServiceNowNotifier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from airflow_provider_servicenow_dq.sandbox.server import Sandbox


#: Longer than a notifier's thread is ever at work here.
_LEFT_BEHIND_S = 30

connect = beside_an_instance.connect
server = beside_an_instance.server


@pytest.fixture
def sandbox(
    server: Sandbox, connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Sandbox]:
    server.configure(abort=())
    server.reset()
    forget_limits()
    connect(server.url)
    monkeypatch.setenv("AIRFLOW__SERVICENOW_DQ__STORE", f"sqlite:///{tmp_path / 'store.db'}")
    yield server
    # Who is left behind by a notifier that waits no longer would else speak to the next test's instance.
    for thread in threading.enumerate():
        if thread.name == "servicenow-notifier":
            thread.join(_LEFT_BEHIND_S)
            assert not thread.is_alive()
    server.configure(abort=())


@pytest.fixture
def told(sandbox: Sandbox) -> Callable[..., list[str]]:
    """Notify of a context; return the titles of all tickets that there are then."""

    def notify(context: Any, **parameters: Any) -> list[str]:
        ServiceNowNotifier(**parameters)(context)
        return titles(sandbox)

    return notify


@pytest.fixture
def short(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for a second where it would be ten; the store's tables need not be made in it."""
    open_store().upgrade()
    monkeypatch.setattr(patience, "LONGEST_S", 1.0)
    monkeypatch.setattr(errand, "LONGEST_S", 1.0)


@pytest.fixture(autouse=True)
def _log_everything(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
