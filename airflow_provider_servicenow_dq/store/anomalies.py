"""Anomalies and their occurrences, as last reported."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from airflow_provider_servicenow_dq.store import schema
from airflow_provider_servicenow_dq.store.bulk import upsert

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sqlalchemy.engine import Connection

    from airflow_provider_servicenow_dq.anomalies.model import Anomaly


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
        schema.anomaly,
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
