"""Stores that cannot be opened: words that help, and no password in them."""

from __future__ import annotations

import pytest

from airflow_provider_servicenow_dq.exceptions import StoreError
from airflow_provider_servicenow_dq.store.store import Store


@pytest.mark.parametrize(
    "broken", ["sqlite:////no/such/folder/store.db", "postgresql+psycopg2://u:s3cret-4711@127.0.0.1:1/db"]
)
def test_a_store_that_cannot_be_opened_is_an_error_in_words_without_its_password(broken):
    with pytest.raises(StoreError, match="cannot be opened") as refusal:
        Store(broken).upgrade()

    assert "4711" not in str(refusal.value)
    assert "4711" not in repr(refusal.value)


@pytest.mark.parametrize("url", ["mysql://u:s3cret-4711@127.0.0.1/db", "nonsense://u:s3cret-4711@host/db"])
def test_other_databases_are_refused_in_words(url):
    with pytest.raises(StoreError, match=r"sqlite.*postgresql") as refusal:
        Store(url).upgrade()

    assert "4711" not in str(refusal.value)


@pytest.mark.parametrize("url", ["postgresql//u:s3cret-4711@host/db", "postgresql://host:s3cret-4711/db"])
def test_a_url_that_cannot_be_read_is_refused_without_showing_it(url):
    with pytest.raises(StoreError, match="no SQLAlchemy URL") as refusal:
        Store(url)

    assert "4711" not in str(refusal.value)


def test_a_password_is_never_shown():
    assert "4711" not in repr(Store("postgresql+psycopg2://u:s3cret-4711@host/db"))


def test_a_database_that_went_away_since_is_told_as_such_to_whoever_reads(postgres):
    url = postgres.new_database()
    store = Store(url)
    store.upgrade()
    postgres.drop_database(url)

    with pytest.raises(StoreError, match="cannot be used"), store.snapshot():
        pass
