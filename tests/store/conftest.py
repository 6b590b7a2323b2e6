"""Stores of their own, and somewhere for entries, claims and tickets to be."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from airflow_provider_servicenow_dq.store.outbox import Address, Draft
from airflow_provider_servicenow_dq.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from databases import Postgres
    from sqlalchemy.engine import Connection


@pytest.fixture
def url(store_url: Callable[[], str]) -> str:
    return store_url()


@pytest.fixture
def open_store(url: str) -> Iterator[Callable[[], Store]]:
    """Open the test's database, each time as another process would."""
    opened = []

    def open_one() -> Store:
        opened.append(Store(url))
        return opened[-1]

    yield open_one
    for store in opened:
        store.close()


@pytest.fixture
def store(open_store: Callable[[], Store]) -> Store:
    return open_store()


@pytest.fixture
def now() -> datetime:
    return datetime(2026, 1, 5, 12, tzinfo=UTC)


@pytest.fixture
def address() -> Address:
    return Address("acme.service-now.com", "incident", "dq:custom:" + "a" * 32)


@pytest.fixture
def draft(address: Address) -> Callable[..., Draft]:
    """Make an intent; its text is what a corrected DAG would change."""

    def make(intent: str = "report|one", text: str = "first", at: Address = address) -> Draft:
        return Draft(at, intent, "report", {"text": text}, key="k" * 32)

    return make


@pytest.fixture
def postgres_store(postgres: Postgres) -> Iterator[Store]:
    """A store in the database that locks rows."""
    url = postgres.new_store()
    store = Store(url)
    yield store
    store.close()
    postgres.take_back(url)


@pytest.fixture
def impatient(postgres_store: Store) -> Iterator[Connection]:
    """Another connection, to which any wait for a lock is an error."""
    with postgres_store.begin() as connection:
        connection.exec_driver_sql("SET LOCAL lock_timeout = '10ms'")
        yield connection
