"""Publish nothing while a P1 on the dataset is open.

Which tickets the dataset has is remembered, how they are now ServiceNow is asked; a question that fails fails
the task and is no answer. A report that could not be delivered yet counts as the ticket it is to become.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

from airflow.sdk import Param, dag, task

from airflow_provider_servicenow_dq.hooks.servicenow import ServiceNowHook

log = logging.getLogger(__name__)


@task.short_circuit(retries=3, retry_delay=timedelta(seconds=10))
def may_publish(params: dict[str, Any] | None = None) -> bool:
    """Whether nothing stands in the way; otherwise what comes after is skipped."""
    asked = params or {}
    found = ServiceNowHook().find_open_tickets(asked["datasets"], priority=asked["priority"])
    for item in found:
        ticket = item["ticket"] or {}
        log.warning(
            "%s: %s (priority %s) is %s: %s",
            item["dataset"],
            ticket.get("ticket_number", "a report"),
            item["priority"],
            item["reason"],
            ticket.get("url", item["anomaly_id"]),
        )
    return not found


@task
def publish(params: dict[str, Any] | None = None) -> str:
    """Stand for whatever makes the dataset visible to others."""
    return f"published {', '.join((params or {})['datasets'])}"


@dag(
    schedule=None,
    catchup=False,
    tags=["servicenow", "data-quality", "example"],
    doc_md=__doc__,
    params={
        "datasets": Param(["nyc.flights"], type="array", items={"type": "string"}),
        "priority": Param("1", type="string", enum=["1", "2", "3", "4", "5"]),
    },
)
def publish_gate() -> None:
    """Look, then publish or skip."""
    may_publish() >> publish()


publish_gate()
