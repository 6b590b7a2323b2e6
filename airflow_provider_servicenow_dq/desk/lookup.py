"""Looking at the instance before anything is decided, for many tickets in few requests."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_servicenow_dq.anomalies.model import key_of
from airflow_provider_servicenow_dq.client.ids import IDS_AT_ONCE
from airflow_provider_servicenow_dq.client.journal import read_shown_texts
from airflow_provider_servicenow_dq.client.query import Query
from airflow_provider_servicenow_dq.desk.delivery.ourselves import our_names
from airflow_provider_servicenow_dq.desk.order import CORRELATION
from airflow_provider_servicenow_dq.desk.places import key_column
from airflow_provider_servicenow_dq.desk.places.foreign import foreign_sys_id, is_foreign
from airflow_provider_servicenow_dq.desk.places.group import holds_many
from airflow_provider_servicenow_dq.desk.pulling.standing import entries_there
from airflow_provider_servicenow_dq.store import instances, key_columns, pulling, tickets
from airflow_provider_servicenow_dq.store.bulk import batches
from airflow_provider_servicenow_dq.store.tickets import UNKNOWN, Ticket
from airflow_provider_servicenow_dq.tickets.incident import is_worked_on
from airflow_provider_servicenow_dq.tickets.notes import JOURNALS, note_hash
from airflow_provider_servicenow_dq.tickets.states import INCIDENT
from airflow_provider_servicenow_dq.tickets.ticket import COLUMNS, sys_id_for
from airflow_provider_servicenow_dq.tickets.told import first_told, with_second_told

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from sqlalchemy.engine import Connection

    from airflow_provider_servicenow_dq.desk.desk import Desk
    from airflow_provider_servicenow_dq.store.outbox import Address


#: Journals in one answer: each may be long.
_SHOWN_AT_ONCE: Final = 20

Record = dict[str, Any]


def look(desk: Desk, addresses: Iterable[Address], *, run: str) -> None:
    """Bring what the store knows of the newest tickets at these addresses up to date.

    Looks by sys_id first (the instance indexes it), then by correlation id. Only rows whose correlation id
    is exactly ours are ours; a ticket that somebody else has opened is known by its sys_id alone. A ticket
    that we knew and that the instance does not show any more becomes ``unknown``.

    :param run: The DAG run that looks; tickets it finds for the first time are *adopted* in it.
    :raises NoKeyColumnError: If their table has no column by which tickets are found again.
    :raises ValueError: If one is of another instance: there it would seem to be gone.
    """
    asked = list(dict.fromkeys(addresses))
    if elsewhere := {address.instance for address in asked} - {desk.host}:
        raise ValueError(f"{desk.host} has no tickets of {', '.join(sorted(elsewhere))}")
    for chunk in batches(asked, IDS_AT_ONCE):
        with desk.store.snapshot() as connection:
            known = tickets.at(connection, chunk)
        rows = _find(desk, chunk, known)
        if rows:
            # Whoever finds a note of ours in doubt later has to know under which name it was written.
            our_names(desk)
        fresh = _fresh(rows, known)
        texts = count_texts(desk, chunk[0].table, fresh) if fresh else {}
        there = entries_there(desk, chunk[0].table, fresh) if fresh else {}
        with desk.store.begin() as connection:
            learn(connection, desk, rows)
            # Read again: a look that took long must not overwrite what was written meanwhile.
            current = tickets.at(connection, chunk, for_update=True)
            # In one order for all: else two that adopt the same tickets wait for each other.
            for address in sorted(chunk):
                found = rows.get(address, [])
                _keep(connection, desk, address, found, current.get(address, []), texts, there, run)
                _miss(connection, desk, found, known.get(address, [])[:1])


def find_rows(desk: Desk, address: Address) -> list[Record]:
    """Return the records of one address as they are on the instance now, oldest first."""
    return _find(desk, [address], {}).get(address, [])


def find_all_rows(desk: Desk, addresses: Iterable[Address]) -> dict[Address, list[Record]]:
    """Return the records of addresses of one table as they are on the instance now, oldest first."""
    found: dict[Address, list[Record]] = {}
    for chunk in batches(sorted(set(addresses)), IDS_AT_ONCE):
        found |= _find(desk, chunk, {})
    return found


def _find(
    desk: Desk, addresses: Sequence[Address], known: dict[Address, list[Ticket]]
) -> dict[Address, list[Record]]:
    table = addresses[0].table
    foreign = {sys_id: address for address in addresses if (sys_id := foreign_sys_id(address))}
    by_correlation = {address.correlation_id: address for address in addresses if not is_foreign(address)}
    # Tickets of others are found in tables, too, where ours could not be.
    column = _key_column(desk, table) if by_correlation else CORRELATION
    fields = columns_with(column)
    ids = {sys_id_for(table, correlation) for correlation in by_correlation} | foreign.keys()
    ids |= {ticket.sys_id for found in known.values() for ticket in found[:1]}
    rows: dict[str, Record] = {}
    for chunk in batches(sorted(ids), IDS_AT_ONCE):
        for row in desk.table_api.first_page(
            table, Query.any_of("sys_id", chunk), fields=fields, limit=IDS_AT_ONCE
        ):
            rows[row["sys_id"]] = row
    # Where only a project tells what a state means, a ticket that looks open may have a successor.
    settled = {
        row.get(column) for row in rows.values() if table == INCIDENT and is_worked_on(row.get("state") or "")
    }
    rest = [correlation for correlation in by_correlation if correlation not in settled]
    if rest:
        query = Query.any_of(column, rest)
        rows |= {row["sys_id"]: row for row in desk.table_api.find(table, query, fields=fields)}
    found: dict[Address, list[Record]] = {}
    for row in sorted(rows.values(), key=lambda row: (row.get("sys_created_on") or "", row["sys_id"])):
        ours, theirs = by_correlation.get(row.get(column) or ""), foreign.get(row["sys_id"])
        for address in filter(None, (ours, theirs)):
            found.setdefault(address, []).append(row)
    return found


def columns_with(column: str) -> Sequence[str]:
    """Return the columns that we keep of a ticket, with the one by which its table's tickets are known."""
    return COLUMNS if column in COLUMNS else (*COLUMNS, column)


