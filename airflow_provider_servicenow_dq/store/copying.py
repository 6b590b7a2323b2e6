"""What a store knows about some work, copied into another store, so that the work can be tried out there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from airflow_provider_servicenow_dq.store import outbox, schema
from airflow_provider_servicenow_dq.store.bulk import batches, upsert

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from sqlalchemy.engine import Connection

_OF_THE_INSTANCE: Final = (schema.instance, schema.account, schema.key_column)
_Rows = list[dict[str, Any]]


def copy_work(
    source: Connection,
    target: Connection,
    *,
    instance: str,
    keys: Collection[str],
    correlations: Collection[str],
    run: str,
) -> None:
    """Copy what one instance's tickets, links and outbox say about some anomalies.

    What is being sent counts as waiting: a try-out decides about it anew. Claims stay behind.

    :param keys: Keys of the anomalies.
    :param correlations: Correlation ids of the tickets that they may have.
    :param run: The DAG run, whose number of new tickets counts.
    """
    for table in _OF_THE_INSTANCE:
        _put(target, table, _read(source, table, table.c.host == instance))
    entries = _matching(
        source, schema.outbox, schema.outbox.c.key, keys, schema.outbox.c.instance == instance
    )
    correlations = {*correlations, *(row["correlation_id"] for row in entries)}
    entries += _matching(
        source,
        schema.outbox,
        schema.outbox.c.correlation_id,
        correlations,
        schema.outbox.c.instance == instance,
    )
    linked = _matching(source, schema.link, schema.link.c.key, keys)
    ids = {row["ticket_id"] for row in (*entries, *linked)} - {None}
    of_instance = schema.ticket.c.instance == instance
    tickets = [
        *_matching(source, schema.ticket, schema.ticket.c.correlation_id, correlations, of_instance),
        *_matching(source, schema.ticket, schema.ticket.c.id, ids, of_instance),
        *_read(source, schema.ticket, schema.ticket.c.opened_in == run, of_instance),
    ]
    ids = {row["id"] for row in tickets}
    links = _matching(source, schema.link, schema.link.c.ticket_id, ids)
    members = {*keys, *(row["key"] for row in links)}
    _put(target, schema.anomaly, _matching(source, schema.anomaly, schema.anomaly.c.key, members))
    _put(target, schema.occurrence, _newest_occurrences(source, keys))
    _put(target, schema.check_pass, _matching(source, schema.check_pass, schema.check_pass.c.key, keys))
    _put(target, schema.ticket, tickets)
    _put(target, schema.link, links)
    _put(target, schema.known_note, _matching(source, schema.known_note, schema.known_note.c.ticket_id, ids))
    in_cases = _matching(source, schema.case_finding, schema.case_finding.c.key, members)
    found = {row["correlation_id"] for row in tickets} | correlations
    cases = [
        *_matching(source, schema.case, schema.case.c.id, {row["case_id"] for row in in_cases}),
        *_matching(source, schema.case, schema.case.c.correlation_id, found),
    ]
    _put(target, schema.case, cases)
    _put(target, schema.case_finding, in_cases)
    _put(target, schema.case_number, _read(source, schema.case_number))
    sys_ids = {row["sys_id"] for row in tickets}
    said = (schema.change.c.instance == instance, schema.change.c.text_hash.is_not(None))
    _put(target, schema.change, _matching(source, schema.change, schema.change.c.sys_id, sys_ids, *said))
    _put(target, schema.outbox, [_waiting(row, ids) for row in entries])


def _newest_occurrences(source: Connection, keys: Iterable[str]) -> _Rows:
    """Return when each anomaly was seen last; how often before that decides nothing."""
    table, others = schema.occurrence, schema.occurrence.alias()
    newest = sa.select(sa.func.max(_seen_at(others))).where(others.c.key == table.c.key).scalar_subquery()
    return _matching(source, table, table.c.key, keys, _seen_at(table) == newest)


def _seen_at(occurrences: sa.FromClause) -> sa.ColumnElement[Any]:
    return sa.func.coalesce(occurrences.c.detected_at, occurrences.c.recorded_at)


def _waiting(row: dict[str, Any], tickets: Collection[int]) -> dict[str, Any]:
    state = outbox.PENDING if row["state"] == outbox.SENDING else row["state"]
    ticket_id = row["ticket_id"] if row["ticket_id"] in tickets else None
    return {**row, "state": state, "ticket_id": ticket_id}


def _matching(
    source: Connection,
    table: sa.Table,
    column: sa.Column[Any],
    values: Iterable[Any],
    *conditions: sa.ColumnElement[bool],
) -> _Rows:
    found: _Rows = []
    for batch in batches(values):
        found += _read(source, table, column.in_(batch), *conditions)
    return found


def _read(source: Connection, table: sa.Table, *conditions: sa.ColumnElement[bool]) -> _Rows:
    return [dict(row) for row in source.execute(sa.select(table).where(*conditions)).mappings()]


def _put(target: Connection, table: sa.Table, rows: _Rows) -> None:
    names = [column.name for column in table.primary_key]
    unique = {tuple(row[name] for name in names): row for row in rows}
    for batch in batches(unique.values()):
        upsert(target, table, batch, keys=names)
