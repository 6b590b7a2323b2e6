"""Which texts in the journals of tickets are somebody else's, and new."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_servicenow_dq.desk.pulling.pulled_journals import Entry, Journals, counted
from airflow_provider_servicenow_dq.store import pulling
from airflow_provider_servicenow_dq.tickets import told
from airflow_provider_servicenow_dq.tickets.notes import JOURNALS, note_hash

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlalchemy.engine import Connection

    from airflow_provider_servicenow_dq.store.outbox import Address
    from airflow_provider_servicenow_dq.store.pulling import Pulled

#: Where the texts are counted that were told of a ticket whose entries cannot be read.
_SHOWN: Final = "shown"


class Texts:
    """Compares journals with what is known of them, in the transaction that holds their tickets.

    An entry is ours when an account of ours wrote it and its text is known to be ours: people may use the
    same account. Every other one is told once, by its sys_id.

    :param under_way: Writes of ours of which it is not known yet whether they arrived.
    :param names: Of our accounts.
    """

    def __init__(
        self,
        connection: Connection,
        instance: str,
        tickets: Mapping[str, Pulled],
        journals: Journals,
        under_way: Mapping[Address, Sequence[Mapping[str, Any]]],
        names: frozenset[str],
    ) -> None:
        self._connection = connection
        self._instance = instance
        self._journals = journals
        self._names = names
        self._ours = pulling.known_notes(connection, [ticket.id for ticket in tickets.values()])
        for ticket in tickets.values():
            for write in under_way.get(ticket.address, ()):
                hashes = {note_hash(name, text) for name, text in write["values"].items() if name in JOURNALS}
                self._ours[ticket.id] = self._ours.get(ticket.id, set()) | hashes
        theirs = [
            entry.entry_id
            for ticket in tickets.values()
            for entry in journals.entries.get(ticket.sys_id, ())
            if not self._is_ours(ticket, entry)
        ]
        self._unknown = pulling.unknown_entries(connection, instance, theirs)
        self._told_now: list[tuple[str, int]] = []

    def new(self, ticket: Pulled) -> Iterator[Entry]:
        """Yield the entries of a ticket that were not told yet, oldest first."""
        after = told.journal_after(ticket.told)
        for entry in self._journals.entries.get(ticket.sys_id, ()):
            if entry.entry_id in self._unknown and entry.created_on > after:
                self._told_now.append((entry.entry_id, ticket.id))
                yield entry
        if ticket.sys_id in self._journals.shown:
            yield from self._newly_shown(ticket)

    def remember(self) -> None:
        """Write down what was told."""
        pulling.know_entries(self._connection, self._instance, self._told_now)

    def told_of(self, ticket: Pulled) -> told.Told:
        """Return what counts as told of a ticket, as far as only texts could be read."""
        shown = self._journals.shown.get(ticket.sys_id)
        return ticket.told if shown is None else {**ticket.told, _SHOWN: dict(counted(shown))}

    def _is_ours(self, ticket: Pulled, entry: Entry) -> bool:
        return entry.created_by in self._names and entry.text_hash in self._ours.get(ticket.id, ())

    def _newly_shown(self, ticket: Pulled) -> Iterator[Entry]:
        """Yield the texts that forms show and did not show before, where entries cannot be read."""
        shown = self._journals.shown[ticket.sys_id]
        before = ticket.told.get(_SHOWN)
        if before is None and told.journal_after(ticket.told):
            return  # what stood there when the ticket became known cannot be told from what came since
        left = Counter(before or {})
        ours = self._ours.get(ticket.id, set())
        for entry in shown:
            if left[entry.text_hash] > 0:
                left[entry.text_hash] -= 1
            elif entry.text_hash not in ours:
                yield entry
