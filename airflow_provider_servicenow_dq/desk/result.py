"""What an opening returns for each anomaly: the seed's *Create Ticket Response*, and how it came about."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_servicenow_dq.store import outbox
from airflow_provider_servicenow_dq.tickets.text import cut
from airflow_provider_servicenow_dq.tickets.ticket import integration_id, ticket_view

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_servicenow_dq.anomalies.model import Anomaly
    from airflow_provider_servicenow_dq.desk.desk import Desk
    from airflow_provider_servicenow_dq.store.outbox import Entry
    from airflow_provider_servicenow_dq.store.tickets import Ticket

#: Version of the shape, in every item, for whoever reads old XComs.
SCHEMA_VERSION: Final = 1

#: A result in an XCom is smaller than this, in bytes of JSON.
MOST_BYTES: Final = 1500

_MOST_WARNINGS: Final = 5
_WARNING_LENGTH: Final = 200
#: Lengths to which texts are cut for an XCom, one after the other until it fits.
_SHORTER: Final = (160, 120, 80, 40, 20, 10)
#: What of a ticket may be cut.
_TEXTS: Final = ("title", "category", "subcategory", "assigned_to", "assigned_group", "requester")

Result = dict[str, Any]

_WAITING_WORDS: Final = "Ticket of anomaly {anomaly} not delivered: {reason}"

_DONE_WORDS: Final[Mapping[str, str]] = {
    "created": "Ticket {number} created and linked to anomaly {anomaly}",
    "resolved": "Ticket {number} resolved for anomaly {anomaly}: {reason}",
    "reopened": "Ticket {number} reopened for anomaly {anomaly}: {reason}",
    "noted": "Ticket {number} noted for anomaly {anomaly}: {reason}",
    "linked": "Anomaly {anomaly} linked to ticket {number}",
    "unlinked": "Anomaly {anomaly} unlinked from ticket {number}{reason}",
    "unchanged": "Ticket {number} unchanged for anomaly {anomaly}: {reason}",
    "suppressed": "No ticket for anomaly {anomaly}: {reason}",
}


def suppressed(desk: Desk, anomaly: Anomaly, reason: str) -> Result:
    """Return the result for an anomaly that gets no ticket."""
    return _result(desk, anomaly, action="suppressed", reason=reason, delivered=True, ticket=None)


def unchanged(desk: Desk, anomaly: Anomaly, ticket: Ticket, reason: str) -> Result:
    """Return the result for an anomaly whose ticket is as it should be."""
    return _result(desk, anomaly, action="unchanged", reason=reason, delivered=True, ticket=ticket)


def unlinked(desk: Desk, anomaly: Anomaly, ticket: Ticket, *, done: bool, reason: str = "") -> Result:
    """Return the result for an anomaly whose link to a ticket was to be cut.

    :param done: Whether it is cut.
    :param reason: What to know about it, as the end of a sentence.
    """
    action = "unlinked" if done else "unchanged"
    warnings = [] if done else ["not unlinked: somebody is at work on the ticket"]
    words = reason if done else "it is still linked"
    return _result(
        desk, anomaly, action=action, reason=words, delivered=done, ticket=ticket, warnings=warnings
    )


def settled(
    desk: Desk, anomaly: Anomaly, entry: Entry, ticket: Ticket | None, *, action: str | None
) -> Result:
    """Return the result for an anomaly whose report is in the outbox, delivered or not.

    :param action: What happened; None to take what the entry says.
    """
    if entry.state == outbox.DISCARDED:
        words = f"outbox entry {entry.id} was discarded"
        return _result(desk, anomaly, action="suppressed", reason=words, delivered=False, ticket=None)
    delivered = entry.state == outbox.DONE
    known_before = delivered and action is not None
    action = (action or entry.action or "unchanged") if delivered else "unchanged"
    warnings = list(entry.warnings)
    reason = entry.message or ""
    if known_before:
        reason = f"this {entry.kind} was made before"
    if not delivered:
        warnings = [f"not delivered ({entry.state}): {reason or 'not tried yet'}", *warnings]
    return _result(
        desk, anomaly, action=action, reason=reason, delivered=delivered, ticket=ticket, warnings=warnings
    )


def _result(
    desk: Desk,
    anomaly: Anomaly,
    *,
    action: str,
    reason: str,
    delivered: bool,
    ticket: Ticket | None,
    warnings: list[str] | None = None,
) -> Result:
    shown = None
    if ticket is not None and action != "suppressed":
        shown = ticket_view(ticket.record, base_url=desk.config.base_url, table=ticket.address.table)
    words = _DONE_WORDS[action] if delivered else _WAITING_WORDS
    # Not every table numbers its records.
    number = ticket.number or ticket.sys_id if ticket else ""
    return {
        "schema_version": SCHEMA_VERSION,
        "ticket": shown,
        "anomaly_id": anomaly.anomaly_id,
        "integration_id": integration_id(desk.host),
        "message": words.format(
            number=number, anomaly=anomaly.anomaly_id, reason=cut(reason, _WARNING_LENGTH)
        ),
        "action": action,
        "delivered": delivered,
        "warnings": _few(warnings or []),
    }


def _few(warnings: list[str]) -> list[str]:
    if len(warnings) > _MOST_WARNINGS:
        kept = _MOST_WARNINGS - 1
        warnings = [*warnings[:kept], f"and {len(warnings) - kept} more"]
    return [cut(warning, _WARNING_LENGTH) for warning in warnings]


def for_xcom(result: Result) -> Result:
    """Return a result without its ticket's description and small enough for an XCom, with all its keys.

    Texts are cut, with a mark, as far as it takes; ids, times and the address stay whole. Warnings go last.
    """
    small = _without_description(result)
    for length in _SHORTER:
        if _size(small) < MOST_BYTES:
            return small
        small = _shortened(small, length)
    while _size(small) >= MOST_BYTES and small["warnings"]:
        small["warnings"] = small["warnings"][:-1]
    return small


def _without_description(result: Result) -> Result:
    ticket = result["ticket"]
    return {**result, "ticket": None if ticket is None else {**ticket, "description": None}}


def _shortened(result: Result, length: int) -> Result:
    ticket = result["ticket"]
    if ticket is not None:
        texts = {name: cut(ticket[name], length) for name in _TEXTS if ticket[name]}
        metadata = {name: cut(text, length) for name, text in ticket["metadata"].items()}
        ticket = {**ticket, **texts, "metadata": metadata}
    warnings = [cut(warning, length) for warning in result["warnings"]]
    return {**result, "ticket": ticket, "message": cut(result["message"], length), "warnings": warnings}


def _size(result: Result) -> int:
    return len(json.dumps(result).encode())