def _key_column(desk: Desk, table: str) -> str:
    with desk.store.snapshot() as connection:
        known = key_columns.get(connection, desk.host, table)
    return key_column.proven(desk, table, known)


def learn(connection: Connection, desk: Desk, rows: dict[Address, list[Record]]) -> None:
    """Remember that the instance honours our sys_ids, if a record bears one."""
    honoured = any(
        row["sys_id"] == sys_id_for(address.table, address.correlation_id)
        for address, found in rows.items()
        for row in found
    )
    if honoured and not instances.get(connection, desk.host).honours_sys_id:
        instances.learn(connection, desk.host, honours_sys_id=True)


def _keep(
    connection: Connection,
    desk: Desk,
    address: Address,
    rows: list[Record],
    known: list[Ticket],
    texts: dict[str, Counter[str]],
    there: dict[str, list[str]],
    run: str,
) -> None:
    now = desk.now()
    remembered = {ticket.sys_id: ticket for ticket in known}
    for row in rows:
        ticket = remembered.get(row["sys_id"])
        if ticket is None:
            counted, entries = texts.get(row["sys_id"], Counter()), there.get(row["sys_id"])
            adopt(connection, address, row, run=run, now=now, known_texts=counted, entries=entries)
        else:
            _update(connection, ticket, row, now)


def _update(connection: Connection, ticket: Ticket, row: Record, now: datetime) -> None:
    """Take over what a look has shown, unless something newer was written meanwhile."""
    if (ticket.record.get("sys_updated_on") or "") <= (row.get("sys_updated_on") or ""):
        tickets.change(connection, ticket, record=row, changed_at=now)


def keep(connection: Connection, desk: Desk, address: Address, row: Record, *, now: datetime) -> Ticket:
    """Remember a ticket of ours as a look has shown it, whether it was known or not."""
    known = {ticket.sys_id: ticket for ticket in tickets.at(connection, [address]).get(address, [])}
    ticket = known.get(row["sys_id"])
    if ticket is None:
        return adopt_found(connection, desk, address, row, run="")
    _update(connection, ticket, row, now)
    return tickets.by_ids(connection, [ticket.id])[ticket.id]


def refresh(desk: Desk, ticket: Ticket) -> None:
    """Look at one ticket again."""
    table = ticket.address.table
    rows = desk.table_api.first_page(table, Query.equals({"sys_id": ticket.sys_id}), fields=COLUMNS, limit=1)
    with desk.store.begin() as connection:
        if rows:
            _update(connection, ticket, rows[0], desk.now())
        else:
            _miss(connection, desk, [], [ticket])


