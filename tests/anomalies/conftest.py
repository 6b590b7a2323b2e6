from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

PAYLOADS = Path(__file__).parents[1] / "payloads"


@pytest.fixture
def payload():
    """Reads a real output by its file name; each call gives a fresh copy."""

    def read(name: str) -> Any:
        return json.loads((PAYLOADS / f"{name}.json").read_text(encoding="utf-8"))

    return read


@pytest.fixture
def listing():
    """Builds an anomaly as Qualytics' OpenAPI models describe it: no tenant's real one is published."""

    def build(**changes: Any) -> dict[str, Any]:
        check = {
            "id": 17,
            "rule_type": "between",
            "fields": [{"name": "amount"}],
            "description": "Amount is between 0 and 100",
            "coverage": 1.0,
            "weight": 7,
        }
        return {
            "id": 824,
            "uuid": "3f2b8f0e-6a51-4a3e-9f1c-2f6d3f0f7a10",
            "created": "2026-01-22T13:22:40.780346Z",
            "type": "record",
            "message": None,
            "is_new": True,
            "archived": False,
            "status": "Active",
            "source_enriched": True,
            "datastore": {"id": 23, "name": "sales", "store_type": "jdbc", "type": "postgresql"},
            "container": {"id": 5, "name": "orders", "container_type": "table", "table_type": "table"},
            "partition": {"name": "orders", "location": "orders"},
            "failed_checks": [{"quality_check": check, "message": "amount is 250"}],
            "weight": 54,
            "global_tags": [{"type": "global", "name": "finance", "color": "#fff", "weight_modifier": 1}],
            "anomalous_records_count": 3,
            "fingerprint": "-7384736251",
            **changes,
        }

    return build


@pytest.fixture
def full(payload):
    """A validation of Great Expectations with all its fields, in result format SUMMARY."""
    return payload("gx-flights-validation-summary")


@pytest.fixture
def described(payload):
    """The same validation as ``CheckpointResult.describe()`` reduces it."""
    return payload("gx-flights-checkpoint-describe")


@pytest.fixture
def xcom(payload):
    """What an operator of GX's provider pushes to XCom."""
    return payload("airflow-xcom-gx_validate_dataframe")
