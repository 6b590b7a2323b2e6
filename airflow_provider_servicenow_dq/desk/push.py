"""Pushing what has become of anomalies in their source: changes of status, and comments."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, get_args

from airflow_provider_servicenow_dq.anomalies.model import (
    Anomaly,
    Status,
    anomaly_key,
    correlation_id,
)
from airflow_provider_servicenow_dq.desk import order, result
from airflow_provider_servicenow_dq.desk.crew import Crew
from airflow_provider_servicenow_dq.desk.places import key_column
from airflow_provider_servicenow_dq.desk.writing import echo
from airflow_provider_servicenow_dq.exceptions import ServiceNowConfigError, ServiceNowError
from airflow_provider_servicenow_dq.projects.project import Project
from airflow_provider_servicenow_dq.projects.statuses import ON_STATUS, Effect
from airflow_provider_servicenow_dq.store import anomalies as anomaly_store
from airflow_provider_servicenow_dq.store import outbox, recorded, tickets
from airflow_provider_servicenow_dq.store.bulk import batches
from airflow_provider_servicenow_dq.store.outbox import Address, Draft, Entry
from airflow_provider_servicenow_dq.tickets import notes
from airflow_provider_servicenow_dq.tickets.text import text_hash

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from airflow_provider_servicenow_dq.desk.desk import Desk, Run
    from airflow_provider_servicenow_dq.desk.result import Result


@dataclass
class Pushed:
    """What came of it.

    :param results: One per text and ticket, in the order of the anomalies and of their comments.
    :param failures: Why something was not delivered, in words, each cause once.
    :param pending: Errors after which a later try can succeed; empty when all that failed was definitely
        refused.
    """

    results: list[Result]
    failures: list[str] = field(default_factory=list)
    pending: list[ServiceNowError] = field(default_factory=list)


#: Makes the intents of one anomaly for one of its addresses.
Drafting = Callable[["Connection", Anomaly, str, Address], Iterator[Draft]]


def push_status(
    desk: Desk,
    anomalies: Sequence[Anomaly],
    *,
    run: Run,
    project: Project | None = None,
    on_status: Mapping[str, str] | None = None,
) -> Pushed:
    """Let the tickets of anomalies know their status, each change once; not a ticket that said so itself.

    A ticket is resolved only when no anomaly on it is open, we opened it and it is New or In Progress;
    otherwise it gets a note. It is reopened only if it was us who resolved it.

    :param on_status: Effects by status, in any case; those not named are as the project says, else the
        default.
    :raises ServiceNowConfigError: If ``on_status`` names no status or no effect.
    """
    rules = project or Project()
    effects = _effects(rules, on_status)
    if not rules.sync.pushes_status:
        return _not_in_step(desk, anomalies, "status")

    def drafting(connection: Connection, anomaly: Anomaly, key: str, address: Address) -> Iterator[Draft]:
        now = desk.now()
        anomaly_store.know_status(connection, key, anomaly, now=now)
        effect = effects[anomaly.status]
        if effect == "nothing":
            return
        last, count = recorded.newest(connection, address, kind=outbox.STATUS, key=key)
        if anomaly.status_changed_at is not None:
            moment = anomaly.status_changed_at.isoformat()
        else:
            # Without a time it is the same change for as long as the status is the same.
            same = last is not None and last.payload.get("status") == anomaly.status
            moment = str(count if same else count + 1)
        yield Draft(
            address,
            f"status|{address.correlation_id}|{key}|{anomaly.status}|{moment}",
            outbox.STATUS,
            {
                "status": anomaly.status,
                "effect": effect,
                "text": notes.status_note(anomaly, now=now),
                "close_code": rules.close_code,
                **order.rules_payload(rules),
            },
            key=key,
        )

    return push(desk, anomalies, drafting, rules=rules, run=run)


def push_comments(
    desk: Desk,
    anomalies: Sequence[Anomaly],
    *,
    run: Run,
    project: Project | None = None,
    journal: str | None = None,
) -> Pushed:
    """Copy the comments of anomalies to their tickets, each once; equal texts on purpose are all copied.

    :param journal: ``work_notes``, or ``comments``, which the people who wait for the ticket see as well; by
        default the project's.
    :raises ServiceNowConfigError: If there is no such journal.
    """
    rules = project or Project()
    journal = journal or rules.journal
    if journal not in notes.JOURNALS:
        raise ServiceNowConfigError(f"journal must be {' or '.join(notes.JOURNALS)}, not {journal!r}")
    if not rules.sync.pushes_comments:
        return _not_in_step(desk, anomalies, "comments")

    def drafting(_: Connection, anomaly: Anomaly, key: str, address: Address) -> Iterator[Draft]:
        for comment in anomaly.comments:
            yield Draft(
                address,
                f"comment|{address.correlation_id}|{key}|{comment.id}",
                outbox.COMMENT,
                {
                    "text": notes.comment_note(anomaly, comment),
                    "journal": journal,
                    echo.SAID: text_hash(comment.body),
                    **order.rules_payload(rules),
                },
                key=key,
            )

    return push(desk, anomalies, drafting, rules=rules, run=run)


def _not_in_step(desk: Desk, anomalies: Sequence[Anomaly], what: str) -> Pushed:
    words = f"the project does not push {what} (sync)"
    return Pushed([result.suppressed(desk, anomaly, words) for anomaly in anomalies])


def _effects(rules: Project, on_status: Mapping[str, str] | None) -> dict[Status, Effect]:
    effects: dict[Status, Effect] = {**ON_STATUS, **rules.on_status}
    for name, effect in (on_status or {}).items():
        if name.lower() not in set(Status):
            raise ServiceNowConfigError(
                f"on_status: {name!r} is no status. There are {', '.join(sorted(Status))}"
            )
        if effect not in get_args(Effect):
            raise ServiceNowConfigError(
                f"on_status[{name!r}] must be {', '.join(get_args(Effect))}, not {effect!r}"
            )
        effects[Status(name.lower())] = effect  # type: ignore[assignment]  # checked just above
    return effects


def push(desk: Desk, anomalies: Sequence[Anomaly], drafting: Drafting, *, rules: Project, run: Run) -> Pushed:
    """Record what is drafted for the tickets of anomalies, and deliver it.

    :param drafting: Makes the intents of an anomaly for the ticket at an address, in the transaction that
        records them.
    """
    crew = Crew(desk, run.dag_run)
    table = rules.table
    with desk.store.begin() as connection:
        key_column.declared(connection, desk, rules)
    keys = {id(anomaly): anomaly_key(anomaly, desk.namespace) for anomaly in anomalies}
    own = {
        keys[id(anomaly)]: Address(desk.host, table, correlation_id(anomaly.source, keys[id(anomaly)]))
        for anomaly in anomalies
    }
    # A store that is new does not know the tickets yet; what it finds it adopts.
    if not crew.look(_unknown(desk, own)):
        return Pushed([], [str(error) for error in crew.failed], crew.pending)
    intents: list[tuple[Anomaly, Entry | None, bool]] = []
    for batch in batches(anomalies):
        intents += _record(desk, batch, keys, drafting, table=table, run=run)
    waiting = list(
        dict.fromkeys(entry.address for _, entry, _ in intents if entry and entry.state not in outbox.ENDED)
    )
    if crew.look(waiting):
        crew.deliver_all(waiting)
    return _pushed(crew, intents)


def _unknown(desk: Desk, own: Mapping[str, Address]) -> list[Address]:
    """Return where to look for tickets of anomalies of which this store knows neither one nor a report."""
    unknown: list[Address] = []
    for batch in batches(own.items()):
        with desk.store.snapshot() as connection:
            homes = _homes(connection, dict(batch), instance=desk.host, table=batch[0][1].table)
        unknown += (address for key, address in batch if key not in homes)
    return unknown


def _homes(
    connection: Connection, keys: Collection[str], *, instance: str, table: str
) -> dict[str, list[Address]]:
    """Return where anomalies' tickets are, or are to come; of others nothing."""
    linked = tickets.addresses_of_keys(connection, keys, instance=instance)
    unlinked = [key for key in keys if key not in linked]
    return linked | recorded.reports_of(connection, unlinked, instance=instance, table=table)


