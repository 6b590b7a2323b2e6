from __future__ import annotations

import pytest
from plain_client import ADMIN, Client

from airflow_provider_servicenow_dq.sandbox.server import Sandbox


@pytest.fixture
def sandbox():
    with Sandbox() as instance:
        yield instance


@pytest.fixture
def client(sandbox):
    return Client(sandbox.url)


@pytest.fixture
def admin(client):
    return client.as_user(ADMIN)
