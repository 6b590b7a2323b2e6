"""Tickets as whoever pulls sees them: which there are, what was told of them, and how far was read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import sqlalchemy as sa

from airflow_provider_servicenow_dq.store import outbox, schema
from airflow_provider_servicenow_dq.store.bulk import batches, upsert
from airflow_provider_servicenow_dq.store.outbox import Address
from airflow_provider_servicenow_dq.tickets.told import Told, first_told

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy.engine import Connection

_table: Final = schema.ticket
_watermarks: Final = schema.watermark
_entries: Final = schema.journal_entry


class Watermark(NamedTuple):
    """How far the changes of a table were read.

    :param read_to: By the instance's clock.
    :param ahead_s: By how many seconds that clock was ahead of ours.
    """

    read_to: datetime
    ahead_s: float


@dataclass(frozen=True, slots=True)
class Pulled:
    """A ticket that is about to be compared with what the instance shows.

    :param state: As it was last seen, or ``unknown``.
    :param journal_told_to: Up to when its journals were read.
    :param journal_due: They were not read when it changed.
    """

    id: int
    address: Address
    sys_id: str
    number: str
    state: str
    record: dict[str, Any]
    told: Told
    journal_told_to: datetime | None
    journal_due: bool
    is_new: bool


def watermark(connection: Connection, instance: str, table: str) -> Watermark | None:
    """Return how far the changes of a table were read; None if they never were."""
    row = connection.execute(
        sa.select(_watermarks.c.read_to, _watermarks.c.ahead_s).where(
            _watermarks.c.host == instance, _watermarks.c.table_name == table
        )
    ).one_or_none()
    return None if row is None else Watermark(*row)


def move_watermark(connection: Connection, instance: str, table: str, to: Watermark) -> None:
    """Write down how far the changes of a table were read."""
    row = {"host": instance, "table_name": table, **to._asdict()}
    upsert(connection, _watermarks, [row], keys=("host", "table_name"), update=to._fields)


def known(connection: Connection, instance: str, table: str, sys_ids: Iterable[str]) -> dict[str, int]:
    """Return the ids of those of these records that are tickets of ours, by sys_id."""
    return {
        row.sys_id: row.id
        for batch in batches(sys_ids)
        for row in connection.execute(
            sa.select(_table.c.sys_id, _table.c.id).where(
                _table.c.instance == instance, _table.c.table_name == table, _table.c.sys_id.in_(batch)
            )
        )
    }


def all_of(connection: Connection, instance: str, table: str) -> dict[str, int]:
    """Return the ids of all tickets of a table, by sys_id."""
    return _ids(connection, instance, table)


def never_pulled(connection: Connection, instance: str, table: str) -> dict[str, int]:
    """Return the ids of tickets that no pull has seen yet, by sys_id."""
    return _ids(connection, instance, table, _table.c.pulled_at.is_(None))


def count(connection: Connection, instance: str, table: str) -> int:
    """Return how many tickets of a table there are."""
    return connection.execute(
        sa.select(sa.func.count())
        .select_from(_table)
        .where(_table.c.instance == instance, _table.c.table_name == table)
    ).scalar_one()


def longest_unseen(
    connection: Connection, instance: str, table: str, *, besides: Collection[str], limit: int
) -> dict[str, int]:
    """Return the ids of the tickets that a pull has not seen for longest, by sys_id.

    :param besides: States of those that do not count.
    """
    rows = connection.execute(
        sa.select(_table.c.sys_id, _table.c.id)
        .where(
            _table.c.instance == instance,
            _table.c.table_name == table,
            _table.c.pulled_at.is_not(None),
            _table.c.state.not_in(sorted(besides)),
        )
        .order_by(_table.c.pulled_at, _table.c.id)
        .limit(limit)
    )
    return {row.sys_id: row.id for row in rows}


def with_journals_due(connection: Connection, instance: str, table: str) -> dict[str, int]:
    """Return the ids of tickets whose journals were not read when they changed, by sys_id."""
    return _ids(connection, instance, table, _table.c.journal_due.is_(True))


def _ids(
    connection: Connection, instance: str, table: str, *conditions: sa.ColumnElement[bool]
) -> dict[str, int]:
    rows = connection.execute(
        sa.select(_table.c.sys_id, _table.c.id)
        .where(_table.c.instance == instance, _table.c.table_name == table, *conditions)
        .order_by(_table.c.id)
    )
    return {row.sys_id: row.id for row in rows}


def by_ids(connection: Connection, ids: Iterable[int], *, for_update: bool = False) -> dict[str, Pulled]:
    """Return tickets, by sys_id.

    :param for_update: Nobody else changes them until the end of the transaction; who only refers to them
        need not wait.
    """
    found: dict[str, Pulled] = {}
    for batch in batches(sorted(set(ids))):
        # In one order for all: else two that lock the same rows wait for each other.
        wanted = sa.select(_table).where(_table.c.id.in_(batch)).order_by(_table.c.id)
        if for_update:
            wanted = wanted.with_for_update(key_share=True)
        for row in connection.execute(wanted):
            found[row.sys_id] = Pulled(
                id=row.id,
                address=Address(row.instance, row.table_name, row.correlation_id),
                sys_id=row.sys_id,
                number=row.number,
                state=row.state,
                record=row.record,
                told=row.told or first_told(row.record, made=False),
                journal_told_to=row.journal_told_to,
                journal_due=row.journal_due,
                is_new=row.pulled_at is None,
            )
    return found


def save(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write down what a pull has seen; each row has the ``id`` of its ticket, and all the same columns."""
    if not rows:
        return
    names = [name for name in rows[0] if name != "id"]
    changing = (
        _table.update()
        .where(_table.c.id == sa.bindparam("of_ticket"))
        .values({name: sa.bindparam(f"new_{name}", type_=_table.c[name].type) for name in names})
    )
    values = [{"of_ticket": row["id"], **{f"new_{name}": row[name] for name in names}} for row in rows]
    for batch in batches(values):
        connection.execute(changing, batch)


