"""A sandbox, and sides: projects with desks for its instance."""

from __future__ import annotations

import dataclasses
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
        "table": (),
    }
    server.configure(**defaults)
    server.reset()
    yield server
    server.configure(**defaults)


@pytest.fixture
def make_desk(sandbox: Sandbox, store_url: Callable[[str], str]) -> Iterator[Callable[..., Desk]]:
    opened = []

    def make(name: str = "store", *, patience_s: float = 120, **changes: Any) -> Desk:
        config = InstanceConfig(sandbox.url, login="svc_airflow", password="airflow-secret", timeout_s=2)
        transport = Transport(config, patience_s=patience_s)
        table_api = TableApi(transport)
        desk = Desk(config, table_api, Names(table_api), Store(store_url(name)))
        opened.extend([transport, desk.store])
        return dataclasses.replace(desk, **changes)

    yield make
    for each in opened:
        each.close()


@pytest.fixture
def desk(make_desk: Callable[..., Desk]) -> Desk:
    return make_desk()
