"""Pulling as a task would, and what people do meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_servicenow_dq.desk.pull import pull
from airflow_provider_servicenow_dq.desk.pulling import taking
from airflow_provider_servicenow_dq.projects.project import Project
from airflow_provider_servicenow_dq.store import anomalies as anomaly_store
from airflow_provider_servicenow_dq.store.taken import Consumer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_servicenow_dq.anomalies.model import Anomaly
    from airflow_provider_servicenow_dq.desk.desk import Desk
    from airflow_provider_servicenow_dq.desk.pulling.taking import Succeeded, Taking
    from airflow_provider_servicenow_dq.sandbox.server import Sandbox

PERSON = "beth.anglin"
ACCOUNT = "svc_airflow"


def nobody(_: Sequence[str]) -> None:
    """Airflow that cannot be asked."""


def take(
    desk: Desk, run: str = "", *, task: str = "pull", succeeded: Succeeded = nobody, **options: Any
) -> Taking:
    """Take changes as a run of a task does; nothing is returned to it yet."""
    return taking.take(desk, Consumer(desk.host, "incident", task), run, succeeded=succeeded, **options)


def told(desk: Desk, *, task: str = "pull", **options: Any) -> list[dict[str, Any]]:
    """Pull, and return what is told outside of a DAG."""
    rules = Project(**options.pop("rules", {}))
    pull(desk, rules, **options)
    taken = take(desk, task=task)
    changes = list(taking.read(desk, taken))
    taking.returned(desk, taken)
    return changes


def in_short(changes: Sequence[dict[str, Any]]) -> list[tuple[str, Any, Any]]:
    """Return field, old and new of changes."""
    return [(change["field"], change["old"], change["new"]) for change in changes]


def by_hand(sandbox: Sandbox, record: dict[str, str], user: str = PERSON, **values: str) -> dict[str, str]:
    """Let a person edit a ticket."""
    return sandbox.act_as(user, "incident", record["sys_id"], values)


def known(desk: Desk, key: str) -> Anomaly:
    """Return what the store knows of an anomaly."""
    with desk.store.begin() as connection:
        return anomaly_store.contents(connection, [key])[key]
