"""What the commands share: opening the store, and failing in words."""

from __future__ import annotations

import contextlib
import logging
import os
from typing import TYPE_CHECKING, Any, Final

import click

from airflow_provider_servicenow_dq.exceptions import ServiceNowError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import sqlalchemy as sa

    from airflow_provider_servicenow_dq.store.store import Store

_CONTEXT: Final = "_AIRFLOW_PROCESS_CONTEXT"

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

    with in_words(), _connections_of_the_server():
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


@contextlib.contextmanager
def _connections_of_the_server() -> Iterator[None]:
    """Let Airflow look connections up in its own database, too.

    It does so only for its servers, by the word of this variable; tasks get theirs from a server, and any
    other process sees only those in its environment or in a secrets backend.
    """
    before = os.environ.get(_CONTEXT)
    os.environ[_CONTEXT] = "server"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_CONTEXT]
        else:
            os.environ[_CONTEXT] = before


def _configured() -> sa.URL:
    from airflow_provider_servicenow_dq.hooks.store import store_url  # noqa: PLC0415 (loads Airflow)

    return store_url()
