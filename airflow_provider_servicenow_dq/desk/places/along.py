"""Which findings come to the ticket of a case: those that are in it, and all of them to a successor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow_provider_servicenow_dq.store import anomalies, case_findings, case_intents, cases, outbox
from airflow_provider_servicenow_dq.store.outbox import Draft

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy.engine import Connection

    from airflow_provider_servicenow_dq.store.cases import Case
    from airflow_provider_servicenow_dq.store.outbox import Address, Entry
    from airflow_provider_servicenow_dq.store.tickets import Ticket

_PRIORITY: Final = ("impact", "urgency")


def staying(connection: Connection, batch: Sequence[Entry], *, now: datetime) -> list[Entry]:
    """Settle what was never tried and would bring findings to a case that they have left; return the rest."""
    wanted = {entry.key: entry.payload["case"] for entry in batch if entry.key and "case" in entry.payload}
    owners = case_findings.owners(connection, wanted) if wanted else {}
    gone = [
        entry
        for entry in batch
        if entry.key in wanted and not entry.attempts and owners.get(entry.key) != wanted[entry.key]
    ]
    words = "the finding has left the case before it was told"
    ids = [entry.id for entry in gone]
    if ids:
        outbox.settle(connection, ids, state=outbox.DONE, action="suppressed", message=words, now=now)
    return [entry for entry in batch if entry not in gone]


def case_at(connection: Connection, address: Address) -> Case | None:
    """Return the case whose ticket is, or is to come, at an address of ours."""
    return cases.by_correlations(connection, [address.correlation_id]).get(address.correlation_id)


def coming(
    connection: Connection,
    batch: Sequence[Entry],
    ticket: Ticket,
    fields: Mapping[str, str],
    *,
    now: datetime,
) -> list[Entry]:
    """Write down, and return, the reports for a case's next ticket of those that were only on the one before.

    :param batch: What opens it.
    :param ticket: The one before.
    :param fields: Columns of the next one, whose names are resolved.
    """
    case = cases.of_ticket(connection, ticket.address, ticket.sys_id)
    if case is None:
        return []
    there = {entry.key for entry in batch}
    left = [key for key in case_findings.of_cases(connection, [case.id]).get(case.id, ()) if key not in there]
    known = anomalies.contents(connection, left)
    earlier = case_intents.entries(connection, case)
    reported = {entry.key: entry.payload for entry in earlier if entry.kind == outbox.REPORT}
    first = batch[0].payload
    drafts = []
    for key in left:
        if key not in known:
            continue
        own: Mapping[str, Any] = reported.get(key, {}).get("fields", first["fields"])
        priority = {name: own[name] for name in _PRIORITY if name in own}
        told = {
            **first,
            "anomaly": known[key].model_dump(mode="json"),
            "fields": {**fields, **priority},
            "warnings": [],
        }
        drafts.append(
            Draft(ticket.address, case_intents.intent(case, key, earlier), outbox.REPORT, told, key=key)
        )
    return outbox.record(connection, drafts, recorded_by=batch[0].recorded_by, now=now)
