"""Tickets that people opened, linking anomalies to them, and looking at what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from reporting import anomaly

from airflow_provider_servicenow_dq.anomalies.model import Anomaly, anomaly_key
from airflow_provider_servicenow_dq.desk.desk import Desk, Run
from airflow_provider_servicenow_dq.desk.link import link_anomalies
from airflow_provider_servicenow_dq.desk.unlink import unlink_anomalies
from airflow_provider_servicenow_dq.projects.project import Project
from airflow_provider_servicenow_dq.store import schema

if TYPE_CHECKING:
    from airflow_provider_servicenow_dq.desk.push import Pushed
    from airflow_provider_servicenow_dq.sandbox.server import Sandbox


def qualytics(number: str = "824", **fields: Any) -> Anomaly:
    """Return an anomaly of Qualytics."""
    known = {"source": "qualytics", "external_id": number, "url": f"https://q.example/?id={number}"}
    return anomaly(**known | fields)


def theirs(desk: Desk, table: str = "incident", **values: str) -> dict[str, Any]:
    """Return a ticket that somebody else has opened."""
    return desk.table_api.create(table, {"short_description": "Flights look wrong", **values})


def link(
    desk: Desk,
    incident: str,
    *anomalies: Anomaly,
    run: str = "run",
    task: str = "link",
    **rules: Any,
) -> Pushed:
    """Link anomalies as a task of a DAG would."""
    return link_anomalies(
        desk, anomalies, incident=incident, run=Run("dag", run, task), project=Project(**rules)
    )


def unlink(desk: Desk, *anomalies: Anomaly, incident: str | None = None, **rules: Any) -> Pushed:
    """Unlink anomalies as a task of a DAG would."""
    return unlink_anomalies(
        desk, anomalies, incident=incident, run=Run("dag", "run", "unlink"), project=Project(**rules)
    )


def actions(pushed: Any) -> list[str]:
    return [result["action"] for result in pushed.results]


def now_of(sandbox: Sandbox, sys_id: str, table: str = "incident") -> dict[str, str]:
    """Return a record as it is now."""
    return next(record for record in sandbox.records(table) if record["sys_id"] == sys_id)


def numbers_of(desk: Desk, found: Anomaly) -> list[str]:
    """Return the numbers of the tickets that an anomaly is linked to."""
    with desk.store.begin() as connection:
        rows = connection.execute(
            sa.select(schema.ticket.c.number)
            .join(schema.link, schema.link.c.ticket_id == schema.ticket.c.id)
            .where(schema.link.c.key == anomaly_key(found, desk.namespace))
        )
        return sorted(rows.scalars())


def entries_of(desk: Desk, kind: str) -> list[tuple[str, str | None]]:
    """Return state and action of the outbox entries of a kind."""
    with desk.store.begin() as connection:
        rows = connection.execute(
            sa.select(schema.outbox.c.state, schema.outbox.c.action)
            .where(schema.outbox.c.kind == kind)
            .order_by(schema.outbox.c.id)
        )
        return [(row.state, row.action) for row in rows]
