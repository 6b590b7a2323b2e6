"""Open a ticket by hand: *Trigger DAG* shows a form with the choices and groups of your ServiceNow.

What the drop-downs offer is what the instance told last, at most an hour ago while `servicenow_sync` runs;
before it has told anything they offer what every ServiceNow is delivered with. The same title on the same
dataset is the same problem: a second ticket is not opened while one is open, it gets a note. The caller is
whoever triggered the run, if ServiceNow knows a user of that e-mail address or name.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import Param, dag, task

from airflow_provider_servicenow_dq.hooks.servicenow import ServiceNowHook
from airflow_provider_servicenow_dq.hooks.trigger_form import ticket_columns, ticket_params
from airflow_provider_servicenow_dq.operators.servicenow import ServiceNowCreateIncidentOperator

CONNECTION = "servicenow_default"


@task(multiple_outputs=True)
def fill_in(params: dict[str, Any] | None = None) -> dict[str, Any]:
    """Make an anomaly and columns of what was filled in; what was left empty is decided as usual."""
    form = params or {}
    anomaly = {
        "source": "custom",
        "dataset": form["dataset"],
        "check_name": form["short_description"],
        "message": form.get("description") or form["short_description"],
    }
    return {
        "anomaly": anomaly,
        "columns": ticket_columns(form),
        "priority": form.get("priority") or "",
    }


@task(retries=1)
def refresh_form() -> list[str]:
    """Ask what the instance offers now, for the next time; say what could not be asked."""
    notes: list[str] = ServiceNowHook(CONNECTION).get_form_specification()["notes"]
    return notes


@dag(
    schedule=None,
    catchup=False,
    tags=["servicenow", "data-quality", "example"],
    doc_md=__doc__,
    params={
        "dataset": Param("reported by hand", type="string", minLength=1, title="Dataset"),
        **ticket_params(CONNECTION),
    },
)
def create_ticket() -> None:
    """Open the ticket that the form describes."""
    form: Any = fill_in()
    ServiceNowCreateIncidentOperator(
        task_id="open_tickets",
        servicenow_conn_id=CONNECTION,
        anomalies=form["anomaly"],
        short_description="{check_name}",
        additional_fields=form["columns"],
        priority=form["priority"],
        caller_from_user=True,
        retries=3,
        retry_delay=timedelta(seconds=10),
    )
    refresh_form()


create_ticket()
