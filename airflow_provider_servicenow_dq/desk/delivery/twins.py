"""Twins: where an instance ignores the sys_id we choose, two creators make two tickets, and one goes."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_servicenow_dq.desk import lookup
from airflow_provider_servicenow_dq.desk.delivery.ourselves import our_names
from airflow_provider_servicenow_dq.exceptions import DeliveryRefusedError
from airflow_provider_servicenow_dq.store import outbox
from airflow_provider_servicenow_dq.store import twins as twin_store
from airflow_provider_servicenow_dq.store.outbox import Draft
from airflow_provider_servicenow_dq.tickets.incident import CANCELED, NEW, is_worked_on
from airflow_provider_servicenow_dq.tickets.notes import twin_note

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy.engine import Connection

    from airflow_provider_servicenow_dq.desk.desk import Desk
    from airflow_provider_servicenow_dq.store.outbox import Address, Entry
    from airflow_provider_servicenow_dq.store.tickets import Ticket

log = logging.getLogger(__name__)

#: The only table whose state for *canceled* is known.
_TABLE: Final = "incident"

_LEFT: Final = "{} is open for the same problem as {}, and somebody has worked on it: close one of the two"
_GONE: Final = "{} was opened at the same moment for the same problem; {} stays"


#: Said of a refusal that an account gets also for what it may create and not read (KB2697679).
MAY_BE_HIDDEN: Final = (
    "{}. It may have been created where the account cannot see it, and would be again: nothing more is "
    "opened until the account may read what it creates."
)

#: Said of a new ticket that cannot be found by what it is known by.
NOT_KEPT: Final = (
    "{} was created, and its column {} holds {!r} instead of our whole correlation id (76 characters): it "
    "could not be found again. Nothing more is opened until the project's key_field names a column that can "
    "hold it"
)


class BlindAccountError(DeliveryRefusedError):
    """The account cannot find what it has just created: it would create it again for ever."""


@dataclass(frozen=True, slots=True)
class Found:
    """The tickets of one problem that were opened at the same moment.

    :param records: The one that stays, then the others that are open.
    :param touched: sys_ids of those on which people, or their rules, have worked.
    """

    records: list[dict[str, Any]]
    touched: Collection[str]


def find(desk: Desk, address: Address, entry: Entry) -> Found:
    """Look again after a create.

    :param entry: Says which ticket we have made, and which were there when we decided to.
    :raises BlindAccountError: If it cannot be found.
    """
    ours, before = entry.payload["sys_id"], entry.payload.get("before")
    rows = lookup.find_rows(desk, address)
    if ours not in {row["sys_id"] for row in rows}:
        raise BlindAccountError(
            f"A ticket was created in {address.table}, and the account cannot find it by its correlation_id. "
            "It needs read access to what it creates; nothing more is opened until it has it."
        )
    twins = _born_together(rows, before)
    if len(twins) < 2:  # noqa: PLR2004 (one ticket has no twin)
        return Found(twins, ())
    notes = lookup.count_texts(desk, address.table, twins)
    names = our_names(desk)
    touched = {
        row["sys_id"] for row in twins if _is_touched(row, names, notes.get(row["sys_id"], Counter()).total())
    }
    return Found(twins, touched)


def _born_together(rows: Sequence[dict[str, Any]], before: Collection[str] | None) -> list[dict[str, Any]]:
    """Return the tickets that nobody knew of when ours was decided on, the one that stays first.

    That is one that is resolved or closed by now, if there is any, else the oldest.

    :param before: sys_ids of those that were there; None where that was not written down.
    """
    fresh = [row for row in rows if row["sys_id"] not in (before or ()) and row.get("state") != CANCELED]
    still_open = [row for row in fresh if is_worked_on(row.get("state") or "")]
    ended = [row for row in fresh if row not in still_open] if before is not None else []
    return [*ended[:1], *still_open]


def _is_touched(row: dict[str, Any], ours: Collection[str], our_notes: int) -> bool:
    """Whether anybody but us has changed a ticket: each of our own changes brings exactly one note."""
    by_us = row.get("sys_created_by") in ours and row.get("sys_updated_by") in ours
    return row.get("state") != NEW or not by_us or int(row.get("sys_mod_count") or 0) > our_notes


def plan(connection: Connection, desk: Desk, entry: Entry, found: Found) -> None:
    """Write down which tickets are to be canceled: all but the one that stays, as long as only we know them.

    What was reported on a ticket that goes belongs to the one that stays.
    """
    now = desk.now()
    known = {
        row["sys_id"]: lookup.keep(connection, desk, entry.address, row, now=now) for row in found.records
    }
    for first, twin in ((known[found.records[0]["sys_id"]], ticket) for ticket in list(known.values())[1:]):
        if twin.sys_id in found.touched or entry.address.table != _TABLE:
            words = _LEFT.format(twin.number, first.number)
            log.warning("%s", words)
            twin_store.warn(connection, first.id, words)
            twin_store.warn(connection, twin.id, words)
            continue
        draft = Draft(
            entry.address,
            f"cancel|{twin.sys_id}",
            outbox.CANCEL,
            {"sys_id": twin.sys_id, "text": twin_note(first.number)},
        )
        outbox.record(connection, [draft], recorded_by=entry.recorded_by, now=now)
        words = _GONE.format(twin.number, first.number)
        twin_store.hand_over(connection, twin.id, first.id, message=words, now=now)
    outbox.settle(connection, [entry.id], state=outbox.DONE, action="unchanged", now=now)


def to_cancel(entry: Entry, known: Collection[Ticket]) -> Ticket | None:
    """Return the ticket that an entry wants to cancel; None if it is no longer New."""
    for ticket in known:
        if ticket.sys_id == entry.payload["sys_id"] and ticket.state == NEW:
            return ticket
    return None
