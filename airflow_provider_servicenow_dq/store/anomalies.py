"""Anomalies and their occurrences, as last reported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import sqlalchemy as sa

from airflow_provider_servicenow_dq.anomalies.model import ARCHIVED_STATUSES, Anomaly
from airflow_provider_servicenow_dq.store import schema
from airflow_provider_servicenow_dq.store.bulk import batches, upsert

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sqlalchemy.engine import Connection

_table: Final = schema.anomaly


class Sighting(NamedTuple):
    """One report of an anomaly: its key, which occurrence it is, and what was said."""

    key: str
    occurrence: str
    anomaly: Anomaly


def remember(connection: Connection, sightings: Iterable[Sighting], *, now: datetime) -> None:
    """Keep the newest content of each anomaly, and every occurrence once."""
    # In one order for all: two transactions that lock the same rows in different orders wait for each other.
    sightings = sorted(sightings, key=lambda sighting: sighting.key)
    upsert(
        connection,
        _table,
        [_anomaly_row(sighting, now) for sighting in sightings],
        keys=("key",),
        update=("severity", "status", "content", "last_seen_at"),
    )
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
    upsert(connection, _table, [row], keys=("key",), update=("status", "content", "last_seen_at"))


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
