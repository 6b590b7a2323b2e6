"""Commands as a person types them, on a store with a sandbox behind it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from airflow_provider_servicenow_dq.cli import main
from airflow_provider_servicenow_dq.client.config import InstanceConfig
from airflow_provider_servicenow_dq.client.names import Names
from airflow_provider_servicenow_dq.client.table import TableApi
from airflow_provider_servicenow_dq.client.transport import Transport
from airflow_provider_servicenow_dq.desk.desk import Desk
from airflow_provider_servicenow_dq.sandbox.server import Sandbox
from airflow_provider_servicenow_dq.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def server() -> Iterator[Sandbox]:
    with Sandbox(port=0) as running:
        yield running


@pytest.fixture
def sandbox(server: Sandbox) -> Iterator[Sandbox]:
    server.configure(abort=())
    server.reset()
    yield server
    server.configure(abort=())


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The store that the configuration names."""
    url = f"sqlite:///{tmp_path / 'store.db'}"
    monkeypatch.setenv("AIRFLOW__SERVICENOW_DQ__STORE", url)
    return url


@pytest.fixture
def desk(sandbox: Sandbox, url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A desk on that store, for an instance to which ``servicenow_default`` leads."""
    connection = {
        "conn_type": "servicenow",
        "host": sandbox.url,
        "login": "svc_airflow",
        "password": "airflow-secret",
        "extra": {"timeout_s": 5},
    }
    monkeypatch.setenv("AIRFLOW_CONN_SERVICENOW_DEFAULT", json.dumps(connection))
    config = InstanceConfig(sandbox.url, login="svc_airflow", password="airflow-secret", timeout_s=5)
    transport = Transport(config)
    table_api = TableApi(transport)
    opened = Desk(config, table_api, Names(table_api), Store(url))
    yield opened
    opened.store.close()
    transport.close()


@pytest.fixture
def run(url: str) -> Callable[..., Result]:
    """Type a command; by default it is expected to succeed."""

    def type_in(*arguments: object, code: int = 0) -> Result:
        result = CliRunner().invoke(main, [str(argument) for argument in arguments])
        assert result.exit_code == code, result.output
        return result

    return type_in


@pytest.fixture
def read(run: Callable[..., Result]) -> Callable[..., Any]:
    """Type a command and read what it prints as JSON."""

    def type_in(*arguments: object) -> Any:
        return json.loads(run(*arguments, "--output", "json").stdout)

    return type_in
