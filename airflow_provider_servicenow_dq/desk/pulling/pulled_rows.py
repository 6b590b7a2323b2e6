"""What a pull has seen, compared with what was told, and written down."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_servicenow_dq.anomalies.model import key_of
from airflow_provider_servicenow_dq.client.paging_by_time import STAMP
from airflow_provider_servicenow_dq.client.stamps import moment_or_none
from airflow_provider_servicenow_dq.desk.delivery.ourselves import our_names
from airflow_provider_servicenow_dq.desk.pulling import pulled_cases
from airflow_provider_servicenow_dq.desk.pulling.pulled_cases import Changed
from airflow_provider_servicenow_dq.desk.pulling.pulled_texts import Texts
from airflow_provider_servicenow_dq.store import anomalies, changes, pulling, tickets
from airflow_provider_servicenow_dq.store.anomalies import Said
from airflow_provider_servicenow_dq.store.changes import Change
from airflow_provider_servicenow_dq.store.tickets import UNKNOWN
from airflow_provider_servicenow_dq.tickets import told
from airflow_provider_servicenow_dq.tickets.text import cut, text_hash
from airflow_provider_servicenow_dq.tickets.ticket import iso

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlalchemy.engine import Connection

    from airflow_provider_servicenow_dq.anomalies.model import Status
    from airflow_provider_servicenow_dq.desk.desk import Desk
    from airflow_provider_servicenow_dq.desk.pulling.pulled_journals import Entry, Journals
    from airflow_provider_servicenow_dq.projects.project import Project
    from airflow_provider_servicenow_dq.store.anomalies import Named
    from airflow_provider_servicenow_dq.store.pulling import Pulled
    from airflow_provider_servicenow_dq.tickets.told import Difference

Record = dict[str, Any]

#: Version of the shape of a change, in every item, for whoever reads old XComs.
SCHEMA_VERSION: Final = 1

#: A column of a journal holds sixteen million characters.
_LONGEST_TEXT: Final = 16_000

#: What a status is made of.
_OF_STATUS: Final = ("state", "close_code")
#: Columns that have the name of whom they refer to beside them.
_NAMED: Final = ("assigned_to", "assignment_group", "caller_id")
#: Where the state is kept that a ticket had before it was not shown any more.
_HIDDEN_STATE: Final = "hidden_state"


@dataclass(slots=True)
class Outcome:
    """What came of a pull.

    :param tickets: How many were compared.
    :param changes: How many changes were written down, one for each anomaly.
    :param rehearsed: Their content, where nothing is written down.
    """

    tickets: int = 0
    changes: int = 0
    warnings: list[str] = field(default_factory=list)
    rehearsed: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Fact:
    """One thing that somebody did to a ticket.

    :param at: By the instance's clock, as it writes times.
    :param status: What the ticket says of its anomalies now, if that is something new.
    """

    field: str
    old: str | None
    new: str
    at: str
    by: str | None
    status: Status | None = None
    text_hash: str | None = None


def may_be_news(ticket: Pulled, row: Record | None, *, with_notes: bool) -> bool:
    """Whether a record, or that it is not shown any more, may say something that was not told."""
    if row is None:
        return told.column(ticket.told, "state") != UNKNOWN
    if told.differences(ticket.told, row, ()):
        return True
    return not told.journal_was_read(ticket.told, row) and (with_notes or not ticket.journal_due)


def keep(
    desk: Desk,
    rules: Project,
    news: Mapping[str, Record | None],
    journals: Journals,
    *,
    ids: Mapping[str, int],
    noticed_at: str,
    outcome: Outcome,
    dry_run: bool,
) -> None:
    """Write down what is new about tickets, with what it means for their anomalies.

    :param news: Records by sys_id; None for one that is not shown any more.
    :param ids: Of all tickets that were seen, by sys_id.
    :param noticed_at: When, by the instance's clock.
    """
    names = our_names(desk) if news else frozenset()
    with desk.store.begin() as connection:
        pulling.seen(connection, ids.values(), now=desk.now())
        if news:
            comparing = _Comparing(connection, desk, rules, news, journals, names, noticed_at)
            comparing.compare([ids[sys_id] for sys_id in news])
            changes.add(connection, desk.host, comparing.changes, now=desk.now())
            outcome.changes += len(comparing.changes)
            if dry_run:
                outcome.rehearsed += [change.content for change in comparing.changes]
        outcome.tickets += len(ids)
        if dry_run:
            connection.rollback()


class _Comparing:
    def __init__(
        self,
        connection: Connection,
        desk: Desk,
        rules: Project,
        news: Mapping[str, Record | None],
        journals: Journals,
        names: frozenset[str],
        noticed_at: str,
    ) -> None:
        self._connection = connection
        self._desk = desk
        self._rules = rules
        self._news = news
        self._journals = journals
        self._names = names
        self._noticed_at = noticed_at
        self.changes: list[Change] = []

    def compare(self, ids: Sequence[int]) -> None:
        connection = self._connection
        known = pulling.by_ids(connection, ids, for_update=True)
        under_way = pulling.under_way(connection, [ticket.address for ticket in known.values()])
        members = pulling.members(connection, ids)
        called = anomalies.names(connection, {key for keys in members.values() for key in keys})
        texts = Texts(connection, self._desk.host, known, self._journals, under_way, self._names)
        facts: list[tuple[Pulled, _Fact]] = []
        for ticket in known.values():
            row = self._news[ticket.sys_id]
            writes = [write["values"] for write in under_way.get(ticket.address, ())]
            facts += [(ticket, fact) for fact in self._of_columns(ticket, row, writes)]
            facts += [(ticket, self._of_entry(row, entry)) for entry in texts.new(ticket)]
        # As it happened, as far as stamps of a second tell.
        facts.sort(key=lambda each: (each[1].at, each[0].id))
        self.changes = [
            change
            for ticket, fact in facts
            for change in self._changes(ticket, fact, members.get(ticket.id, ()), called)
        ]
        self._feed(facts, members)
        changed = [Changed(each.address, each.sys_id, fact.field, fact.new, fact.by) for each, fact in facts]
        pulled_cases.follow(connection, changed, rules=self._rules, now=self._desk.now())
        texts.remember()
        pulling.save(connection, [self._saved(ticket, texts) for ticket in known.values()])

    def _of_columns(
        self, ticket: Pulled, row: Record | None, writes: Sequence[Mapping[str, str]]
    ) -> Iterator[_Fact]:
        if row is None:
            state = told.column(ticket.told, "state")
            if state != UNKNOWN:
                yield _Fact("state", state, UNKNOWN, self._noticed_at, None)
            return
        if told.is_older(row, ticket.told):
            return  # somebody has read, or written, something newer meanwhile
        by = str(row.get("sys_updated_by") or "")
        differences = told.differences(ticket.told, row, writes)
        says = self._status(ticket, differences, row)
        for difference in differences:
            yield _Fact(
                *difference,
                at=str(row.get(STAMP) or ""),
                by=by if by and by not in self._names else None,
                status=says if difference.field in _OF_STATUS else None,
            )

    def _status(self, ticket: Pulled, differences: Sequence[Difference], row: Record) -> Status | None:
        """Return what the ticket says of its anomalies, if it said something else before."""
        if not (self._rules.sync.feeds_status and {each.field for each in differences} & {*_OF_STATUS}):
            return None
        state = told.column(ticket.told, "state")
        if state == UNKNOWN:
            state = str(ticket.told.get(_HIDDEN_STATE) or "")
        before = self._rules.status_for_state(state, told.column(ticket.told, "close_code"))
        says = self._rules.status_for_state(str(row.get("state") or ""), str(row.get("close_code") or ""))
        return says if says != before else None

    def _of_entry(self, row: Record | None, entry: Entry) -> _Fact:
        at = entry.created_on or str((row or {}).get(STAMP) or "")
        text = cut(entry.text, _LONGEST_TEXT)
        return _Fact(entry.element, None, text, at, entry.created_by or None, text_hash=text_hash(entry.text))

    def _changes(
        self, ticket: Pulled, fact: _Fact, keys: Sequence[str], called: Mapping[str, Named]
    ) -> Iterator[Change]:
        for key in keys:
            name = called.get(key) or _unnamed(ticket, key)
            content = {
                "schema_version": SCHEMA_VERSION,
                "anomaly_id": name.anomaly_id,
                "source": name.source,
                "table": ticket.address.table,
                "ticket": ticket.number or ticket.sys_id,
                "sys_id": ticket.sys_id,
                "field": fact.field,
                "old": fact.old,
                "new": fact.new,
                "at": iso(fact.at),
                "by": fact.by,
                "status": None if fact.status is None else str(fact.status),
            }
            yield Change(
                ticket.address.table, ticket.sys_id, key, fact.field, content, text_hash=fact.text_hash
            )

    def _feed(self, facts: Sequence[tuple[Pulled, _Fact]], members: Mapping[int, Sequence[str]]) -> None:
        """Let anomalies be what their tickets say of them."""
        saying = [(ticket, fact) for ticket, fact in facts if fact.status is not None]
        if not saying:
            return
        found = tickets.at(self._connection, {ticket.address for ticket, _ in saying})
        ahead = self._desk.table_api.transport.clock.ahead
        said: dict[str, list[Said]] = {}
        for ticket, fact in saying:
            # What becomes of a ticket that has a successor says nothing of the problem any more.
            if fact.status is not None and found[ticket.address][0].id == ticket.id:
                changed_at = (moment_or_none(fact.at) or self._desk.now()) - ahead
                for key in members.get(ticket.id, ()):
                    said.setdefault(key, []).append(Said(fact.status, changed_at, ticket.sys_id))
        anomalies.take_statuses(self._connection, said)

    def _saved(self, ticket: Pulled, texts: Texts) -> dict[str, Any]:
        row = self._news[ticket.sys_id]
        now_told = texts.told_of(ticket)
        saved: dict[str, Any] = {
            "id": ticket.id,
            "state": ticket.state,
            "number": ticket.number,
            "record": ticket.record,
            "told": now_told,
            "journal_told_to": ticket.journal_told_to,
            "journal_due": ticket.journal_due,
            "changed_at": self._desk.now(),
        }
        if row is None:
            was = {_HIDDEN_STATE: told.column(ticket.told, "state")}
            return saved | {
                "state": UNKNOWN,
                "told": {**told.with_column(now_told, "state", UNKNOWN), **was},
            }
        is_read = ticket.sys_id in self._journals.read
        if is_read:
            saved |= {"journal_told_to": moment_or_none(row.get(STAMP)), "journal_due": False}
        elif not told.journal_was_read(ticket.told, row):
            saved["journal_due"] = True
        if not told.is_older(row, ticket.told):
            saved["told"] = told.with_record(now_told, row, journal_read=is_read)
        if str(row.get(STAMP) or "") >= str(ticket.record.get(STAMP) or ""):
            saved |= {
                "record": _newer(ticket.record, row),
                "state": str(row.get("state") or ""),
                "number": str(row.get("number") or ticket.number),
            }
        return saved


def _newer(record: Record, row: Record) -> Record:
    """Return a ticket's record with what was read; a name of somebody else than now is none."""
    gone = {f"{name}.name": "" for name in _NAMED if name in row and row[name] != (record.get(name) or "")}
    return {**record, **gone, **row}


def _unnamed(ticket: Pulled, key: str) -> Named:
    """Return what an anomaly is called of which the store knows nothing but its ticket."""
    correlation = ticket.address.correlation_id
    is_its_own = correlation.startswith("dq:") and key_of(correlation) == key
    return anomalies.Named(key, correlation.split(":")[1] if is_its_own else "")
