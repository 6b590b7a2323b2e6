"""Nobody gets a ticket unseen: the run shows what it would send, and waits for a person's approval.

The request stands under *Required Actions*. Approved, the tickets are opened; rejected, or without an answer
within a day, they are not. What is sent is decided again when it is: a problem that somebody else has
reported meanwhile gets no second ticket.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import Param, dag, task
from airflow.sdk.exceptions import AirflowSkipException

from airflow_provider_servicenow_dq.operators.servicenow import ServiceNowCreateIncidentOperator

TITLE = "{check_name} fails for {dataset}"
EXAMPLE = {
    "source": "custom",
    "dataset": "nyc.flights",
    "check_name": "dep_time not null",
    "severity": "high",
    "message": "8255 flights never departed",
}


@task
def find(params: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """Stand for whatever finds anomalies: here they come with the run."""
    anomalies: list[dict[str, Any]] = (params or {})["anomalies"]
    return anomalies


@task
def describe(rehearsed: Any) -> str:
    """Put in words, for the person who decides, what would be sent; skip the rest if that is nothing."""
    writes = [write for result in rehearsed for write in result["would_send"]]
    if not writes:
        raise AirflowSkipException("; ".join(result["message"] for result in rehearsed))
    # The texts are foreign: in a block of code they are no Markdown.
    blocks = [
        f"`{write['method']} {write['table']} {write['number']}`\n\n"
        f"```json\n{_readable(write['values']).replace('```', '` ` `')}\n```"
        for write in writes
    ]
    return "\n\n".join(blocks)


def _readable(values: dict[str, Any]) -> str:
    return json.dumps(values, indent=2, ensure_ascii=False)


@dag(
    schedule=None,
    catchup=False,
    tags=["servicenow", "data-quality", "example"],
    doc_md=__doc__,
    params={"anomalies": Param([EXAMPLE], type="array")},
)
def approve_before_creating() -> None:
    """Find, rehearse, ask, open."""
    found = find()
    rehearse = ServiceNowCreateIncidentOperator(
        task_id="rehearse", anomalies=found, short_description=TITLE, dry_run=True, retries=2
    )
    approve = ApprovalOperator(
        task_id="approve",
        subject="Send this to ServiceNow?",
        body=describe(rehearse.output),
        defaults="Reject",
        response_timeout=timedelta(days=1),
    )
    open_tickets = ServiceNowCreateIncidentOperator(
        task_id="open_tickets",
        anomalies=found,
        short_description=TITLE,
        retries=3,
        retry_delay=timedelta(seconds=10),
    )
    approve >> open_tickets


approve_before_creating()
