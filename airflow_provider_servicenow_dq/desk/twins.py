"""Twins: where an instance ignores the sys_id we choose, two creators make two tickets, and one goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_servicenow_dq.desk import lookup
from airflow_provider_servicenow_dq.desk.ourselves import our_names
from airflow_provider_servicenow_dq.exceptions import DeliveryPendingError
from airflow_provider_servicenow_dq.store import tickets
from airflow_provider_servicenow_dq.tickets.incident import CANCELED, NEW, is_worked_on
from airflow_provider_servicenow_dq.tickets.notes import twin_note

if TYPE_CHECKING:
    from collections.abc import Collection

    from airflow_provider_servicenow_dq.desk.claimed import Lease
    from airflow_provider_servicenow_dq.desk.desk import Desk
    from airflow_provider_servicenow_dq.store.outbox import Address


class BlindAccountError(DeliveryPendingError):
    """The account cannot find what it has just created: it would create it again for ever."""


def cancel_all_but_first(desk: Desk, lease: Lease, address: Address, ours: str) -> None:
    """Look again after a create; of several open tickets for one problem the first stays.

    The others are canceled only while they are New and nobody but us has touched them.

    :param ours: sys_id of the ticket that we have just made.
    :raises BlindAccountError: If our own ticket cannot be found.
    """
    lease.make_time()
    rows = lookup.find_rows(desk, address)
    if ours not in {row["sys_id"] for row in rows}:
        raise BlindAccountError(
            f"A ticket was created in {address.table}, and the account cannot find it by its correlation_id. "
            "It needs read access to what it creates; nothing more is opened until it has it."
        )
    still_open = [row for row in rows if is_worked_on(row.get("state") or "")]
    if len(still_open) < 2:  # noqa: PLR2004 (one ticket has no twin)
        return
    first, *others = still_open
    for row in others:
        if _untouched(row, our_names(desk)):
            lease.make_time()
            values = {"state": CANCELED, "work_notes": twin_note(first["number"])}
            record = desk.table_api.update(address.table, row["sys_id"], values)
            _remember(desk, lease, address, record)
    _remember(desk, lease, address, first)


def _untouched(row: dict[str, Any], ours: Collection[str]) -> bool:
    by_us = row.get("sys_created_by") in ours and row.get("sys_updated_by") in ours
    return row.get("state") == NEW and by_us and row.get("sys_mod_count") in {"0", None}


def _remember(desk: Desk, lease: Lease, address: Address, record: dict[str, Any]) -> None:
    with lease.transaction() as connection:
        known = {ticket.sys_id: ticket for ticket in tickets.at(connection, [address]).get(address, [])}
        ticket = known.get(record["sys_id"])
        if ticket is None:
            lookup.adopt_found(connection, desk, address, record, run="")
        else:
            tickets.change(connection, ticket, record={**ticket.record, **record}, changed_at=desk.now())
