from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from stub_server import SECRETS, Stub

from airflow_provider_servicenow_dq.client.config import InstanceConfig
from airflow_provider_servicenow_dq.client.transport import Transport

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
        new = Transport(config(**settings), patience_s=patience_s, on_secret=on_secret, sleep=slept.append)
        new.slept = slept  # type: ignore[attr-defined]
        made.append(new)
        return new

    yield make
    for item in made:
        item.close()
