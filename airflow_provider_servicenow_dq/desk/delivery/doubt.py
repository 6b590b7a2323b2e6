"""Whether a write whose answer was lost has happened all the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_servicenow_dq.client.query import Query
from airflow_provider_servicenow_dq.desk import lookup
from airflow_provider_servicenow_dq.tickets.ticket import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_servicenow_dq.desk.desk import Desk
    from airflow_provider_servicenow_dq.store import tickets
    from airflow_provider_servicenow_dq.store.outbox import Address

Record = dict[str, Any]


def find_created(desk: Desk, address: Address, write: Mapping[str, Any]) -> Record | None:
    """Return the record that a create made, or None if it is not there.

    A record of the same correlation id that is newer than the predecessor counts: on an instance that
    ignores our sys_id it is the only trace.
    """
    before = set(write["existing"])
    for row in reversed(lookup.find_rows(desk, address)):
        if row["sys_id"] == write["sys_id"] or row["sys_id"] not in before:
            return desk.table_api.get(address.table, row["sys_id"])
    return None


def current(desk: Desk, ticket: tickets.Ticket) -> Record | None:
    """Return a ticket's columns as they are now; None if it is not shown any more."""
    query = Query.equals({"sys_id": ticket.sys_id})
    rows = desk.table_api.first_page(ticket.address.table, query, fields=COLUMNS, limit=1)
    return rows[0] if rows else None
