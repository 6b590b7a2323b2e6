"""Tickets by themselves: any DAG that updates an asset with anomalies in the event gets tickets for them.

Whoever finds anomalies names the asset in `outlets` and puts them into the event: as
`extra={"anomalies": payload}`, or as `extra={"xcom": "return_value"}`, which names an XCom of its own task.
It needs to know nothing of ServiceNow. The DAG `anomalies_to_asset` shows both.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from airflow.sdk import Asset, Param, dag, task

from airflow_provider_servicenow_dq.operators.servicenow import ServiceNowCreateIncidentOperator

ANOMALIES = Asset(name="data_quality_anomalies", uri="servicenow://data-quality/anomalies")
EXAMPLE = {
    "source": "custom",
    "dataset": "nyc.flights",
    "check_name": "tailnum not null",
    "severity": "medium",
    "message": "2512 flights have no aircraft",
}


@task(retries=2)
def read_events(triggering_asset_events: Any = None, ti: Any = None) -> list[Any]:
    """Return the payload of each event that this run is about."""
    events = [event for each in (triggering_asset_events or {}).values() for event in each]
    payloads = []
    for event in events:
        if "anomalies" in event.extra:
            payloads.append(event.extra["anomalies"])
        elif "xcom" in event.extra:
            payloads.append(
                ti.xcom_pull(
                    dag_id=event.source_dag_id,
                    run_id=event.source_run_id,
                    task_ids=event.source_task_id,
                    map_indexes=event.source_map_index,
                    key=event.extra["xcom"],
                )
            )
    # A producer that found nothing wrong may say so.
    return [payload for payload in payloads if payload]


@dag(schedule=[ANOMALIES], catchup=False, tags=["servicenow", "data-quality", "example"], doc_md=__doc__)
def tickets_from_assets() -> None:
    """Open tickets for what each event holds, an event a task."""
    ServiceNowCreateIncidentOperator.partial(
        task_id="open_tickets", retries=3, retry_delay=timedelta(seconds=10)
    ).expand(anomalies=read_events())


@dag(
    schedule=None,
    catchup=False,
    tags=["servicenow", "data-quality", "example"],
    doc_md="Stand for any DAG that finds anomalies: its two tasks put them into an asset, each in its way.",
    params={"anomalies": Param([EXAMPLE], type="array")},
)
def anomalies_to_asset() -> None:
    """Tell of anomalies in an event, and name in another where they are."""

    @task(outlets=[ANOMALIES])
    def tell(params: dict[str, Any] | None = None, outlet_events: Any = None) -> None:
        outlet_events[ANOMALIES].extra = {"anomalies": (params or {})["anomalies"]}

    @task(outlets=[ANOMALIES])
    def name(params: dict[str, Any] | None = None, outlet_events: Any = None) -> str:
        outlet_events[ANOMALIES].extra = {"xcom": "return_value"}
        return json.dumps((params or {})["anomalies"])

    tell()
    name()


tickets_from_assets()
anomalies_to_asset()
