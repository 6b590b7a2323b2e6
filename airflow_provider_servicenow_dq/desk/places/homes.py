"""Where an anomaly is reported to: its own ticket, or an open one that it has joined."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_servicenow_dq.desk.order import states_in
from airflow_provider_servicenow_dq.desk.places import group
from airflow_provider_servicenow_dq.store import case_findings, links, outbox, tickets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.engine import Connection

    from airflow_provider_servicenow_dq.store.outbox import Address, Entry
    from airflow_provider_servicenow_dq.store.tickets import Ticket
    from airflow_provider_servicenow_dq.tickets.states import States


def home(own: Address, linked: Sequence[links.Link], states: States) -> Address:
    """Return where an anomaly is reported to.

    :param linked: Its tickets in this table, the newest first.
    """
    if linked and group.is_joined(linked[0].ticket, states):
        return linked[0].ticket.address
    open_now = [link for link in linked if tickets.is_open(link.ticket, states)]
    if any(link.ticket.address == own for link in open_now):
        return own
    return next((link.ticket.address for link in open_now if link.by_person), own)


def staying(connection: Connection, batch: Sequence[Entry], ticket: Ticket | None) -> Sequence[Entry]:
    """Send reports home whose anomaly a person had linked to a ticket that is no place for them any more."""
    leaving: dict[str, list[int]] = {}
    in_case = _of_case(connection, batch)
    for entry in batch:
        own = entry.payload.get("own", entry.address.correlation_id)
        # What may have opened a ticket here may still arrive.
        under_way = entry.write is not None and entry.write["op"] == "create"
        at_home = own == entry.address.correlation_id or group.is_rollup(entry.address)
        if at_home or under_way or entry.key is None or entry.key in in_case:
            continue
        is_open = ticket is not None and tickets.is_open(
            ticket, states_in(entry.payload, entry.address.table)
        )
        if not (is_open and ticket and links.exists(connection, ticket.id, entry.key)):
            leaving.setdefault(own, []).append(entry.id)
    for own, ids in leaving.items():
        outbox.move(connection, ids, batch[0].address._replace(correlation_id=own))
    gone = {entry_id for ids in leaving.values() for entry_id in ids}
    return [entry for entry in batch if entry.id not in gone]


def _of_case(connection: Connection, batch: Sequence[Entry]) -> set[str]:
    """Return the keys of those findings of a batch that are in the case of its address."""
    address = batch[0].address
    if not group.is_case(address):
        return set()
    found = case_findings.cases_of(connection, [entry.key for entry in batch if entry.key])
    return {key for key, case in found.items() if case.address == address}


def was_unlinked(connection: Connection, entry: Entry, ticket: Ticket) -> bool:
    """Whether a report links its anomaly to an open ticket of its own again."""
    is_open = tickets.is_open(ticket, states_in(entry.payload, entry.address.table))
    return is_open and entry.key is not None and not links.exists(connection, ticket.id, entry.key)
