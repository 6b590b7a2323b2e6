"""From the name of a project to the desk at which its cases are worked on."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from airflow.sdk.exceptions import AirflowNotFoundException

from airflow_provider_servicenow_dq.exceptions import UnknownProjectError
from airflow_provider_servicenow_dq.findings.parties import Side
from airflow_provider_servicenow_dq.findings.wrong import NotFoundError
from airflow_provider_servicenow_dq.hooks.desk import open_desk
from airflow_provider_servicenow_dq.hooks.projects import choose
from airflow_provider_servicenow_dq.hooks.store import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow.sdk import Connection

    from airflow_provider_servicenow_dq.desk.desk import Desk
    from airflow_provider_servicenow_dq.findings.parties import Sides


@contextlib.contextmanager
def open_sides(
    servicenow_conn_id: str,
    *,
    only_reads: bool = False,
    find_connection: Callable[[str], Connection] | None = None,
    patience_s: float | None = None,
) -> Iterator[Sides]:
    """Open desks for projects, each connection once, until the end of the block.

    Cases need a store that everybody shares.

    :param servicenow_conn_id: Where to look for projects, and the connection of those that name none.
    :param only_reads: Nothing is written to the store, and it need not exist.
    :param find_connection: As for the hook.
    :param patience_s: As for the hook.
    :raises ServiceNowConfigError: If the store is not shared.
    """
    store = open_store(needs_shared_store=True, find_connection=find_connection)
    with contextlib.ExitStack() as stack:
        desks: dict[str, Desk] = {}

        def side(name: str) -> Side:
            try:
                hook, project = choose(
                    servicenow_conn_id, name, find_connection=find_connection, patience_s=patience_s
                )
            except UnknownProjectError as error:
                raise NotFoundError(f"project not found: {error}") from error
            conn_id = hook.servicenow_conn_id
            if conn_id not in desks:
                try:
                    opening = open_desk(hook, store=store, only_reads=only_reads)
                    desks[conn_id] = stack.enter_context(opening)
                except AirflowNotFoundException as error:
                    if conn_id == servicenow_conn_id:
                        raise
                    words = f"project {project.id!r} names the connection {conn_id!r}, and there is none"
                    raise NotFoundError(words) from error
            return Side(desks[conn_id], project)

        yield side
