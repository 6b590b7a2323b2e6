"""A record of the instance as we show it: the seed's *Create Ticket Response*."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_servicenow_dq.tickets.incident import state_label

if TYPE_CHECKING:
    from collections.abc import Mapping

_STAMP: Final = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$")

#: Columns that :func:`ticket_view` and the opening rules read.
COLUMNS: Final = (
    "sys_id",
    "number",
    "short_description",
    "description",
    "state",
    "priority",
    "urgency",
    "impact",
    "category",
    "subcategory",
    "sys_created_on",
    "sys_updated_on",
    "sys_created_by",
    "sys_updated_by",
    "sys_mod_count",
    "resolved_at",
    "closed_at",
    "close_code",
    "close_notes",
    "assigned_to",
    "assigned_to.name",
    "assignment_group",
    "assignment_group.name",
    "caller_id",
    "caller_id.name",
    "due_date",
    "correlation_id",
)


def record_url(base_url: str, table: str, sys_id: str) -> str:
    """Return the address of a record, as the seed prints it."""
    return f"{base_url}/nav_to.do?uri={table}.do?sys_id={sys_id}"


def sys_id_for(table: str, correlation_id: str, predecessor: str = "") -> str:
    """Return the sys_id of a new ticket, chosen so that the instance's primary key refuses its twin.

    :param predecessor: sys_id of the ticket that it follows.
    """
    identity = "\x1f".join((table, correlation_id, predecessor))
    return hashlib.sha256(identity.encode()).hexdigest()[:32]


def integration_id(host: str) -> int:
    """Return an integer of at most 31 bits that is always the same for an instance."""
    return int(hashlib.sha256(host.encode()).hexdigest()[:8], 16) >> 1


def iso(stamp: str | None) -> str | None:
    """Return ``2026-01-23T19:51:24`` for the instance's ``2026-01-23 19:51:24`` (UTC); None for nothing."""
    if not stamp:
        return None
    return stamp.replace(" ", "T") if _STAMP.match(stamp) else stamp


def ticket_view(record: Mapping[str, Any], *, base_url: str, table: str) -> dict[str, Any]:
    """Return a record in the shape of the seed's ``ticket``.

    :param record: Raw values of a Table API record (not display values), or as much of it as is known.
    :param base_url: Address of the instance.
    :param table: Table of the record.
    """

    def value(name: str) -> str:
        return str(record.get(name) or "")

    def who(name: str) -> str | None:
        return value(f"{name}.name") or value(name) or None

    return {
        "ticket_id": value("sys_id"),
        "ticket_number": value("number"),
        "title": value("short_description"),
        "description": value("description"),
        "status": state_label(value("state")),
        "priority": value("priority"),
        "urgency": value("urgency"),
        "impact": value("impact"),
        "category": value("category"),
        "subcategory": value("subcategory"),
        "created_at": iso(value("sys_created_on")),
        "updated_at": iso(value("sys_updated_on")),
        "resolved_at": iso(value("resolved_at")),
        "closed_at": iso(value("closed_at")),
        "assigned_to": who("assigned_to"),
        "assigned_group": who("assignment_group"),
        "requester": who("caller_id"),
        "url": record_url(base_url, table, value("sys_id")),
        "comments_count": None,
        "metadata": {"work_notes": "", "close_notes": value("close_notes")},
    }
