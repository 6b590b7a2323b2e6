"""A sandbox, desks with stores of their own, and anomalies to report."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_servicenow_dq.client.config import InstanceConfig
from airflow_provider_servicenow_dq.client.names import Names
from airflow_provider_servicenow_dq.client.table import TableApi
from airflow_provider_servicenow_dq.client.transport import Transport
from airflow_provider_servicenow_dq.desk.desk import Desk
from airflow_provider_servicenow_dq.sandbox.server import Sandbox
from airflow_provider_servicenow_dq.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Lost answers are noticed, and doubts end, within seconds.
TIMEOUT_S = 0.5


def soon(seconds: float) -> None:
    """Wait a tenth of what a client waits between two tries: that it obeys the instance is the client's."""
    time.sleep(seconds / 10)


@pytest.fixture(scope="session")
def server() -> Iterator[Sandbox]:
    with Sandbox(port=0) as running:
        yield running


@pytest.fixture
def sandbox(server: Sandbox) -> Iterator[Sandbox]:
    defaults = {
        "admin_only_sys_fields": False,
        "journal_acl": False,
        "mandatory": (),
        "abort": (),
        "hidden": (),
    }
    server.configure(**defaults)
    server.reset()
    yield server
    server.configure(**defaults)


@pytest.fixture
def make_desk(sandbox: Sandbox, store_url: Callable[[str], str]) -> Iterator[Callable[..., Desk]]:
    """Open a desk on a store of the given name; the same name is the same store."""
    opened = []

    def make(store: str = "store", **changes: Any) -> Desk:
        config = InstanceConfig(
            sandbox.url, login="svc_airflow", password="airflow-secret", timeout_s=TIMEOUT_S
        )
        transport = Transport(config, sleep=soon)
        table_api = TableApi(transport)
        desk = Desk(config, table_api, Names(table_api), Store(store_url(store)))
        opened.extend([transport, desk.store])
        return dataclasses.replace(desk, **changes)

    yield make
    for each in opened:
        each.close()


@pytest.fixture
def desk(make_desk: Callable[..., Desk]) -> Desk:
    return make_desk()
