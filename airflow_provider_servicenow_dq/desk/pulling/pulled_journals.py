"""The journals of tickets that have changed: what stands there since they were read last."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_servicenow_dq.client.ids import IDS_AT_ONCE
from airflow_provider_servicenow_dq.client.journal import read_shown_texts
from airflow_provider_servicenow_dq.client.query import Query
from airflow_provider_servicenow_dq.client.recent import since
from airflow_provider_servicenow_dq.client.stamps import moment_or_none
from airflow_provider_servicenow_dq.store.bulk import batches
from airflow_provider_servicenow_dq.tickets import told
from airflow_provider_servicenow_dq.tickets.notes import JOURNALS, note_hash

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_servicenow_dq.desk.desk import Desk
    from airflow_provider_servicenow_dq.store.pulling import Pulled

#: Journals in one answer: each may be long.
_SHOWN_AT_ONCE: Final = 20
#: Entries are committed late as well, and a ticket's clock was that of another moment.
_AGAIN: Final = timedelta(minutes=10)

_FIELDS: Final = ("sys_id", "element_id", "element", "value", "sys_created_by", "sys_created_on")

_UNREADABLE: Final = (
    "Work notes and comments cannot be read: the account sees nothing in sys_journal_field. What forms show "
    "is taken instead, without author and time; let the account read that table"
)


@dataclass(frozen=True, slots=True)
class Entry:
    """A work note or a comment.

    :param entry_id: Its sys_id; empty where only the text could be read.
    :param element: ``work_notes`` or ``comments``.
    :param created_on: UTC, as the instance writes it; empty where only the text could be read.
    """

    entry_id: str
    element: str
    text: str
    created_by: str
    created_on: str

    @property
    def text_hash(self) -> str:
        """By which the text is known again on its ticket."""
        return note_hash(self.element, self.text)


@dataclass(frozen=True, slots=True)
class Journals:
    """What was read.

    :param entries: By the sys_id of the ticket, oldest first.
    :param shown: All texts of tickets by journal, where entries cannot be read, as their hashes.
    :param read: Whose journals were read.
    """

    entries: Mapping[str, Sequence[Entry]] = field(default_factory=dict)
    shown: Mapping[str, Sequence[Entry]] = field(default_factory=dict)
    read: frozenset[str] = frozenset()
    warnings: Sequence[str] = ()


def read(
    desk: Desk, table: str, tickets: Sequence[Pulled], rows: Mapping[str, Any], *, now: datetime
) -> Journals:
    """Return the entries of tickets that are newer than what was read of them.

    :param rows: The tickets' records, by sys_id.
    :param now: By the instance's clock.
    """
    # Those read at the same time together: each chunk begins where the longest unread one does.
    written_on = [ticket for ticket in tickets if rows[ticket.sys_id].get("sys_mod_count") != "0"]
    in_order = sorted(written_on, key=lambda ticket: _begin(ticket, rows[ticket.sys_id]))

    def chunk_of(chunk: Sequence[Pulled]) -> list[dict[str, Any]]:
        begin = min(_begin(ticket, rows[ticket.sys_id]) for ticket in chunk)
        query = (
            Query.any_of("element_id", [ticket.sys_id for ticket in chunk])
            .also(Query.any_of("element", JOURNALS))
            .also(since("sys_created_on", begin - _AGAIN, now=now))
        )
        return list(desk.table_api.find("sys_journal_field", query, fields=_FIELDS))

    found: dict[str, list[Entry]] = {}
    with ThreadPoolExecutor(max_workers=desk.config.max_concurrency) as pool:
        for part in pool.map(chunk_of, batches(in_order, IDS_AT_ONCE)):
            for row in part:
                found.setdefault(row["element_id"], []).append(_entry(row))
    everyone = frozenset(ticket.sys_id for ticket in tickets)
    unexplained = [ticket for ticket in written_on if _is_unexplained(ticket, rows[ticket.sys_id])]
    if not found and unexplained and not _is_readable(desk):
        shown = _shown(desk, table, [ticket.sys_id for ticket in unexplained])
        return Journals(shown=shown, read=everyone, warnings=[_UNREADABLE])
    ordered = {
        sys_id: sorted(entries, key=lambda entry: (entry.created_on, entry.entry_id))
        for sys_id, entries in found.items()
    }
    return Journals(ordered, read=everyone)


def _begin(ticket: Pulled, row: Mapping[str, Any]) -> datetime:
    if ticket.journal_told_to is not None:
        return ticket.journal_told_to
    known = (
        told.journal_after(ticket.told) or ticket.record.get("sys_created_on") or row.get("sys_created_on")
    )
    return moment_or_none(known) or datetime(1990, 1, 1, tzinfo=UTC)


def _entry(row: Mapping[str, Any]) -> Entry:
    return Entry(
        entry_id=row["sys_id"],
        element=row.get("element") or "",
        text=row.get("value") or "",
        created_by=row.get("sys_created_by") or "",
        created_on=row.get("sys_created_on") or "",
    )


def _is_unexplained(ticket: Pulled, row: Mapping[str, Any]) -> bool:
    """Whether something has changed of which no column tells: perhaps a journal does."""
    return not told.differences(ticket.told, row, ())


def _is_readable(desk: Desk) -> bool:
    """Whether any entry of any journal can be read; an account without rights gets no rows, not an error."""
    return bool(desk.table_api.first_page("sys_journal_field", Query(), fields=("sys_id",), limit=1))


def _shown(desk: Desk, table: str, sys_ids: Sequence[str]) -> dict[str, list[Entry]]:
    """Return all texts in journals as forms show them, oldest first."""
    return {
        sys_id: [
            Entry("", name, text.strip(), "", "")
            for name in JOURNALS
            for text in reversed(journals.get(name, []))
        ]
        for chunk in batches(sys_ids, _SHOWN_AT_ONCE)
        for sys_id, journals in read_shown_texts(desk.table_api, table, chunk).items()
    }


def counted(entries: Sequence[Entry]) -> Counter[str]:
    """Return how often each text stands there, by its hash."""
    return Counter(entry.text_hash for entry in entries)
