from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import pytest
from stub_server import SECRETS, Stub

from airflow_provider_servicenow_dq.client.config import InstanceConfig
from airflow_provider_servicenow_dq.client.limits import Limits, forget_limits
from airflow_provider_servicenow_dq.client.table import TableApi
from airflow_provider_servicenow_dq.client.transport import Transport
from airflow_provider_servicenow_dq.sandbox.data import SeedUser
from airflow_provider_servicenow_dq.sandbox.server import Sandbox
from airflow_provider_servicenow_dq.sandbox.switches import Switches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def stub() -> Iterator[Stub]:
    server = Stub()
    yield server
    server.close()


@pytest.fixture
def config(stub: Stub) -> Callable[..., InstanceConfig]:
    """Make a configuration for the stub."""

    def make(**settings: Any) -> InstanceConfig:
        given = {"login": "svc", "client_id": "the-client", "timeout_s": 5.0} | SECRETS | settings
        return InstanceConfig(given.pop("base_url", stub.url), **given)

    return make


@pytest.fixture
def transport(config: Callable[..., InstanceConfig]) -> Iterator[Callable[..., Transport]]:
    """Make a transport to the stub that remembers how long it would have slept, in ``slept``."""
    made: list[Transport] = []

    def make(
        patience_s: float = 120, on_secret: Callable[[str], None] = lambda _: None, **settings: Any
    ) -> Any:
        slept: list[float] = []
        new = Transport(
            config(**settings),
            patience_s=patience_s,
            on_secret=on_secret,
            sleep=slept.append,
            limits=Limits(clock=lambda: sum(slept)),
        )
        new.slept = slept  # type: ignore[attr-defined]
        made.append(new)
        return new

    yield make
    for item in made:
        item.close()


@pytest.fixture(scope="module")
def shared_sandbox() -> Iterator[Sandbox]:
    with Sandbox(users=(SeedUser("roleless", "No Roles", "roleless-pass"),)) as running:
        yield running


@pytest.fixture
def sandbox(shared_sandbox: Sandbox) -> Iterator[Sandbox]:
    """A sandbox as new, with its switches as they come."""
    forget_limits()
    yield shared_sandbox
    shared_sandbox.configure(**{item.name: item.default for item in fields(Switches)})
    shared_sandbox.reset()


@pytest.fixture
def itil(sandbox: Sandbox) -> Iterator[TableApi]:
    """The Table API of the sandbox as its service account."""
    with Transport(InstanceConfig(sandbox.url, login="svc_airflow", password="airflow-secret")) as talk:
        yield TableApi(talk)
