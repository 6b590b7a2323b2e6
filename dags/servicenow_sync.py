"""Keep both sides in step: deliver what waits for ServiceNow, then read what people changed there.

Every 5 minutes. Runs may overlap, be cleared or be killed: a ticket is worked on by one at a time, and what
was read is written down together with how far the reading has come. While ServiceNow is down only this DAG
fails; what others recorded stays in the outbox until a later run delivers it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import Asset, dag, task

from airflow_provider_servicenow_dq.hooks.servicenow import ServiceNowHook
from airflow_provider_servicenow_dq.operators.servicenow import (
    ServiceNowDeliverOperator,
    ServiceNowPullIncidentsOperator,
)

CONNECTION = "servicenow_default"

#: Updated with each run that has read changes; a DAG that is scheduled on it gets them in the event.
CHANGES = Asset(name="servicenow_changes", uri="servicenow://servicenow_default/changes")


@task(multiple_outputs=False)
def refresh_form() -> dict[str, Any]:
    """Ask for choices and groups, at most once an hour: the form of create_ticket offers them."""
    form = ServiceNowHook(CONNECTION).get_form_specification()
    return {"is_live": form["is_live"], "read_at": form["read_at"], "notes": form["notes"]}


@task(multiple_outputs=False)
def summarize(delivered: Any, pulled: Any) -> dict[str, Any]:
    """Say what was done; it is the last task, so a run is red when anything before it failed."""
    return {
        "delivered": delivered["delivered"],
        "waiting": delivered["waiting"],
        "changes": pulled["count"],
        "more_changes": pulled["truncated"],
    }


@dag(
    schedule=timedelta(minutes=5),
    catchup=False,
    max_active_runs=3,
    dagrun_timeout=timedelta(minutes=30),
    tags=["servicenow", "data-quality", "example"],
    doc_md=__doc__,
    default_args={"retries": 2, "retry_delay": timedelta(seconds=30)},
)
def servicenow_sync() -> None:
    """Deliver, then pull, whatever became of the delivery."""
    deliver = ServiceNowDeliverOperator(task_id="deliver", servicenow_conn_id=CONNECTION)
    pull = ServiceNowPullIncidentsOperator(
        task_id="pull", servicenow_conn_id=CONNECTION, outlets=[CHANGES], trigger_rule="all_done"
    )
    deliver >> pull
    summarize(deliver.output, pull.output)
    refresh_form()


servicenow_sync()
