"""Airflow's simple auth manager with a user of each role, our routes, a ServiceNow and a store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from api_servers import RealAirflow, api_server
from rest_server import DATADOG_PROJECT, ROLES, WEBHOOK_SECRET, Asking, airflow_with, connection_to

from airflow_provider_servicenow_dq.anomalies.reading import read_report
from airflow_provider_servicenow_dq.client.limits import forget_limits
from airflow_provider_servicenow_dq.desk.desk import Run
from airflow_provider_servicenow_dq.desk.open import open_tickets, record_reports
from airflow_provider_servicenow_dq.desk.order import Order
from airflow_provider_servicenow_dq.desk.pull import pull
from airflow_provider_servicenow_dq.hooks.desk import open_desk
from airflow_provider_servicenow_dq.hooks.servicenow import ServiceNowHook
from airflow_provider_servicenow_dq.plugins.servicenow import LazyApp
from airflow_provider_servicenow_dq.projects.project import Project
from airflow_provider_servicenow_dq.sandbox.server import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from fastapi import FastAPI


@pytest.fixture(scope="session")
def auth_settings(airflow_database: Path) -> Iterator[None]:
    """The simple auth manager, in which not everybody is an administrator."""
    with pytest.MonkeyPatch.context() as patch:
        users = ",".join(f"{user}:{role}" for user, role in ROLES.items())
        patch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS", users)
        patch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS", "False")
        patch.setenv("AIRFLOW__API_AUTH__JWT_SECRET", "a-secret-that-is-as-long-as-airflow-asks-for" * 2)
        yield


@pytest.fixture(scope="session")
def root(auth_settings: None) -> FastAPI:
    return airflow_with(LazyApp())


@pytest.fixture
def ask(root: FastAPI) -> Asking:
    """Ask as an administrator."""
    return Asking(root, "admin")


@pytest.fixture(scope="session")
def server() -> Iterator[Sandbox]:
    with Sandbox(port=0) as running:
        yield running


@pytest.fixture
def sandbox(server: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Sandbox]:
    """A fresh instance, with ``servicenow_default`` leading to it and a store of this test's own."""
    defaults = {"service_ms": 0, "abort": ()}
    server.configure(**defaults)
    server.reset()
    forget_limits()
    monkeypatch.setenv("AIRFLOW_CONN_SERVICENOW_DEFAULT", connection_to(server.url))
    monkeypatch.setenv("AIRFLOW__SERVICENOW_DQ__STORE", f"sqlite:///{tmp_path / 'store.db'}")
    yield server
    server.configure(**defaults)


@pytest.fixture
def report(sandbox: Sandbox) -> Callable[..., Any]:
    """Report an anomaly as a task would, by default with a ticket; return its result."""

    def reported(ticket: bool = True, **fields: Any) -> Any:
        anomaly = {
            "source": "custom",
            "external_id": "A-1",
            "dataset": "sales.orders",
            "check_name": "not_null",
            "severity": "high",
            "detected_at": "2026-01-22T13:22:40Z",
        } | fields
        (read,) = read_report([anomaly]).anomalies
        with open_desk(ServiceNowHook()) as desk:
            run, order = Run("dag", "run", "task"), Order(Project())
            if ticket:
                (result,) = open_tickets(desk, [read], order=order, run=run).results
                return result
            floor = Order(Project(min_severity="critical"))
            record_reports(desk, [read], order=floor, run=run)
            return {"anomaly_id": read.anomaly_id, "fingerprint": read.fingerprint}

    return reported


@pytest.fixture
def webhook_secret(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """The instance signs what it tells."""
    extra = {"webhook_secret": WEBHOOK_SECRET}
    monkeypatch.setenv("AIRFLOW_CONN_SERVICENOW_DEFAULT", connection_to(sandbox.url, extra=extra))


@pytest.fixture
def pulled_incident(report: Callable[..., Any], sandbox: Sandbox) -> Any:
    """A ticket of ours that was pulled since it was opened."""
    report()
    with open_desk(ServiceNowHook()) as desk:
        pull(desk, Project())
    (row,) = [row for row in sandbox.records("incident") if row["correlation_id"].startswith("dq:")]
    return row


@pytest.fixture(scope="session")
def airflow(airflow_database: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealAirflow]:
    """A running API server, one for all tests of a process, and the instance it is connected to."""
    home = tmp_path_factory.mktemp("served")
    (home / "airflow.db").write_bytes(airflow_database.read_bytes())
    extra = {"timeout_s": 30, "projects": [{"id": DATADOG_PROJECT, "key": "PROJ"}]}
    # More at once than we ask for, so that it is us who bound it.
    with Sandbox(port=0, semaphores=64) as instance:
        settings = {
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}?timeout=60",
            "AIRFLOW_CONN_SERVICENOW_DEFAULT": connection_to(instance.url, extra=extra),
        }
        with api_server(home, settings) as url:
            yield RealAirflow(url, instance)
