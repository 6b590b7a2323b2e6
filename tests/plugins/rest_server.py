"""The REST routes as Airflow's API server mounts them, and who asks them."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from airflow.api_fastapi.app import get_auth_manager, init_auth_manager
from airflow.api_fastapi.auth.middlewares.refresh_token import JWTRefreshMiddleware
from fastapi import FastAPI
from starlette.testclient import TestClient

from airflow_provider_servicenow_dq.plugins.api import create_app
from airflow_provider_servicenow_dq.plugins.servicenow import URL_PREFIX
from airflow_provider_servicenow_dq.plugins.work import Work

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PASSWORD = "airflow-secret"
DATADOG_PROJECT = "aeadc05e-98a8-11ec-ac2c-da7ad0900001"
WEBHOOK_SECRET = "a secret of at least sixteen characters"
TICKETING = "/api/integrations/ticketing"

#: Users of the simple auth manager, and their roles.
ROLES = {"viewer": "viewer", "user": "user", "oper": "op", "admin": "admin"}


def airflow_with(app: Any) -> FastAPI:
    """Return a root application with Airflow's auth manager, and ours mounted as ``init_plugins`` does."""
    root = FastAPI()
    init_auth_manager(root)
    root.mount(URL_PREFIX, app)
    root.add_middleware(JWTRefreshMiddleware)
    return root


class Asking:
    """Asks the routes as somebody.

    :param user: Of :data:`ROLES`; None for somebody who is not logged in.
    """

    def __init__(self, root: FastAPI, user: str | None, *, prefix: str = URL_PREFIX) -> None:
        self.client = TestClient(root, base_url="http://airflow.example", raise_server_exceptions=False)
        self.prefix = prefix
        self.token = token_of(user) if user else None

    def __call__(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **content: Any
    ) -> Any:
        """Return the answer."""
        sent = {**({"Authorization": f"Bearer {self.token}"} if self.token else {}), **(headers or {})}
        return self.client.request(method, f"{self.prefix}{path}", headers=sent, **content)


def token_of(user: str) -> str:
    """Return a token of Airflow for a user of the simple auth manager."""
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    return get_auth_manager().generate_jwt(SimpleAuthManagerUser(username=user, role=ROLES[user].upper()))


def statuses_of(app: Any, path: str, headers: Mapping[str, str], parts: Iterable[Mapping[str, Any]]) -> Any:
    """Post a body message by message, as a server hands it on; return the status, and what was not read.

    :param parts: ASGI messages.
    """
    left, sent = iter(parts), []

    async def receive() -> Any:
        return next(left)

    async def send(message: Mapping[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "query_string": b"",
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
    }
    asyncio.run(app(scope, receive, send))
    return sent[0]["status"], list(left)


def impatient_app(limit_s: float) -> FastAPI:
    """Return our application with another limit for its work."""
    return create_app(Work(limit_s=limit_s))


def connection_to(host: str, **fields: Any) -> str:
    """Return an Airflow connection as an environment variable has it."""
    extra = {"timeout_s": 5, **fields.pop("extra", {})}
    connection = {"conn_type": "servicenow", "host": host, "login": "svc_airflow", "password": PASSWORD}
    return json.dumps({**connection, **fields, "extra": extra})


def words_of(answer: Any) -> str:
    """Return the details of an answer that says what is wrong, after a look at its format."""
    assert answer.headers["content-type"] == "application/vnd.api+json", answer.text
    errors = answer.json()["errors"]
    assert errors
    for error in errors:
        assert set(error) == {"status", "title", "detail"}
        assert error["status"] == str(answer.status_code)
        assert error["title"]
        assert error["detail"]
    return "\n".join(error["detail"] for error in errors)
