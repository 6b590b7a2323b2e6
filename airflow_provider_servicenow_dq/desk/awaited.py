"""Which tickets anomalies have: as the store remembers them, and else as the instance shows them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_servicenow_dq.anomalies.model import anomaly_key, correlation_id
from airflow_provider_servicenow_dq.desk.lookup import find_all_rows
from airflow_provider_servicenow_dq.desk.places import group
from airflow_provider_servicenow_dq.store import tickets
from airflow_provider_servicenow_dq.store.bulk import batches
from airflow_provider_servicenow_dq.store.outbox import Address
from airflow_provider_servicenow_dq.tickets.awaited import Awaited

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from airflow_provider_servicenow_dq.anomalies.model import Anomaly
    from airflow_provider_servicenow_dq.desk.desk import Desk, Run
    from airflow_provider_servicenow_dq.projects.project import Project
    from airflow_provider_servicenow_dq.store.tickets import Ticket


@dataclass(frozen=True, slots=True)
class Having:
    """The tickets of anomalies.

    :param tickets: Each once, in the order of the anomalies.
    :param without: Anomalies that have none.
    """

    tickets: Sequence[Awaited]
    without: Sequence[Anomaly]


def tickets_of(desk: Desk, anomalies: Sequence[Anomaly], *, project: Project, run: Run) -> Having:
    """Return the tickets that anomalies have now: of every line of successors the one that counts.

    Nothing is written down, and nothing delivered.

    :param project: Says where an anomaly's own ticket is, if the store does not know it.
    :param run: Whose tickets are meant where a DAG run shares one.
    """
    keys = {id(anomaly): anomaly_key(anomaly, desk.namespace) for anomaly in anomalies}
    linked = _linked(desk, set(keys.values()))
    unknown = {
        key: _own_address(desk, anomaly, key, project, run)
        for anomaly in anomalies
        if (key := keys[id(anomaly)]) not in linked
    }
    rows = find_all_rows(desk, unknown.values())
    for key, address in unknown.items():
        if found := _current(rows.get(address, ()), project):
            linked[key] = [Awaited(address.table, found["sys_id"], str(found.get("number") or ""))]
    having = [ticket for anomaly in anomalies for ticket in linked.get(keys[id(anomaly)], ())]
    without = [anomaly for anomaly in anomalies if keys[id(anomaly)] not in linked]
    return Having(list(dict.fromkeys(having)), without)


def _linked(desk: Desk, keys: Iterable[str]) -> dict[str, list[Awaited]]:
    """Return the tickets that the store knows of each anomaly."""
    with desk.store.snapshot() as connection:
        homes = tickets.addresses_of_keys(connection, keys, instance=desk.host)
        by_table: dict[str, set[Address]] = defaultdict(set)
        for address in (address for addresses in homes.values() for address in addresses):
            by_table[address.table].add(address)
        newest: dict[Address, Ticket] = {}
        for addresses in by_table.values():
            for batch in batches(sorted(addresses)):
                newest |= {address: found[0] for address, found in tickets.at(connection, batch).items()}
    return {
        key: [
            Awaited(address.table, newest[address].sys_id, newest[address].number)
            for address in addresses
            if address in newest
        ]
        for key, addresses in homes.items()
        if any(address in newest for address in addresses)
    }


def _own_address(desk: Desk, anomaly: Anomaly, key: str, project: Project, run: Run) -> Address:
    if project.group_by:
        correlation = group.group_correlation(project.group_by, anomaly, run, namespace=desk.namespace)
    else:
        correlation = correlation_id(anomaly.source, key)
    return Address(desk.host, project.table, correlation)


def _current(rows: Sequence[Mapping[str, Any]], project: Project) -> Mapping[str, Any] | None:
    """Return the one that is open, else the newest; they come oldest first."""
    is_open = project.states.is_open
    return next(
        (row for row in reversed(rows) if is_open(row.get("state") or "")), rows[-1] if rows else None
    )
