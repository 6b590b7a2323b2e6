"""Anomalies and their occurrences, as last reported."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import sqlalchemy as sa

from airflow_provider_servicenow_dq.anomalies.model import ARCHIVED_STATUSES, Anomaly, Kind, Status
from airflow_provider_servicenow_dq.store import schema
from airflow_provider_servicenow_dq.store.bulk import batches, insert_into, upsert

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy.engine import Connection

_table: Final = schema.anomaly

#: An instance's times are whole seconds.
_CUT_OFF: Final = timedelta(seconds=1)


class Sighting(NamedTuple):
    """One report of an anomaly: its key, which occurrence it is, and what was said."""

    key: str
    occurrence: str
    anomaly: Anomaly


class Named(NamedTuple):
    """An anomaly as its source knows it."""

    anomaly_id: str | int
    source: str


def remember(connection: Connection, sightings: Iterable[Sighting], *, now: datetime) -> None:
    """Keep the newest content of each anomaly, and every occurrence once."""
    # In one order for all: two transactions that lock the same rows in different orders wait for each other.
    sightings = sorted(sightings, key=lambda sighting: sighting.key)
    sightings = _as_tickets_said(connection, sightings)
    rows = [_anomaly_row(sighting, now) for sighting in sightings]
    _put(connection, rows, update=("severity", "status", "content", "last_seen_at"))
    upsert(
        connection,
        schema.occurrence,
        [
            {
                "key": sighting.key,
                "occurrence": sighting.occurrence,
                "detected_at": sighting.anomaly.detected_at,
                "recorded_at": now,
            }
            for sighting in sightings
        ],
        keys=("key", "occurrence"),
    )


def know_status(connection: Connection, key: str, anomaly: Anomaly, *, now: datetime) -> None:
    """Keep what an anomaly is now; a status older than the one that is known changes nothing."""
    known = connection.execute(sa.select(_table).where(_table.c.key == key).with_for_update()).one_or_none()
    changed_at = anomaly.status_changed_at
    if known is not None and changed_at is not None:
        last = Anomaly.model_validate(known.content).status_changed_at
        if last is not None and last > changed_at:
            return
    row = _anomaly_row(Sighting(key, "", anomaly), now)
    _put(connection, [row], update=("status", "content", "last_seen_at"))


class Said(NamedTuple):
    """What a ticket says of an anomaly.

    :param changed_at: Since when, by our clock.
    :param sys_id: The ticket's.
    """

    status: Status
    changed_at: datetime
    sys_id: str


def take_statuses(connection: Connection, said: Mapping[str, Sequence[Said]]) -> None:
    """Let anomalies be what tickets say of them; what is older than an anomaly's own status changes nothing.

    :param said: By key, the oldest first.
    """
    for batch in batches(sorted(said)):
        # In one order for all: two transactions that lock rows in different orders wait for each other.
        rows = connection.execute(
            sa.select(_table.c.key, _table.c.content, _table.c.status_from)
            .where(_table.c.key.in_(batch))
            .order_by(_table.c.key)
            .with_for_update()
        )
        changed = [_as_said(row, said[row.key]) for row in rows]
        if changed:
            columns = ("status", "content", "status_from")
            new = {name: sa.bindparam(f"new_{name}", type_=_table.c[name].type) for name in columns}
            connection.execute(
                _table.update().where(_table.c.key == sa.bindparam("of_key")).values(new), changed
            )


def _as_said(row: Any, said: Sequence[Said]) -> dict[str, Any]:
    anomaly, sources = Anomaly.model_validate(row.content), list(row.status_from or ())
    # A finding is closed where it was found: what is wrong stays wrong when its ticket is closed.
    for each in said if anomaly.kind is not Kind.SECURITY_FINDING else ():
        last = anomaly.status_changed_at
        if last is not None and last >= each.changed_at + _CUT_OFF:
            continue
        if anomaly.status != each.status:
            moment = each.changed_at if last is None else max(last, each.changed_at)
            anomaly = anomaly.model_copy(update={"status": each.status, "status_changed_at": moment})
            sources = []
        sources = list(dict.fromkeys([*sources, each.sys_id]))
    return {
        "of_key": row.key,
        "new_status": anomaly.status,
        "new_content": anomaly.model_dump(mode="json"),
        "new_status_from": sources or None,
    }


def came_from(connection: Connection, key: str, status: Status) -> set[str]:
    """Return the sys_ids of the tickets that have given an anomaly this status, if it still has it."""
    said = connection.execute(
        sa.select(_table.c.status_from).where(_table.c.key == key, _table.c.status == status)
    ).scalar_one_or_none()
    return set(said or ())


def names(connection: Connection, keys: Iterable[str]) -> dict[str, Named]:
    """Return what sources call anomalies, by their keys."""
    return {
        row.key: Named(_id_of(row.content), row.source)
        for batch in batches(keys)
        for row in connection.execute(
            sa.select(_table.c.key, _table.c.source, _table.c.content).where(_table.c.key.in_(batch))
        )
    }


def contents(connection: Connection, keys: Iterable[str]) -> dict[str, Anomaly]:
    """Return what was last said of anomalies, by their keys."""
    return {
        row.key: Anomaly.model_validate(row.content)
        for batch in batches(keys)
        for row in connection.execute(
            sa.select(_table.c.key, _table.c.content).where(_table.c.key.in_(batch))
        )
    }


def count_open(connection: Connection, keys: Iterable[str]) -> int:
    """Return how many of these anomalies somebody has to look at; one that is not known counts."""
    archived = tuple(str(status) for status in ARCHIVED_STATUSES)
    total = closed = 0
    for batch in batches(keys):
        total += len(batch)
        closed += connection.execute(
            sa.select(sa.func.count())
            .select_from(_table)
            .where(_table.c.key.in_(batch), _table.c.status.in_(archived))
        ).scalar_one()
    return total - closed


def _anomaly_row(sighting: Sighting, now: datetime) -> dict[str, object]:
    anomaly = sighting.anomaly
    return {
        "key": sighting.key,
        "source": anomaly.source,
        "external_id": anomaly.external_id,
        "fingerprint": anomaly.fingerprint,
        "dataset": anomaly.dataset,
        "severity": anomaly.severity,
        "status": anomaly.status,
        "content": anomaly.model_dump(mode="json"),
        "first_seen_at": now,
        "last_seen_at": now,
    }


def _put(connection: Connection, rows: Sequence[Mapping[str, object]], *, update: Sequence[str]) -> None:
    """Insert anomalies or overwrite some columns; another status is not the one that tickets have said."""
    if not rows:
        return
    statement = insert_into(connection, _table)
    same = _table.c.status == statement.excluded.status
    new: dict[str, sa.ColumnElement[Any]] = {name: statement.excluded[name] for name in update}
    new["status_from"] = sa.case((same, _table.c.status_from), else_=sa.null())
    connection.execute(statement.on_conflict_do_update(index_elements=["key"], set_=new), rows)


def _as_tickets_said(connection: Connection, sightings: Sequence[Sighting]) -> list[Sighting]:
    """Return what was seen, with the status that a ticket has given since where the occurrence is known."""
    said: dict[str, Anomaly] = {}
    again: set[tuple[str, str]] = set()
    seen = schema.occurrence
    for batch in batches({sighting.key for sighting in sightings}):
        rows = connection.execute(
            sa.select(_table.c.key, _table.c.content).where(
                _table.c.key.in_(batch), _table.c.status_from.is_not(None)
            )
        )
        said |= {row.key: Anomaly.model_validate(row.content) for row in rows}
    for batch in batches(said):
        rows = connection.execute(sa.select(seen.c.key, seen.c.occurrence).where(seen.c.key.in_(batch)))
        again |= {(row.key, row.occurrence) for row in rows}
    return [
        sighting._replace(anomaly=_with_status_of(said[sighting.key], sighting.anomaly))
        if (sighting.key, sighting.occurrence) in again
        else sighting
        for sighting in sightings
    ]


def _with_status_of(known: Anomaly, anomaly: Anomaly) -> Anomaly:
    facts = {"status": known.status, "status_changed_at": known.status_changed_at}
    return anomaly.model_copy(update=facts)


def _id_of(content: Mapping[str, Any]) -> str | int:
    external_id = content.get("external_id")
    if external_id is None:
        return str(content["fingerprint"])
    return int(external_id) if content.get("external_id_is_int") else str(external_id)
