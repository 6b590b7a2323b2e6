"""What requests hold and what answers look like: the seed's samples, as the one source of these shapes."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, StringConstraints

#: Texts of people, which a column of a ticket takes.
_Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=160)]
_Column = Annotated[str, StringConstraints(max_length=255)]


class _Asked(BaseModel):
    """What a request holds: nothing that we do not know, and numbers may be texts."""

    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=True, frozen=True)


class NewTicket(_Asked):
    """The ticket to open for an anomaly; what is left out comes from the project.

    :param title: Its short description.
    :param description: Stands above the details of the anomaly.
    :param priority: A wish; where impact or urgency are given the instance makes the priority of them.
    :param assignment_group: Name or sys_id.
    :param assigned_to: User name, e-mail, name or sys_id.
    """

    title: Annotated[_Line | None, Field(validation_alias=AliasChoices("title", "short_description"))] = None
    description: Annotated[str, StringConstraints(max_length=4000)] | None = None
    priority: Annotated[str, StringConstraints(pattern="^[Pp]?[1-5]$")] | None = None
    urgency: Annotated[str, StringConstraints(min_length=1, max_length=40)] | None = None
    impact: Annotated[str, StringConstraints(min_length=1, max_length=40)] | None = None
    category: _Column | None = None
    subcategory: _Column | None = None
    assignment_group: Annotated[
        _Column | None, Field(validation_alias=AliasChoices("assignment_group", "assigned_group"))
    ] = None
    assigned_to: _Column | None = None


class NewLink(_Asked):
    """The ticket to link an anomaly to.

    :param ticket_id: Its number, its sys_id, or the address of its record.
    :param integration_id: Of the instance, where the request has one; another one's is refused.
    """

    ticket_id: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]
    integration_id: int | None = None


class TicketInList(BaseModel):
    """A ticket as a search lists it."""

    ticket_id: str
    ticket_number: str
    title: str
    description: str
    status: str
    priority: str
    created_at: str | None
    updated_at: str | None
    assigned_to: str | None
    url: str


class Ticket(TicketInList):
    """A ticket."""

    urgency: str
    impact: str
    category: str
    subcategory: str
    resolved_at: str | None
    closed_at: str | None
    assigned_group: str | None
    requester: str | None
    comments_count: int | None
    metadata: dict[str, str]


class _Page(BaseModel):
    total: int
    page: int
    size: int
    pages: int


class TicketPage(_Page):
    """Some of the tickets that were found."""

    items: list[TicketInList]


class Outcome(BaseModel):
    """What came of a request for an anomaly.

    :param action: ``created``, ``reopened``, ``noted``, ``linked`` or ``unchanged``.
    :param link_id: Of the link of the anomaly to the ticket; None where there is none (yet).
    """

    schema_version: int
    ticket: Ticket
    anomaly_id: int | str
    integration_id: int
    message: str
    action: str
    delivered: bool
    warnings: list[str]
    link_id: str | None


class Link(BaseModel):
    """The link of an anomaly to a ticket.

    :param by_person: Somebody made it on purpose; else a report of the anomaly did.
    :param last_synced_at: When its ticket was last read by a pull; None before the first.
    """

    link_id: str
    anomaly_id: int | str
    integration_id: int
    ticket: Ticket
    by_person: bool
    linked_at: datetime
    last_synced_at: datetime | None


class LinkPage(_Page):
    """Some of the links of an anomaly."""

    items: list[Link]


class FormField(BaseModel):
    """A field of the form for a new ticket."""

    name: str
    label: str
    type: str
    required: bool
    max_length: int | None
    depends_on: str | None
    reference: str | None
    source: str | None
    default: str | None
    choices: list[dict[str, str]]


class Form(BaseModel):
    """The form for a new ticket, and how old it is."""

    schema_version: int
    table: str
    project: str
    instance: str | None
    integration_id: int | None
    is_live: bool
    read_at: str | None
    age: int | None
    notes: list[str]
    fields: list[FormField]


def page_of(items: list[Any], *, total: int, page: int, size: int) -> dict[str, Any]:
    """Return a page in the seed's shape."""
    return {"items": items, "total": total, "page": page, "size": size, "pages": -(-total // size)}
