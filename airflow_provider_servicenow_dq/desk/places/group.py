"""Tickets that hold many anomalies: of a dataset, a DAG run, a case, or beyond a run's share of new ones."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_servicenow_dq.anomalies.model import Anomaly
from airflow_provider_servicenow_dq.store import tickets
from airflow_provider_servicenow_dq.tickets import findings, notes
from airflow_provider_servicenow_dq.tickets.incident import COLUMN_LENGTHS
from airflow_provider_servicenow_dq.tickets.text import cut, harmless, one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_servicenow_dq.desk.desk import Run
    from airflow_provider_servicenow_dq.store.outbox import Address
    from airflow_provider_servicenow_dq.store.tickets import Ticket
    from airflow_provider_servicenow_dq.tickets.states import States

#: How correlation ids of tickets that hold many anomalies begin.
_GROUP: Final = "dq:group:"
ROLLUP: Final = "dq:rollup:"
_CASE: Final = "dq:case:"


def group_correlation(group_by: str, anomaly: Anomaly, run: Run, *, namespace: str) -> str:
    """Return the correlation id of the ticket that an anomaly shares with its dataset or its DAG run."""
    what = anomaly.dataset if group_by == "dataset" else run.dag_run
    return _GROUP + _hash(namespace, group_by, what)


def rollup_correlation(run: Run, *, namespace: str, instead: str) -> str:
    """Return the correlation id of a DAG run's roll-up ticket, the same for every try of it.

    :param instead: What names the work where there is no DAG run.
    """
    return ROLLUP + _hash(namespace, run.dag_id, run.run_id or instead)


def case_correlation(name: str) -> str:
    """Return the correlation id of a case's ticket.

    :param name: 32 hex digits that no other case has.
    """
    return _CASE + name


def holds_many(address: Address) -> bool:
    """Whether the ticket holds many anomalies."""
    return address.correlation_id.startswith((_GROUP, ROLLUP, _CASE))


def is_case(address: Address) -> bool:
    """Whether the ticket was opened for a case."""
    return address.correlation_id.startswith(_CASE)


def is_rollup(address: Address) -> bool:
    """Whether the ticket takes what exceeds a run's share of new ones."""
    return address.correlation_id.startswith(ROLLUP)


def is_joined(ticket: Ticket, states: States) -> bool:
    """Whether a ticket is an open one of a roll-up or a case, so that its anomalies need no other one."""
    joined = is_rollup(ticket.address) or is_case(ticket.address)
    return joined and tickets.is_open(ticket, states)


def heading(payload: dict[str, Any], address: Address, count: int) -> str:
    """Return what a ticket's list of anomalies is called."""
    if is_case(address):
        return f"{count} security finding{'s' if count != 1 else ''}"
    number = f"{count} anomalies" if count != 1 else "1 anomaly"
    if is_rollup(address):
        return f"{number} beyond the limit of new tickets in {payload['run']}"
    dataset = payload["anomaly"]["dataset"]
    return (
        f"{number} on {dataset}" if payload.get("group_by") == "dataset" else f"{number} in {payload['run']}"
    )


def new_fields(
    payloads: Sequence[dict[str, Any]], address: Address, description: str, *, title: str | None = None
) -> dict[str, str]:
    """Return the columns of a new ticket for several anomalies; the severest one's, where they differ.

    :param title: Where the columns bring none; by default one that says how many they are.
    """
    severest = max(payloads, key=lambda payload: Anomaly.model_validate(payload["anomaly"]).severity.rank)
    keys = {payload["key"] for payload in payloads}
    fields = {**severest["fields"], "description": description}
    if not severest.get("titled") or is_rollup(address):
        title = title or f"Data quality: {heading(severest, address, len(keys))}"
        fields["short_description"] = cut(harmless(one_line(title)), COLUMN_LENGTHS["short_description"])
    return fields


def pages(
    payloads: Sequence[dict[str, Any]],
    address: Address,
    *,
    namespace: str,
    first: bool,
    suffix: str = "",
    words: str = "",
) -> list[str]:
    """Return the list of anomalies, each once: description and work notes, or (not ``first``) notes only.

    :param words: What whoever opened a case said of it.
    """
    unique = {payload["key"]: payload for payload in payloads}
    head = heading(payloads[0], address, len(unique)) + suffix
    anomalies = [Anomaly.model_validate(payload["anomaly"]) for payload in unique.values()]
    recorded_at = datetime.fromisoformat(payloads[0]["recorded_at"])
    if is_case(address) and first:
        return findings.first_pages(
            anomalies, namespace=namespace, heading=head, words=words, now=recorded_at
        )
    if is_case(address):
        return findings.further_pages(anomalies, namespace=namespace, heading=head, now=recorded_at)
    return notes.member_pages(anomalies, namespace=namespace, heading=head, now=recorded_at, first=first)


def listed(mark: str, texts: Sequence[str]) -> bool:
    """Whether an anomaly's mark stands in any of the texts of a ticket."""
    return any(mark in text for text in texts)


def _hash(*parts: str) -> str:
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:32]
