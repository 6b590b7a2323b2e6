"""Unlinking anomalies from tickets, which nobody notices on the ticket.

But for a finding that is in the ticket's case: it leaves both, the ticket says so, and is resolved if it was
the last one and the project wants that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_servicenow_dq.anomalies.model import Anomaly, anomaly_key, correlation_id
from airflow_provider_servicenow_dq.desk import result
from airflow_provider_servicenow_dq.desk.crew import Crew
from airflow_provider_servicenow_dq.desk.delivery.claimed import claimed
from airflow_provider_servicenow_dq.desk.places import key_column, moves
from airflow_provider_servicenow_dq.desk.push import Pushed
from airflow_provider_servicenow_dq.exceptions import (
    AmbiguousNameError,
    DeliveryPendingError,
)
from airflow_provider_servicenow_dq.projects.project import Project
from airflow_provider_servicenow_dq.store import exclusive, links, outbox, recorded, tickets
from airflow_provider_servicenow_dq.store.outbox import Address
from airflow_provider_servicenow_dq.tickets.named import Named, read_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_servicenow_dq.desk.desk import Desk, Run
    from airflow_provider_servicenow_dq.desk.result import Result
    from airflow_provider_servicenow_dq.store.tickets import Ticket

_AGAIN = "; the next report of it links it again"


def unlink_anomalies(
    desk: Desk,
    anomalies: Sequence[Anomaly],
    *,
    run: Run,
    incident: str | None = None,
    project: Project | None = None,
    user: str = "",
) -> Pushed:
    """Cut the links of anomalies to a ticket, or to all of them. The tickets stay as they are.

    But for findings of a ticket's case: a note says that they have left, and the ticket is resolved if they
    were the last and its project closes empty cases (``close_empty_cases``).

    Statuses, comments and links of them that wait for the ticket are not sent any more, and are discarded;
    what was sent and lost its answer may have arrived. A report that waits is sent all the same, since it
    says that the problem is there: to the anomaly's own ticket, to which it links it again.

    :param incident: Number, sys_id or address of the ticket's record; by default all.
    :param user: Who asks for it, if it is a person.
    :return: For each anomaly, in their order, one result per link that is cut; one that says so if it has
        none. An anomaly that is given twice gets the same results twice.
    :raises ServiceNowConfigError: If ``incident`` names no ticket, or one of another instance.
    :raises AmbiguousNameError: If several linked tickets have that number.
    """
    named = None if incident is None else read_name(incident, host=desk.host)
    rules = project or Project()
    crew = Crew(desk, run.dag_run)
    keys = {id(anomaly): anomaly_key(anomaly, desk.namespace) for anomaly in anomalies}
    own = {
        keys[id(anomaly)]: Address(desk.host, rules.table, correlation_id(anomaly.source, keys[id(anomaly)]))
        for anomaly in anomalies
    }
    # A store that is new does not know of links that it will find later.
    if not crew.look(_unknown(desk, own, rules)):
        return Pushed([], [str(error) for error in crew.failed], crew.pending)
    with desk.store.snapshot() as connection:
        linked = links.of_keys(connection, keys.values(), instance=desk.host)
        intended = links.intended(connection, keys.values(), instance=desk.host)
    wanted = {
        key: _meant([link.ticket for link in linked.get(key, ())], intended.get(key, ()), named)
        for key in keys.values()
    }
    cut = _cut(crew, wanted, by=run.task, user=user, project=project)
    moves.deliver(crew, task=run.task)
    with desk.store.snapshot() as connection:
        refused = recorded.refused_of(connection, run.task, (outbox.MOVE, outbox.STATUS))
    return Pushed(
        list(_results(desk, anomalies, keys, own, wanted, cut)),
        list(dict.fromkeys([*map(str, crew.failed), *refused])),
        crew.pending,
    )


def _unknown(desk: Desk, own: Mapping[str, Address], rules: Project) -> list[Address]:
    """Return where own tickets may be of which the store knows nothing."""
    with desk.store.begin() as connection:
        key_column.declared(connection, desk, rules)
        linked = links.of_keys(connection, own, instance=desk.host)
        known = tickets.at(connection, own.values())
    return [address for key, address in own.items() if key not in linked and address not in known]


def _meant(linked: Sequence[Ticket], intended: Sequence[Ticket], named: Named | None) -> list[Ticket]:
    known = list({ticket.id: ticket for ticket in (*linked, *intended)}.values())
    if named is None:
        return known
    if named.sys_id:
        return [ticket for ticket in known if ticket.sys_id == named.sys_id]
    meant = [ticket for ticket in known if ticket.number.upper() == named.number]
    if named.table:
        meant = [ticket for ticket in meant if ticket.address.table == named.table] or meant
    if len(meant) > 1:
        raise AmbiguousNameError(
            ", ".join(ticket.address.table for ticket in meant), named.number, len(meant)
        )
    return meant


def _cut(
    crew: Crew, wanted: Mapping[str, Sequence[Ticket]], *, by: str, user: str, project: Project | None
) -> set[tuple[str, int]]:
    """Cut links, ticket by ticket; return those that are cut.

    :param by: Who records it.
    :param user: Who asks for it, if it is a person.
    """
    by_ticket: dict[int, list[str]] = {}
    known = {ticket.id: ticket for found in wanted.values() for ticket in found}
    for key, found in wanted.items():
        for ticket in found:
            by_ticket.setdefault(ticket.id, []).append(key)
    done: set[tuple[str, int]] = set()
    for ticket_id, keys in by_ticket.items():
        ticket, now = known[ticket_id], crew.desk.now()
        try:
            # Nobody who is just sending something there links them again at the end.
            with claimed(crew.desk, ticket.address) as lease, lease.transaction() as connection:
                exclusive.alone(connection)
                for key in keys:
                    links.cut(connection, ticket, key, now=now)
                moves.leave_case(connection, ticket, keys, by=by, user=user, project=project, now=now)
        except DeliveryPendingError as error:
            crew.failed.append(error)
        else:
            done |= {(key, ticket_id) for key in keys}
    return done


def _results(
    desk: Desk,
    anomalies: Sequence[Anomaly],
    keys: Mapping[int, str],
    own: Mapping[str, Address],
    wanted: Mapping[str, Sequence[Ticket]],
    cut: set[tuple[str, int]],
) -> list[Result]:
    results: list[Result] = []
    for anomaly in anomalies:
        key = keys[id(anomaly)]
        found = wanted[key]
        if not found:
            results.append(result.suppressed(desk, anomaly, "it is not linked"))
        for ticket in found:
            again = _AGAIN if ticket.address == own[key] else ""
            results.append(result.unlinked(desk, anomaly, ticket, done=(key, ticket.id) in cut, reason=again))
    return results
