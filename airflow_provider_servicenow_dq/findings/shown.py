"""What is answered about cases, in the shape of Datadog's ``FindingCaseResponse``."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict


class _Shown(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class UserData(_Shown):
    """A user, by id."""

    id: str
    type: Literal["users"] = "users"


class UserRef(_Shown):
    """A user."""

    data: UserData

    @classmethod
    def of(cls, user: str) -> UserRef:
        """Return the reference to a user."""
        return cls(data=UserData(id=user))


class ShownProjectData(_Shown):
    """A project, by id."""

    id: str
    type: Literal["projects"] = "projects"


class ShownProject(_Shown):
    """A project."""

    data: ShownProjectData


class Insight(_Shown):
    """A finding in a case.

    :param ref: Where Datadog shows it, without the host.
    :param resource_id: The finding's id.
    """

    ref: str
    resource_id: str
    type: Literal["SECURITY_FINDING"] = "SECURITY_FINDING"


class TicketResult(_Shown):
    """The ticket of a case.

    :param instance_name: First part of the instance's host.
    :param sys_target_link: Its record page.
    :param url: The same inside the platform's own frame.
    """

    instance_name: str
    sys_id: str
    sys_target_link: str
    sys_target_sys_id: str
    table_name: str
    url: str


class ServiceNowTicket(_Shown):
    """What came of the ticket of a case.

    :param status: ``COMPLETED``, ``FAILED`` if something was refused for good, or ``IN_PROGRESS``: recorded,
        and delivered later.
    :param result: The ticket, if it is there; not all findings need be on it yet.
    :param error_message: What is not there, and why.
    """

    status: Literal["COMPLETED", "FAILED", "IN_PROGRESS"]
    result: TicketResult | None = None
    error_message: str | None = None


class CaseShown(_Shown):
    """The attributes of a case; what there is nothing to say of is left out, as Datadog does.

    Nothing of ours is archived, or goes to Jira.

    :param attributes: ``warnings``: what was not as it was asked for.
    """

    archived_at: None = None
    assigned_to: UserRef | None = None
    attributes: dict[str, list[str]] | None = None
    closed_at: datetime | None = None
    created_at: datetime
    creation_source: Literal["CS_SECURITY_FINDING"] = "CS_SECURITY_FINDING"
    description: str
    due_date: str | None = None
    insights: list[Insight]
    jira_issue: None = None
    key: str
    modified_at: datetime
    priority: str
    servicenow_ticket: ServiceNowTicket | None = None
    status: Literal["OPEN", "IN_PROGRESS", "CLOSED"]
    status_group: Literal["SG_OPEN", "SG_IN_PROGRESS", "SG_CLOSED"]
    status_name: Literal["Open", "In Progress", "Closed"]
    title: str
    type: Literal["SECURITY"] = "SECURITY"


class CaseRelationships(_Shown):
    """Who opened and changed a case, and its project."""

    created_by: UserRef
    modified_by: UserRef
    project: ShownProject


class CaseData(_Shown):
    """A case."""

    attributes: CaseShown
    id: str
    relationships: CaseRelationships
    type: Literal["cases"] = "cases"


class CaseResponse(_Shown):
    """One case."""

    data: CaseData


class CaseResponses(_Shown):
    """Several cases."""

    data: list[CaseData]