def _miss(connection: Connection, desk: Desk, rows: list[Record], asked: list[Ticket]) -> None:
    """Write down that a ticket was asked for by its sys_id and is not shown any more."""
    shown = {row["sys_id"] for row in rows}
    for ticket in asked:
        if ticket.sys_id not in shown:
            tickets.change(connection, ticket, state=UNKNOWN, changed_at=desk.now())


def adopt(
    connection: Connection,
    address: Address,
    row: Record,
    *,
    run: str,
    now: datetime,
    known_texts: Counter[str],
    entries: Sequence[str] | None = None,
) -> Ticket:
    """Remember a ticket that this store did not know; what we wrote into its journal counts as delivered.

    :param entries: The journal entries of the second of its last update, where they were read.
    """
    ticket = tickets.add(
        connection,
        address,
        row,
        made=False,
        created_by_us=not is_foreign(address),
        opened_in=None,
        adopted_in=run,
        seen=0,
        seen_at_note=0,
        noted_at=now,
        severity="info",
        changed_at=now,
    )
    if known_texts:
        tickets.know_notes(connection, ticket.id, known_texts)
    if entries is not None and ticket.told == first_told(row, made=False):
        pulling.know_entries(connection, address.instance, ((entry, ticket.id) for entry in entries))
        tickets.change(connection, ticket, told=with_second_told(ticket.told))
    if not (holds_many(address) or is_foreign(address)):
        tickets.link(connection, ticket.id, [key_of(address.correlation_id)], now=now)
    return ticket


def adopt_found(connection: Connection, desk: Desk, address: Address, row: Record, *, run: str) -> Ticket:
    """Take over a ticket that somebody else has just opened for the same problem."""
    return adopt(connection, address, row, run=run, now=desk.now(), known_texts=Counter())


def _fresh(rows: dict[Address, list[Record]], known: dict[Address, list[Ticket]]) -> list[Record]:
    """Return the records of tickets that the store does not know yet."""
    remembered = {ticket.sys_id for found in known.values() for ticket in found}
    return [row for found in rows.values() for row in found if row["sys_id"] not in remembered]


def count_texts(desk: Desk, table: str, rows: Sequence[Record]) -> dict[str, Counter[str]]:
    """Count the texts that we have written into the journals of records, by their hashes."""
    by_us = Query.any_of("sys_created_by", sorted(our_names(desk)))
    counted: dict[str, Counter[str]] = {}
    for chunk in batches([row["sys_id"] for row in rows], IDS_AT_ONCE):
        query = Query.any_of("element_id", chunk).also(Query.any_of("element", JOURNALS)).also(by_us)
        fields = ("element_id", "element", "value")
        for entry in desk.table_api.find("sys_journal_field", query, fields=fields):
            text = note_hash(entry.get("element") or "", entry.get("value") or "")
            counted.setdefault(entry["element_id"], Counter())[text] += 1
    # Every note counts as a change of its record.
    changed = [row["sys_id"] for row in rows if row.get("sys_mod_count") != "0"]
    return counted if counted or not changed else _count_shown_texts(desk, table, changed)


def _count_shown_texts(desk: Desk, table: str, sys_ids: Sequence[str]) -> dict[str, Counter[str]]:
    """Count the texts in journals as forms show them, where nothing of the journal table can be read.

    An account without rights on that table gets no rows, not an error.
    """
    for chunk in batches(sys_ids, IDS_AT_ONCE):
        any_entry = Query.any_of("element_id", chunk)
        if desk.table_api.first_page("sys_journal_field", any_entry, fields=("sys_id",), limit=1):
            return {}
    return {
        sys_id: Counter(note_hash(name, text) for name in journals for text in journals[name])
        for chunk in batches(sys_ids, _SHOWN_AT_ONCE)
        for sys_id, journals in read_shown_texts(desk.table_api, table, chunk).items()
    }


def read_list(desk: Desk, record: Record) -> list[str]:
    """Return the texts of a ticket that holds many anomalies: its description and its work notes."""
    query = Query.equals({"element_id": record["sys_id"], "element": "work_notes"})
    entries = desk.table_api.find("sys_journal_field", query, fields=("value",))
    return [record.get("description") or "", *(entry.get("value") or "" for entry in entries)]
