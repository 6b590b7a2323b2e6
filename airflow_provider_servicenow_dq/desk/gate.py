"""The gate: whether a grave ticket stands in the way of a dataset.

Which tickets a dataset has is in the store, and how they are now the instance is asked. What cannot be told
stands in the way: a gate that opens because something failed is none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from airflow_provider_servicenow_dq.anomalies.model import anomaly_key
from airflow_provider_servicenow_dq.client.ids import IDS_AT_ONCE
from airflow_provider_servicenow_dq.client.query import Query
from airflow_provider_servicenow_dq.store import gate
from airflow_provider_servicenow_dq.store.bulk import batches
from airflow_provider_servicenow_dq.tickets.incident import parse_priority
from airflow_provider_servicenow_dq.tickets.ticket import COLUMNS, ticket_view

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from airflow_provider_servicenow_dq.desk.desk import Desk
    from airflow_provider_servicenow_dq.projects.project import Project
    from airflow_provider_servicenow_dq.store.gate import Linked, Undelivered
    from airflow_provider_servicenow_dq.store.tickets import Ticket

SCHEMA_VERSION: Final = 1


Reason = Literal["open", "not shown any more", "not delivered"]


class _Open(NamedTuple):
    priority: str
    record: Mapping[str, Any]
    reason: Reason


def find_open_tickets(
    desk: Desk, datasets: Sequence[str], *, priority: str | int, project: Project
) -> list[dict[str, Any]]:
    """Return the open tickets on datasets that are as grave as asked for, or graver.

    A ticket that the instance does not show any more counts as it was seen last, until its anomaly is
    unlinked. A report that is not delivered counts as the ticket that it is to become; and so does a
    priority that is none of 1 to 5.

    :param datasets: Exactly as their anomalies name them.
    :param priority: The least grave that counts, ``1``…``5`` or ``P1``…``P5``.
    :param project: Whose table is looked at, and what the states of it mean.
    :returns: Of ``{"schema_version", "dataset", "anomaly_id", "ticket", "priority", "reason"}``, one for each
        anomaly and ticket: ``ticket`` is as the seed prints it, None for what is not delivered; ``reason`` is
        ``open``, ``not shown any more`` or ``not delivered``.
    :raises ServiceNowError: If the instance cannot be asked: that is never the same as no tickets.
    :raises StoreError: If the store cannot be read.
    """
    least = int(parse_priority(priority))
    table = project.table
    with desk.store.snapshot() as connection:
        links = gate.linked(connection, datasets, instance=desk.host, table=table)
        waiting = gate.undelivered(connection, datasets, instance=desk.host, table=table)
    links = [each for each in links if anomaly_key(each.anomaly, desk.namespace) == each.key]
    waiting = [each for each in waiting if anomaly_key(each.anomaly, desk.namespace) == each.key]
    standing = _standing(desk, {each.ticket.id: each.ticket for each in links}, project)
    found = [*_of_tickets(desk, links, standing, table), *_of_reports(waiting, project)]
    return [item for item in found if _grave(item["priority"]) <= least]


def _standing(desk: Desk, known: Mapping[int, Ticket], project: Project) -> dict[int, _Open]:
    """Return which tickets are open, by the instance's word now."""
    shown: dict[str, dict[str, Any]] = {}
    for chunk in batches(sorted({ticket.sys_id for ticket in known.values()}), IDS_AT_ONCE):
        rows = desk.table_api.first_page(
            project.table, Query.any_of("sys_id", chunk), fields=COLUMNS, limit=IDS_AT_ONCE
        )
        shown |= {row["sys_id"]: row for row in rows}
    standing: dict[int, _Open] = {}
    for ticket in known.values():
        record = shown.get(ticket.sys_id, ticket.record)
        if project.states.is_open(str(record.get("state") or "")):
            reason: Reason = "open" if ticket.sys_id in shown else "not shown any more"
            standing[ticket.id] = _Open(str(record.get("priority") or ""), record, reason)
    return standing


def _of_tickets(
    desk: Desk, links: Sequence[Linked], standing: Mapping[int, _Open], table: str
) -> Iterator[dict[str, Any]]:
    for each in links:
        if found := standing.get(each.ticket.id):
            shown = ticket_view(found.record, base_url=desk.config.base_url, table=table)
            yield _item(each, shown, found.priority, found.reason)


def _of_reports(waiting: Sequence[Undelivered], project: Project) -> Iterator[dict[str, Any]]:
    of_pair = {project.pair_for_priority(str(wish)): str(wish) for wish in range(5, 0, -1)}
    for each in waiting:
        fields = each.entry.payload.get("fields", {})
        pair = str(fields.get("impact") or ""), str(fields.get("urgency") or "")
        yield _item(each, None, each.entry.payload.get("wish") or of_pair.get(pair, ""), "not delivered")


def _item(
    each: Linked | Undelivered, ticket: dict[str, Any] | None, priority: str, reason: Reason
) -> dict[str, Any]:
    return {
        "schema_version": SCHEMA_VERSION,
        "dataset": each.anomaly.dataset,
        "anomaly_id": each.anomaly.anomaly_id,
        "ticket": ticket,
        "priority": priority,
        "reason": reason,
    }


def _grave(priority: str) -> int:
    """Return how grave a priority is, 1 the most; what is none is as grave as can be."""
    return int(priority) if priority.isdecimal() else 0
