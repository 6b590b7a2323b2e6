"""Resolving tickets of anomalies whose checks pass again: not at the first pass, for most fail again."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from airflow_provider_servicenow_dq.anomalies.model import Status, anomaly_key, occurrence_id
from airflow_provider_servicenow_dq.desk import order
from airflow_provider_servicenow_dq.desk.push import Pushed, push
from airflow_provider_servicenow_dq.store import anomalies as anomaly_store
from airflow_provider_servicenow_dq.store import outbox, passes, recorded, tickets
from airflow_provider_servicenow_dq.store.bulk import batches
from airflow_provider_servicenow_dq.store.outbox import Draft
from airflow_provider_servicenow_dq.store.passes import Passing, Streak
from airflow_provider_servicenow_dq.tickets import notes

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from sqlalchemy.engine import Connection

    from airflow_provider_servicenow_dq.anomalies.model import Anomaly, Pass
    from airflow_provider_servicenow_dq.desk.desk import Desk, Run
    from airflow_provider_servicenow_dq.projects.project import Project
    from airflow_provider_servicenow_dq.store.outbox import Address

#: How long a check must not have failed. In a week of flights with five hourly checks at three airports, 15
#: problems were 204 tickets with a resolve at the first pass, and 26 with this.
QUIET: Final = timedelta(hours=24)


def resolve_passed(
    desk: Desk,
    passed: Sequence[Pass],
    *,
    failed: Sequence[Anomaly],
    rules: Project,
    run: Run,
    quiet: timedelta = QUIET,
) -> Pushed:
    """Count passes, and resolve the tickets of anomalies of which there were enough in a row.

    A ticket is resolved as by a status that is pushed, under the same conditions. A pass counts once,
    whatever is retried. It is compared with the anomaly by the source's times where there are any, else by
    our clock; one without a time and outside a DAG run cannot be told from the last one. Passes of anomalies
    that have no open ticket are not counted.

    :param failed: What the same report found wrong: a check that also failed has not passed.
    :param quiet: How long a check must not have failed.
    """
    if not (rules.resolve_after and rules.sync.pushes_status):
        return Pushed([])
    failing = {anomaly_key(anomaly, desk.namespace) for anomaly in failed}
    due: dict[str, Streak] = {}
    about: dict[str, Anomaly] = {}
    for batch in batches(passed):
        passings = [_passing(desk, each, run) for each in batch]
        with desk.store.begin() as connection:
            streaks = _counted(
                connection,
                desk,
                [each for each in passings if each.key not in failing],
                rules,
                run,
                quiet,
            )
            about |= anomaly_store.contents(connection, streaks)
        due |= streaks
    resolved = [_resolved(anomaly, due[key]) for key, anomaly in about.items()]
    if not resolved:
        return Pushed([])

    def drafting(connection: Connection, anomaly: Anomaly, key: str, address: Address) -> Iterator[Draft]:
        if not passes.goes_on(connection, key, due[key]):
            return
        draft = _draft(desk, anomaly, key, address, due[key], rules)
        if _is_open(connection, address, rules) or outbox.is_recorded(connection, draft):
            anomaly_store.know_status(connection, key, anomaly, now=desk.now())
            yield draft

    return push(desk, resolved, drafting, rules=rules, run=run)


def _passing(desk: Desk, passed: Pass, run: Run) -> Passing:
    occurrence = occurrence_id(
        passed,
        dag_id=run.dag_id or None,
        run_id=run.run_id or None,
        task_id=run.task_id or None,
        map_index=run.map_index,
    )
    # A source whose clock is wrong must not have passed after failures that are still to come.
    now = desk.now()
    return Passing(anomaly_key(passed, desk.namespace), occurrence, min(passed.detected_at or now, now))


def _counted(
    connection: Connection,
    desk: Desk,
    passings: Collection[Passing],
    rules: Project,
    run: Run,
    quiet: timedelta,
) -> dict[str, Streak]:
    """Count passes; return those of anomalies whose tickets are due."""
    linked = tickets.of_keys(
        connection, {each.key for each in passings}, instance=desk.host, table=rules.table
    )
    # What an earlier try of this task has resolved is told again.
    addresses = [ticket.address for ticket in linked.values()]
    told = recorded.keys_of(connection, run.task, addresses, kind=outbox.STATUS)
    keys = {key for key, ticket in linked.items() if key in told or tickets.is_open(ticket, rules.states)}
    passes.remember(connection, [each for each in passings if each.key in keys])
    return {
        key: streak
        for key, streak in passes.streaks(connection, keys).items()
        if streak.times >= rules.resolve_after and streak.last_at - streak.since >= quiet
    }


def _resolved(anomaly: Anomaly, streak: Streak) -> Anomaly:
    return anomaly.model_copy(update={"status": Status.RESOLVED, "status_changed_at": streak.last_at})


def _draft(desk: Desk, anomaly: Anomaly, key: str, address: Address, streak: Streak, rules: Project) -> Draft:
    text = notes.passed_note(anomaly, now=desk.now(), times=streak.times, since=streak.since)
    return Draft(
        address,
        f"status|{address.correlation_id}|{key}|passed|{streak.since.isoformat()}",
        outbox.STATUS,
        {
            "status": anomaly.status,
            "effect": "resolve",
            "text": text,
            "close_code": rules.close_code,
            **order.rules_payload(rules),
        },
        key=key,
    )


def _is_open(connection: Connection, address: Address, rules: Project) -> bool:
    known = tickets.at(connection, [address]).get(address, [])
    return any(tickets.is_open(ticket, rules.states) for ticket in known)
