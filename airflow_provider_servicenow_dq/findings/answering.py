"""Delivering what a request has recorded, and showing what has become of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_servicenow_dq.desk.crew import Crew
from airflow_provider_servicenow_dq.desk.places import moves
from airflow_provider_servicenow_dq.findings.parties import Answer
from airflow_provider_servicenow_dq.findings.people import as_datadog_knows_them
from airflow_provider_servicenow_dq.findings.view import show
from airflow_provider_servicenow_dq.store import case_intents, cases, outbox, recorded

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from airflow_provider_servicenow_dq.findings.parties import Caller, Side
    from airflow_provider_servicenow_dq.store.cases import Case
    from airflow_provider_servicenow_dq.store.outbox import Address
    from airflow_provider_servicenow_dq.store.store import Store


def answer(store: Store, opened: Sequence[Case], sides: Mapping[str, Side], caller: Caller) -> Answer:
    """Deliver what waits for cases, and show them.

    :param sides: By project id.
    """
    with store.snapshot() as connection:
        waiting = [
            case.address
            for case in opened
            if case.address is not None
            and any(each.state not in outbox.ENDED for each in case_intents.standing(connection, case))
        ]
    came = delivered(store, sides.values(), waiting, caller)
    with store.snapshot() as connection:
        assigned = cases.by_ids(connection, [case.id for case in opened]).values()
    people = as_datadog_knows_them(assigned, sides)
    with store.snapshot() as connection:
        now = cases.by_ids(connection, [case.id for case in opened])
        came.cases = show(connection, [now[case.id] for case in opened], sides, people)
    for shown in came.cases:
        ticket = shown.attributes.servicenow_ticket
        # A case that all have left before it had a ticket waits for nothing.
        if not shown.attributes.insights or ticket is None or ticket.status == "IN_PROGRESS":
            continue
        if ticket.error_message:
            came.failures.append(f"{shown.attributes.key}: {ticket.error_message}")
    return came


def delivered(store: Store, sides: Iterable[Side], waiting: Sequence[Address], caller: Caller) -> Answer:
    """Deliver to addresses, and the notes about findings that have moved."""
    came = Answer()
    for side in {side.desk.host: side for side in sides}.values():
        crew = Crew(side.desk, caller.run.dag_run)
        tables: dict[str, list[Address]] = {}
        for address in waiting:
            if address.instance == side.desk.host:
                tables.setdefault(address.table, []).append(address)
        for addresses in tables.values():
            if crew.look(addresses):
                crew.deliver_all(addresses)
        moves.deliver(crew, task=caller.run.task)
        came.failures += [str(error) for error in crew.failed]
        came.pending += crew.pending
    with store.snapshot() as connection:
        came.failures += recorded.refused_of(
            connection, caller.run.task, (outbox.MOVE, outbox.NOTE, outbox.STATUS)
        )
    came.failures = list(dict.fromkeys(came.failures))
    return came
