"""An anomaly with nothing but what it must have, and what a test adds to that."""

from __future__ import annotations

from airflow_provider_servicenow_dq.anomalies.model import Anomaly

DATASET = {"source": "custom", "dataset": "nyc.flights", "check_name": "dep_time not null"}


def make(**fields):
    """An anomaly with these fields instead of, or besides, those that every anomaly has."""
    return Anomaly.model_validate({**DATASET, **fields})
