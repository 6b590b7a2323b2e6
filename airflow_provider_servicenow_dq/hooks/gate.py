"""The gate, for whoever has a connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_servicenow_dq.desk import gate
from airflow_provider_servicenow_dq.hooks.desk import open_desk
from airflow_provider_servicenow_dq.hooks.projects import choose

if TYPE_CHECKING:
    from collections.abc import Sequence


def find_open_tickets(
    servicenow_conn_id: str,
    dataset: str | Sequence[str],
    *,
    priority: str | int,
    table: str | None,
    project: str | None,
) -> list[dict[str, Any]]:
    """Return the open tickets on a dataset; see ``ServiceNowHook.find_open_tickets``."""
    hook, rules = choose(servicenow_conn_id, project)
    if table is not None:
        rules = rules.changed({"table": table})
    datasets = [dataset] if isinstance(dataset, str) else list(dataset)
    with open_desk(hook, needs_shared_store=True) as desk:
        return gate.find_open_tickets(desk, datasets, priority=priority, project=rules)