def seen(connection: Connection, ids: Iterable[int], *, now: datetime) -> None:
    """Write down that a pull has seen tickets as they were."""
    for batch in batches(sorted(ids)):
        # First, and in one order for all: an update takes rows as they lie.
        rows = sa.select(_table.c.id).where(_table.c.id.in_(batch)).order_by(_table.c.id)
        connection.execute(rows.with_for_update(key_share=True))
        connection.execute(_table.update().where(_table.c.id.in_(batch)).values(pulled_at=now))


def members(connection: Connection, ids: Iterable[int]) -> dict[int, list[str]]:
    """Return the keys of the anomalies on tickets, by the tickets' ids."""
    links = schema.link
    found: dict[int, list[str]] = {}
    for batch in batches(ids):
        rows = connection.execute(
            sa.select(links.c.ticket_id, links.c.key)
            .where(links.c.ticket_id.in_(batch))
            .order_by(links.c.ticket_id, links.c.key)
        )
        for row in rows:
            found.setdefault(row.ticket_id, []).append(row.key)
    return found


def known_notes(connection: Connection, ids: Iterable[int]) -> dict[int, set[str]]:
    """Return the hashes of the texts that are known to be on tickets, by the tickets' ids."""
    notes = schema.known_note
    found: dict[int, set[str]] = {}
    for batch in batches(ids):
        rows = connection.execute(
            sa.select(notes.c.ticket_id, notes.c.text_hash).where(notes.c.ticket_id.in_(batch))
        )
        for row in rows:
            found.setdefault(row.ticket_id, set()).add(row.text_hash)
    return found


def under_way(connection: Connection, addresses: Collection[Address]) -> dict[Address, list[dict[str, Any]]]:
    """Return the writes of ours at addresses of one table of which it is not known yet what came of them."""
    entries = schema.outbox
    found: dict[Address, list[dict[str, Any]]] = {}
    for batch in batches(sorted(set(addresses))):
        rows = connection.execute(
            sa.select(
                entries.c.instance, entries.c.table_name, entries.c.correlation_id, entries.c.write
            ).where(
                entries.c.instance == batch[0].instance,
                entries.c.table_name == batch[0].table,
                entries.c.correlation_id.in_([address.correlation_id for address in batch]),
                entries.c.state.not_in(tuple(outbox.ENDED)),
                entries.c.attempts > 0,
            )
        )
        for *place, write in rows:
            if write and write.get("values"):
                found.setdefault(Address(*place), []).append(write)
    return found


def unknown_entries(connection: Connection, instance: str, entry_ids: Collection[str]) -> set[str]:
    """Return those of these journal entries that are not known yet."""
    unknown = set(entry_ids)
    for batch in batches(sorted(entry_ids)):
        unknown -= set(
            connection.execute(
                sa.select(_entries.c.entry_id).where(
                    _entries.c.instance == instance, _entries.c.entry_id.in_(batch)
                )
            ).scalars()
        )
    return unknown


def know_entries(connection: Connection, instance: str, entries: Iterable[tuple[str, int]]) -> None:
    """Remember journal entries.

    :param entries: Their sys_ids, with the ids of the tickets that they are on.
    """
    for batch in batches(sorted(set(entries))):
        rows = [
            {"instance": instance, "entry_id": entry_id, "ticket_id": ticket_id}
            for entry_id, ticket_id in batch
        ]
        upsert(connection, _entries, rows, keys=("instance", "entry_id"))
