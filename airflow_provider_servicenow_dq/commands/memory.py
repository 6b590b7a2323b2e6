"""What the commands share: opening the store, and failing in words."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, Any, Final

import click

from airflow_provider_servicenow_dq.exceptions import ServiceNowError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import sqlalchemy as sa

    from airflow_provider_servicenow_dq.store.store import Store

store_option: Final[Callable[..., Any]] = click.option(
    "--store",
    "url",
    metavar="URL",
    help="SQLAlchemy URL of the store; by default that of [servicenow_dq] store.",
)


@contextlib.contextmanager
def opened(url: str | None) -> Iterator[Store]:
    """Open the store that is meant; what goes wrong in the block is said without a traceback."""
    from airflow_provider_servicenow_dq.store.store import Store  # noqa: PLC0415 (--help does not need SQLAlchemy)

    with in_words():
        store = Store(url or _configured())
        # Airflow's configuration of logging lets it talk on stdout, into what we print as JSON.
        logging.getLogger("alembic").setLevel(logging.WARNING)
        try:
            yield store
        finally:
            store.close()


@contextlib.contextmanager
def in_words() -> Iterator[None]:
    """Turn our errors into a line on stderr and exit code 1."""
    try:
        yield
    except ServiceNowError as error:
        raise click.ClickException(str(error)) from error


def _configured() -> sa.URL:
    from airflow_provider_servicenow_dq.hooks.store import store_url  # noqa: PLC0415 (loads Airflow)

    return store_url()
