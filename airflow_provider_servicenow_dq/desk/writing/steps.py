"""The next write for a ticket, decided inside the transaction that claims it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_servicenow_dq.anomalies.model import Anomaly, Severity
from airflow_provider_servicenow_dq.desk.delivery import twins
from airflow_provider_servicenow_dq.desk.order import CORRELATION, policy_of, rules_in, states_in
from airflow_provider_servicenow_dq.desk.places import along, group, homes
from airflow_provider_servicenow_dq.desk.writing import linking, settle
from airflow_provider_servicenow_dq.desk.writing.append import append
from airflow_provider_servicenow_dq.desk.writing.decide import Decision, Sighting, decide
from airflow_provider_servicenow_dq.desk.writing.step import Step, note_write
from airflow_provider_servicenow_dq.store import instances, outbox, tickets
from airflow_provider_servicenow_dq.store.outbox import Address, Draft, Entry
from airflow_provider_servicenow_dq.store.tickets import UNKNOWN, Ticket
from airflow_provider_servicenow_dq.tickets import notes
from airflow_provider_servicenow_dq.tickets.incident import COLUMN_LENGTHS
from airflow_provider_servicenow_dq.tickets.text import cut
from airflow_provider_servicenow_dq.tickets.ticket import sys_id_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.engine import Connection

    from airflow_provider_servicenow_dq.desk.desk import Desk
    from airflow_provider_servicenow_dq.desk.writing.asking import Asked, Resolved


def plan(
    connection: Connection,
    desk: Desk,
    address: Address,
    locked: Sequence[Entry],
    *,
    asked: Asked,
    run: str,
) -> Step | None:
    """Settle what needs no request, in order; return the first write, or None at the end of the list.

    :param locked: What waits there.
    """
    for entry_id, words in asked.ambiguous.items():
        refused = outbox.by_ids(connection, [entry_id])[entry_id]
        settle.refused(connection, [refused], words, now=desk.now(), locked=locked)
    waiting = outbox.waiting(connection, address, locked=locked) if asked.ambiguous else list(locked)
    while waiting:
        known = tickets.at(connection, [address]).get(address, [])
        ticket = known[0] if known else None
        batch = _batch(waiting, address)
        late = _arrived_late(batch[0], ticket) if ticket is not None else None
        if late is not None:
            batch = outbox.sent_together(batch[0], batch)
        waiting = [entry for entry in waiting if entry not in batch]
        if batch[0].kind == outbox.TWINS and asked.twins is not None:
            twins.plan(connection, desk, batch[0], asked.twins)
            waiting = outbox.waiting(connection, address, locked=locked)
            continue
        if batch[0].state == outbox.BLOCKED and ticket is None:
            continue  # it goes on as soon as there is a ticket after all
        if batch[0].kind != outbox.REPORT:
            step = _text_step(connection, desk, batch, known, asked, run)
        elif ticket is not None and late is not None:
            settle.created(connection, address, batch, late, ticket.record, now=desk.now(), complete=False)
            continue
        else:
            step = _report_step(connection, desk, address, batch, known, asked, run)
        if step is not None:
            return step
    return None


def _text_step(
    connection: Connection,
    desk: Desk,
    batch: Sequence[Entry],
    known: Sequence[Ticket],
    asked: Asked,
    run: str,
) -> Step | None:
    entry = batch[0]
    if entry.kind == outbox.LINK:
        standing = asked.standing.get(entry.payload["sys_id"])
        # What was recorded since we asked is left to whoever recorded it.
        return linking.plan(connection, desk, batch, known, standing, run) if standing else None
    if not known:
        settle.blocked(connection, [entry])
        return None
    return append(connection, desk, entry, known, asked, run)


def _report_step(
    connection: Connection,
    desk: Desk,
    address: Address,
    batch: Sequence[Entry],
    known: Sequence[Ticket],
    asked: Asked,
    run: str,
) -> Step | None:
    ticket = known[0] if known else None
    batch = along.staying(connection, homes.staying(connection, batch, ticket), now=desk.now())
    if not batch:
        return None
    decision, sighting, newcomers = _decided(connection, desk, batch, ticket, address, run)
    if decision.write == "nothing":
        settle.nothing(connection, batch, ticket, decision, sighting, now=desk.now())
        return None
    if decision.write == "create":
        if ticket is not None and ticket.state == UNKNOWN and _ignores_sys_id(connection, desk):
            settle.refused(connection, batch, _HIDDEN.format(ticket.number), now=desk.now())
            return None
        if ticket is not None and group.is_case(address):
            fields = _fields(batch[0], asked.names)
            batch = [*batch, *along.coming(connection, batch, ticket, fields, now=desk.now())]
        return _create(connection, desk, address, batch, known, decision, asked.names, sighting)
    return _append(connection, desk, address, batch, ticket, decision, newcomers, sighting)


def _arrived_late(entry: Entry, ticket: Ticket) -> dict[str, Any] | None:
    """Return the create of an earlier try that was given up, if this ticket is what it made after all."""
    write = entry.write if entry.attempts else None
    return write if write and write["op"] == "create" and write["sys_id"] == ticket.sys_id else None


_HIDDEN = (
    "{} is known but cannot be seen any more: deleted, or the account may not read it. "
    "Nothing was opened instead."
)


def _ignores_sys_id(connection: Connection, desk: Desk) -> bool:
    return instances.get(connection, desk.host).honours_sys_id is False


def _batch(waiting: Sequence[Entry], address: Address) -> list[Entry]:
    if waiting[0].kind == outbox.LINK:
        return linking.together(waiting)
    if waiting[0].kind != outbox.REPORT or not group.holds_many(address):
        return [waiting[0]]
    return [entry for entry in waiting if entry.kind == outbox.REPORT]


def _decided(
    connection: Connection,
    desk: Desk,
    batch: Sequence[Entry],
    ticket: Ticket | None,
    address: Address,
    run: str,
) -> tuple[Decision, Sighting, list[Entry]]:
    anomalies = [Anomaly.model_validate(entry.payload["anomaly"]) for entry in batch]
    now = desk.now()
    newcomers: list[Entry] = []
    policy, is_empty = policy_of(batch[-1].payload, address.table), False
    if ticket is not None and group.holds_many(address):
        members = tickets.members(connection, ticket.id)
        is_empty = (
            group.is_case(address) and not members and settle.is_resolved_as_empty(ticket, policy.states)
        )
        newcomers = [entry for entry in batch if entry.key not in members]
    elif ticket is not None and homes.was_unlinked(connection, batch[0], ticket):
        newcomers = list(batch)
    sighting = Sighting(
        severity=max((anomaly.severity for anomaly in anomalies), key=lambda severity: severity.rank),
        occurred_at=max(anomaly.detected_at or now for anomaly in anomalies)
        + desk.table_api.transport.clock.ahead,
        run=run,
        times=len(batch),
        newcomers=len(newcomers),
        to_empty=is_empty,
    )
    decision = decide(ticket, sighting, policy=policy, now=now)
    if newcomers and not group.holds_many(address):
        decision = replace(decision, reason="linked again")
    return decision, sighting, newcomers


def _create(
    connection: Connection,
    desk: Desk,
    address: Address,
    batch: Sequence[Entry],
    known: Sequence[Ticket],
    decision: Decision,
    names: Resolved,
    sighting: Sighting,
) -> Step:
    payloads = [{**entry.payload, "key": entry.key, "fields": _fields(entry, names)} for entry in batch]
    fields = payloads[0]["fields"]
    if group.holds_many(address):
        case = along.case_at(connection, address) if group.is_case(address) else None
        words = case.description if case else ""
        first, *rest = group.pages(payloads, address, namespace=desk.namespace, first=True, words=words)
        fields = group.new_fields(payloads, address, first, title=case.title if case else None)
        if group.is_case(address) and rest:
            # With the create itself: fifty findings cost one request.
            fields[notes.WORK_NOTES] = rest.pop(0)
        _record_pages(connection, desk, batch[0], rest)
    # Where a report goes may have changed since it was recorded.
    column = payloads[0].get("key_column", CORRELATION)
    fields = {**fields, column: address.correlation_id}
    before = decision.predecessor
    if before is not None:
        label = states_in(batch[-1].payload, address.table).label(before.state)
        line = notes.successor_line(before.number, label)
        fields = {
            **fields,
            "description": cut(f"{line}\n\n{fields['description']}", COLUMN_LENGTHS["description"]),
        }
    again = known[0].sys_id if known and known[0].state == UNKNOWN else None
    write = {
        "op": "create",
        "sys_id": again or sys_id_for(address.table, address.correlation_id, before.sys_id if before else ""),
        "existing": [ticket.sys_id for ticket in known if ticket.sys_id != again],
        "fields": fields,
        "key_column": column,
        "warnings": {str(entry.id): names[entry.id][1] for entry in batch if entry.id in names},
        **_facts(decision, sighting),
    }
    return Step(batch, write)


def _fields(entry: Entry, names: Resolved) -> dict[str, str]:
    """Return the columns that a report asks for, names resolved."""
    fields: dict[str, str] = names[entry.id][0] if entry.id in names else entry.payload["fields"]
    return fields


def _append(
    connection: Connection,
    desk: Desk,
    address: Address,
    batch: Sequence[Entry],
    ticket: Ticket | None,
    decision: Decision,
    newcomers: Sequence[Entry],
    sighting: Sighting,
) -> Step:
    assert ticket is not None  # noqa: S101 (decide() writes notes only on a ticket; this tells the type checker)
    seen = ticket.seen + sighting.times
    if group.holds_many(address):
        payloads = [{**entry.payload, "key": entry.key} for entry in (newcomers or batch)]
        text, *rest = group.pages(
            payloads, address, namespace=desk.namespace, first=False, suffix=f": {decision.reason}"
        )
        _record_pages(connection, desk, batch[0], rest)
    else:
        payload = batch[0].payload
        anomaly = Anomaly.model_validate(payload["anomaly"])
        recorded_at = datetime.fromisoformat(payload["recorded_at"])
        if decision.write == "reopen":
            text = notes.reopen_note(anomaly, now=recorded_at, number=ticket.number)
        else:
            text = notes.repeat_note(anomaly, now=recorded_at, seen=seen, reason=decision.reason)
    values = {"work_notes": text}
    reopening = states_in(batch[-1].payload, address.table).reopening()
    if decision.write == "reopen" and reopening is not None:
        values["state"] = reopening
    newcomer_ids = [entry.id for entry in newcomers]
    return Step(
        batch,
        {
            **note_write(ticket, values),
            "op": decision.write,
            "newcomers": newcomer_ids,
            **_facts(decision, sighting),
        },
    )


def _facts(decision: Decision, sighting: Sighting) -> dict[str, Any]:
    return {
        "action": decision.action,
        "reason": decision.reason,
        "times": sighting.times,
        "severity": str(Severity(sighting.severity)),
        "run": sighting.run,
    }


def _record_pages(connection: Connection, desk: Desk, entry: Entry, texts: Sequence[str]) -> None:
    """Write the further pages of a list down; they follow on the same ticket."""
    drafts = [
        Draft(
            entry.address,
            f"note|{entry.idempotency_key}|page {number}",
            outbox.NOTE,
            {"text": text, **rules_in(entry.payload)},
        )
        for number, text in enumerate(texts, start=2)
    ]
    outbox.record(connection, drafts, recorded_by=entry.recorded_by, now=desk.now())
