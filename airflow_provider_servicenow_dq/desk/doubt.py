"""Whether a write whose answer was lost has happened all the same."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

from airflow_provider_servicenow_dq.client.journal import read_journal, read_journal_display
from airflow_provider_servicenow_dq.client.query import Query
from airflow_provider_servicenow_dq.desk import lookup
from airflow_provider_servicenow_dq.desk.ourselves import our_names
from airflow_provider_servicenow_dq.exceptions import RecordNotFoundError
from airflow_provider_servicenow_dq.store import tickets
from airflow_provider_servicenow_dq.tickets.notes import note_hash
from airflow_provider_servicenow_dq.tickets.text import one_line
from airflow_provider_servicenow_dq.tickets.ticket import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_servicenow_dq.desk.desk import Desk
    from airflow_provider_servicenow_dq.store.outbox import Address

Record = dict[str, Any]


class Journal(Enum):
    """What a ticket's journal says about a note."""

    THERE = "there"
    MISSING = "missing"
    UNREADABLE = "unreadable"


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


def find_note(desk: Desk, address: Address, ticket: tickets.Ticket, journal: str, text: str) -> Journal:
    """Return whether a text is in a journal of its ticket.

    It is when the journal holds more rows of that text by us than the deliveries that we know of.

    :param journal: ``work_notes`` or ``comments``.
    """
    with desk.store.begin() as connection:
        known = tickets.known_notes(connection, ticket.id)
    wanted = note_hash(journal, text)
    entries = [entry for entry in read_journal(desk.table_api, ticket.sys_id) if entry.element == journal]
    if not entries:
        return _in_display_value(desk, address, ticket, journal, text, known)
    ours = our_names(desk)
    times = sum(
        entry.created_by in ours and note_hash(entry.element, entry.text) == wanted for entry in entries
    )
    return Journal.THERE if times > known.get(wanted, 0) else Journal.MISSING


def _in_display_value(
    desk: Desk, address: Address, ticket: tickets.Ticket, journal: str, text: str, known: Mapping[str, int]
) -> Journal:
    """Look into the journal as a form shows it.

    An account without rights on ``sys_journal_field`` gets an empty list, not an error, so emptiness proves
    nothing.
    """
    try:
        shown = read_journal_display(desk.table_api, address.table, ticket.sys_id, element=journal)
    except RecordNotFoundError:
        return Journal.UNREADABLE
    if shown is None or (not shown.strip() and known):
        return Journal.UNREADABLE
    times = one_line(shown).count(one_line(text))
    return Journal.THERE if times > known.get(note_hash(journal, text), 0) else Journal.MISSING
