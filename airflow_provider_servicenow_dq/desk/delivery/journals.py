"""Whether a text of ours is in a ticket's journal, as far as the account may see that."""

from __future__ import annotations

from collections import Counter
from enum import Enum
from typing import TYPE_CHECKING

from airflow_provider_servicenow_dq.client.journal import read_journal, read_shown_texts
from airflow_provider_servicenow_dq.desk.delivery.ourselves import our_names
from airflow_provider_servicenow_dq.store import tickets
from airflow_provider_servicenow_dq.tickets.notes import note_hash
from airflow_provider_servicenow_dq.tickets.text import stump

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_servicenow_dq.desk.desk import Desk
    from airflow_provider_servicenow_dq.store.outbox import Address


class Journal(Enum):
    """What a ticket's journal says about a note."""

    THERE = "there"
    MISSING = "missing"
    UNREADABLE = "unreadable"


def find_note(desk: Desk, address: Address, ticket: tickets.Ticket, journal: str, text: str) -> Journal:
    """Return whether a text is in a journal of its ticket.

    It is when the journal holds more entries of that text by us than the deliveries that we know of. That it
    is missing is believed only of a journal that shows all that we know to be in it.

    :param journal: ``work_notes`` or ``comments``.
    """
    with desk.store.snapshot() as connection:
        known = tickets.known_notes(connection, ticket.id)
    names = our_names(desk)
    ours: Counter[str] = Counter()
    others: Counter[str] = Counter()
    for entry in read_journal(desk.table_api, ticket.sys_id):
        (ours if entry.created_by in names else others)[note_hash(entry.element, entry.text)] += 1
    verdict = _judged(ours, journal, text, known)
    # An account without rights on sys_journal_field gets an empty list, not an error, and one without rights
    # on some rows gets the others: without a note that must be there, nothing is proven.
    if verdict is Journal.THERE or (verdict is Journal.MISSING and known):
        return verdict
    shown = read_shown_texts(desk.table_api, address.table, [ticket.sys_id]).get(ticket.sys_id, {})
    if journal not in shown:
        return Journal.UNREADABLE
    texts = Counter(note_hash(name, each) for name, found in shown.items() for each in found)
    return _judged(texts - others, journal, text, known)


def our_texts(desk: Desk, address: Address, sys_id: str) -> list[str]:
    """Return what we have written into a record's journals, as far as the account may see that.

    Where the rows of its journals cannot be read, everything that its form shows counts as ours.
    """
    names = our_names(desk)
    if entries := read_journal(desk.table_api, sys_id):
        return [entry.text for entry in entries if entry.created_by in names]
    shown = read_shown_texts(desk.table_api, address.table, [sys_id]).get(sys_id, {})
    return [text for found in shown.values() for text in found]


def _judged(seen: Counter[str], journal: str, text: str, known: Mapping[str, int]) -> Journal:
    """Return what may be said of a text.

    :param seen: How often each text can be seen in the journals, by its hash.
    :param known: How often it is known to be there.
    """

    def is_new(wanted: str) -> bool:
        return seen[wanted] > known.get(wanted, 0)

    if is_new(note_hash(journal, text)):
        return Journal.THERE
    if any(seen[wanted] < times for wanted, times in known.items()):
        return Journal.UNREADABLE
    # Of a text that lost its end this may be what is left, and it may be another text.
    return Journal.UNREADABLE if is_new(note_hash(journal, stump(text))) else Journal.MISSING
