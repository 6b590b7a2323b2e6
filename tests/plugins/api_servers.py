"""A real ``airflow api-server`` beside the tests, with the simple auth manager or with FAB's."""

from __future__ import annotations

import contextlib
import json
import secrets
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import requests
from rest_server import ROLES

SCRIPTS = Path(__file__).parents[2] / "scripts"
sys.path.append(str(SCRIPTS))

from processes import Stack, free_port  # noqa: E402 (what starts programs is no package)
from surroundings import airflow_settings, program  # noqa: E402 (the same)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_provider_servicenow_dq.sandbox.server import Sandbox

#: Beyond this something hangs, on however busy a machine.
PATIENCE_S = 120

#: Makes FAB's tables, and a user of each of FAB's roles, with their name as password.
MAKE_FAB_USERS = """
from airflow.providers.fab.auth_manager.models.db import FABDBManager
from airflow.utils.session import create_session
with create_session() as session:
    FABDBManager(session).initdb()
from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder
with get_application_builder() as builder:
    security = builder.sm
    security.sync_roles()
    for name in ("Viewer", "User", "Op", "Admin"):
        user, role = name.lower(), security.find_role(name)
        assert security.add_user(user, user, user, f"{user}@airflow.example", role, password=user)
"""


class RealAirflow(NamedTuple):
    """A running API server.

    :param instance: Where its connection ``servicenow_default`` leads to.
    """

    url: str
    instance: Sandbox


@contextlib.contextmanager
def api_server(home: Path, settings: Mapping[str, str], *, fab: bool = False) -> Iterator[str]:
    """Run an API server for the length of the block; give its address.

    Users have their names as passwords.

    :param settings: Environment variables, among them a migrated database that nobody else uses.
    """
    port = free_port(0)
    url = f"http://127.0.0.1:{port}"
    (home / "passwords.json").write_text(json.dumps({user: user for user in ROLES}))
    env = airflow_settings(home) | {
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_urlsafe(64),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(
            f"{user}:{role}" for user, role in ROLES.items()
        ),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
        **settings,
    }
    if fab:
        manager = "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"
        env |= {"AIRFLOW__CORE__AUTH_MANAGER": manager, "AIRFLOW__FAB__ENABLE_PROXY_FIX": "False"}
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with Stack(env, home / "logs", grace_s=3) as stack:
            if fab:
                stack.run("users", sys.executable, "-c", MAKE_FAB_USERS)
            stack.start("api-server", program("airflow"), "api-server")
            stack.wait_for("api-server", f"{url}/api/v2/monitor/health", timeout_s=PATIENCE_S)
            yield url
    finally:
        # A stack takes the handlers of these for good.
        for number, handler in kept.items():
            signal.signal(number, handler)


def log_in(url: str, user: str) -> requests.Session:
    """Return a session that sends a user's token."""
    session = requests.Session()
    answer = session.post(f"{url}/auth/token", json={"username": user, "password": user}, timeout=30)
    assert answer.ok, answer.text
    session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
    return session