def _record(
    desk: Desk,
    anomalies: Sequence[Anomaly],
    keys: Mapping[int, str],
    drafting: Drafting,
    *,
    table: str,
    run: Run,
) -> list[tuple[Anomaly, Entry | None, bool]]:
    """Write the intents of these anomalies down; return them with whether they were there before."""
    made: dict[int, list[Draft]] = {}
    with desk.store.begin() as connection:
        wanted = {keys[id(anomaly)] for anomaly in anomalies}
        homes = _homes(connection, wanted, instance=desk.host, table=table)
        # In one order for all: two transactions that lock rows in different orders wait for each other.
        for anomaly in sorted(anomalies, key=lambda each: keys[id(each)]):
            key = keys[id(anomaly)]
            made[id(anomaly)] = [
                draft for home in homes.get(key, ()) for draft in drafting(connection, anomaly, key, home)
            ]
        drafts = [draft for anomaly in anomalies for draft in made[id(anomaly)]]
        echoes = echo.among(connection, drafts)
        recorded_now = outbox.record(connection, drafts, recorded_by=run.task, now=desk.now())
        was_done = {
            entry.id: entry.state == outbox.DONE and entry.recorded_by != run.task for entry in recorded_now
        }
        entries = iter(echo.settle(connection, recorded_now, echoes, now=desk.now()))
    intents: list[tuple[Anomaly, Entry | None, bool]] = []
    for anomaly in anomalies:
        for entry in islice(entries, len(made[id(anomaly)])):
            intents.append((anomaly, entry, was_done[entry.id]))
        if not made[id(anomaly)]:
            intents.append((anomaly, None, False))
    return intents


def _pushed(crew: Crew, intents: Sequence[tuple[Anomaly, Entry | None, bool]]) -> Pushed:
    desk = crew.desk
    with desk.store.snapshot() as connection:
        entries = outbox.by_ids(connection, {entry.id for _, entry, _ in intents if entry is not None})
        shown = tickets.by_ids(connection, {entry.ticket_id for entry in entries.values() if entry.ticket_id})
    results: list[Result] = []
    failures = [str(error) for error in crew.failed]
    for anomaly, recorded_entry, was_done in intents:
        if recorded_entry is None:
            results.append(result.suppressed(desk, anomaly, "it has no ticket, or nothing is due"))
            continue
        entry = entries[recorded_entry.id]
        ticket = shown.get(entry.ticket_id) if entry.ticket_id else None
        results.append(result.settled(desk, anomaly, entry, ticket, action="unchanged" if was_done else None))
        if entry.state in {outbox.DEAD, outbox.BLOCKED}:
            what = f"{entry.kind} of {anomaly.check_name} on {anomaly.dataset}"
            failures.append(f"{what}, outbox entry {entry.id} is {entry.state}: {entry.message}")
    return Pushed(results, list(dict.fromkeys(failures)), crew.pending)
