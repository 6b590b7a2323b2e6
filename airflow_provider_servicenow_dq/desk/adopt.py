"""Rebuilding a lost store from the instance, which is the truth."""

from __future__ import annotations

import logging
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_servicenow_dq.anomalies.model import key_of
from airflow_provider_servicenow_dq.client.query import Query
from airflow_provider_servicenow_dq.desk.lookup import adopt, columns_with, count_texts, learn, read_list
from airflow_provider_servicenow_dq.desk.places.foreign import CORRELATION_ID
from airflow_provider_servicenow_dq.desk.places.group import holds_many
from airflow_provider_servicenow_dq.desk.places.key_column import declared, proven
from airflow_provider_servicenow_dq.desk.pulling.standing import entries_there
from airflow_provider_servicenow_dq.projects.project import Project
from airflow_provider_servicenow_dq.store import key_columns, tickets
from airflow_provider_servicenow_dq.store.bulk import batches
from airflow_provider_servicenow_dq.store.outbox import Address
from airflow_provider_servicenow_dq.store.tickets import BY_HAND, Ticket

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_provider_servicenow_dq.desk.desk import Desk

log = logging.getLogger(__name__)

#: Tickets in hand at once, and in one transaction.
_AT_ONCE: Final = 100
#: How an anomaly stands at the end of its line on a ticket that holds many.
_MEMBER: Final = re.compile(rf"\(({CORRELATION_ID.pattern})\)\s*$", re.MULTILINE)


@dataclass(slots=True)
class Adopted:
    """How much was found.

    :param found: Tickets of ours on the instance.
    :param tickets: Those of them that the store did not know.
    :param links: Anomalies on them.
    :param notes: Work notes and comments of ours on them.
    """

    found: int = 0
    tickets: int = 0
    links: int = 0
    notes: int = 0


def adopt_all(desk: Desk, table: str, *, key_field: str | None = None) -> Iterator[Adopted]:
    """Take over every ticket of ours on the instance that the store does not know; yield what is done so far.

    Their journals are read once, and what we wrote there counts as delivered. What the store knows already
    stays as it is. The first run that reports an anomaly again writes no note for that.

    :param key_field: The project's, where the table has no ``correlation_id``.
    :raises ServiceNowError: If the instance cannot be read; what was taken over before stays.
    """
    so_far = Adopted()
    with desk.store.begin() as connection:
        declared(connection, desk, Project().changed({"table": table, "key_field": key_field}))
        known = key_columns.get(connection, desk.host, table)
    column = proven(desk, table, known)
    ours = Query.where(column, "STARTSWITH", "dq:")
    rows = desk.table_api.find(table, ours, fields=columns_with(column))
    for batch in batches(rows, _AT_ONCE):
        placed = [
            (Address(desk.host, table, row[column]), row)
            for row in batch
            if CORRELATION_ID.fullmatch(row.get(column) or "")
        ]
        so_far.found += len(placed)
        _adopt(desk, placed, so_far)
        log.info("%s tickets found, %s of them adopted", so_far.found, so_far.tickets)
        yield so_far


def _adopt(desk: Desk, placed: Sequence[tuple[Address, dict[str, Any]]], so_far: Adopted) -> None:
    with desk.store.snapshot() as connection:
        known = _known(tickets.at(connection, {address for address, _ in placed}))
    fresh = [(address, row) for address, row in placed if row["sys_id"] not in known]
    if not fresh:
        return
    texts = count_texts(desk, fresh[0][0].table, [row for _, row in fresh])
    there = entries_there(desk, fresh[0][0].table, [row for _, row in fresh])
    members = {row["sys_id"]: _members(desk, address, row) for address, row in fresh}
    now = desk.now()
    with desk.store.begin() as connection:
        learn(connection, desk, {address: [row] for address, row in fresh})
        # Read again: somebody may have come across them meanwhile.
        known = _known(tickets.at(connection, {address for address, _ in fresh}))
        for address, row in fresh:
            if row["sys_id"] in known:
                continue
            counted = texts.get(row["sys_id"], Counter())
            entries = there.get(row["sys_id"])
            ticket = adopt(
                connection, address, row, run=BY_HAND, now=now, known_texts=counted, entries=entries
            )
            tickets.link(connection, ticket.id, members[row["sys_id"]], now=now)
            so_far.tickets += 1
            so_far.links += len(members[row["sys_id"]])
            so_far.notes += counted.total()


def _members(desk: Desk, address: Address, row: dict[str, Any]) -> list[str]:
    """Return the keys of the anomalies on a ticket."""
    if not holds_many(address):
        return [key_of(address.correlation_id)]
    return sorted({key_of(mark) for text in read_list(desk, row) for mark in _MEMBER.findall(text)})


def _known(found: dict[Address, list[Ticket]]) -> set[str]:
    return {ticket.sys_id for there in found.values() for ticket in there}
