"""An instance for a room of tests, and the connection to it; import what a ``conftest.py`` needs of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_servicenow_dq.sandbox.server import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PASSWORD = "airflow-secret"
SOLVED = {"state": "6", "close_code": "Solution provided", "close_notes": "Done."}


@pytest.fixture(scope="session")
def server() -> Iterator[Sandbox]:
    with Sandbox(port=0) as running:
        yield running


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Set the connection ``servicenow_default``."""

    def point(host: str, *, password: str = PASSWORD, **extra: Any) -> None:
        connection = {
            "conn_type": "servicenow",
            "host": host,
            "login": "svc_airflow",
            "password": password,
            "extra": {"timeout_s": 5, **extra},
        }
        monkeypatch.setenv("AIRFLOW_CONN_SERVICENOW_DEFAULT", json.dumps(connection))

    return point


@pytest.fixture
def raised(sandbox: Sandbox) -> Callable[..., Any]:
    """Let somebody raise tickets; give their records."""

    def make(count: int = 1, table: str = "incident", **values: str) -> list[dict[str, str]]:
        account = sandbox.instance.account("svc_airflow")
        return [
            sandbox.instance.insert(account, table, {"short_description": f"no. {number}", **values})
            for number in range(count)
        ]

    return make
