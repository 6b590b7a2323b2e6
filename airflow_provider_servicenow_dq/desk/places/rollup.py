"""The limit of new tickets in one DAG run, and the ticket that takes what is beyond it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from airflow_provider_servicenow_dq.anomalies.model import Anomaly
from airflow_provider_servicenow_dq.desk.lookup import look, read_list
from airflow_provider_servicenow_dq.desk.order import states_in
from airflow_provider_servicenow_dq.desk.places import group
from airflow_provider_servicenow_dq.store import outbox, recorded, tickets
from airflow_provider_servicenow_dq.store.outbox import Address, Entry
from airflow_provider_servicenow_dq.tickets.notes import member_mark

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy.engine import Connection

    from airflow_provider_servicenow_dq.desk.desk import Desk, Run
    from airflow_provider_servicenow_dq.desk.order import Order
    from airflow_provider_servicenow_dq.store.tickets import Ticket

log = logging.getLogger(__name__)


def limit(
    desk: Desk,
    entries: Sequence[Entry],
    addresses: Sequence[Address],
    *,
    order: Order,
    run: Run,
    looking_in: str | None = None,
) -> tuple[list[Address], list[Address]]:
    """Keep a DAG run to its share of new tickets.

    :param addresses: Where the entries go, the severest first; the severest keep a ticket of their own.
    :param run: Who has reported.
    :param looking_in: The DAG run that delivers, where it is another one.
    :return: What is to be delivered before the rest (the roll-up ticket, if there is one), and the rest.
    """
    most = order.project.max_new_tickets
    entries, joined = _rejoin(desk, entries, table=order.project.table)
    if joined:
        look(desk, joined, run=looking_in or run.dag_run)
        there_still = {entry.address for entry in entries}
        addresses = [address for address in addresses if address in there_still and address not in joined]
    with desk.store.snapshot() as connection:
        known = tickets.at(connection, addresses)
        opened = tickets.opened_in(connection, run.dag_run, instance=desk.host, besides=group.ROLLUP)
    # What may have been created already keeps its place: only a look at that very ticket tells.
    under_way = {entry.address for entry in entries if entry.state == outbox.SENDING}
    new = [
        address
        for address in addresses
        if address not in known and address not in under_way and not group.holds_many(address)
    ]
    if len(new) + opened <= most:
        return joined, list(addresses)
    instead = ",".join(sorted(entry.idempotency_key for entry in entries))
    home = Address(
        desk.host,
        order.project.table,
        group.rollup_correlation(run, namespace=desk.namespace, instead=instead),
    )
    look(desk, [home], run=looking_in or run.dag_run)
    with desk.store.snapshot() as connection:
        there = next(iter(tickets.at(connection, [home]).get(home, [])), None)
    share = 0 if there is not None and there.opened_in is None else max(most - opened, 0)
    beyond = set(new[share:])
    log.warning(
        "%s new tickets in %s, more than max_new_tickets=%s: %s of them join one roll-up ticket",
        len(new) + opened,
        run.dag_run,
        most,
        len(beyond),
    )
    joining = [entry for entry in entries if entry.address in beyond]
    elsewhere = _join(desk, joining, home, there)
    if elsewhere:
        look(desk, elsewhere, run=looking_in or run.dag_run)
    rest = [address for address in addresses if address not in beyond and address != home]
    return list(dict.fromkeys([*joined, *elsewhere, home])), rest


def _rejoin(desk: Desk, entries: Sequence[Entry], *, table: str) -> tuple[list[Entry], list[Address]]:
    """Move reports to the roll-up ticket that their anomaly has joined since they were recorded.

    What was tried already stays: it may still arrive where it was sent.

    :return: The entries as they are now, and the roll-up tickets.
    """
    movable = [
        entry for entry in entries if not entry.attempts and entry.key and not group.holds_many(entry.address)
    ]
    with desk.store.begin() as connection:
        homes, waiting = _homes(connection, desk, movable, table=table)
        still_there = {entry.id for entry in waiting}
        _move(connection, [entry for entry in movable if entry.id in still_there], homes)
        if homes:
            found = outbox.by_ids(connection, [entry.id for entry in entries])
            entries = [found[entry.id] for entry in entries]
    return list(entries), list(dict.fromkeys(homes.values()))


def _homes(
    connection: Connection, desk: Desk, entries: Sequence[Entry], *, table: str
) -> tuple[dict[str, Address], list[Entry]]:
    """Return the roll-up tickets of anomalies, open or still to come, and all their reports that wait."""
    keys = {entry.key for entry in entries if entry.key}
    waiting = recorded.waiting_reports(connection, keys, instance=desk.host, table=table)
    to_come = {entry.key: entry.address for entry in reversed(waiting) if group.is_rollup(entry.address)}
    newest = tickets.of_keys(connection, keys, instance=desk.host, table=table)
    states = {entry.key: states_in(entry.payload, table) for entry in entries}
    joined = {key: ticket.address for key, ticket in newest.items() if group.is_joined(ticket, states[key])}
    return {**{key: home for key, home in to_come.items() if key}, **joined}, waiting


def _move(connection: Connection, entries: Sequence[Entry], homes: Mapping[str, Address]) -> None:
    for home in dict.fromkeys(homes.values()):
        outbox.move(connection, [entry.id for entry in entries if homes.get(entry.key or "") == home], home)


def _join(desk: Desk, entries: Sequence[Entry], home: Address, there: Ticket | None) -> list[Address]:
    """Move reports to the roll-up ticket; link those that it lists already, from a try before this store.

    Whoever else has reported the same comes along: else each of us would open a ticket for it.

    :return: Other roll-up tickets, where somebody was quicker.
    """
    texts = read_list(desk, there.record) if there is not None and there.adopted_in is not None else []
    listed = [
        entry.key for entry in entries if entry.key and group.listed(_mark(entry, desk.namespace), texts)
    ]
    own = {entry.key: entry.address for entry in entries if entry.key}
    with desk.store.begin() as connection:
        if there is not None:
            tickets.link(connection, there.id, listed, now=desk.now())
        elsewhere, waiting = _homes(connection, desk, entries, table=home.table)
        under_way = {entry.key for entry in waiting if entry.state == outbox.SENDING}
        homes = {key: elsewhere.get(key, home) for key in own if key not in under_way}
        together = [entry for entry in waiting if entry.key and entry.address == own[entry.key]]
        _move(connection, together, homes)
    return [address for address in dict.fromkeys(homes.values()) if address != home]


def _mark(entry: Entry, namespace: str) -> str:
    return member_mark(Anomaly.model_validate(entry.payload["anomaly"]), namespace)
