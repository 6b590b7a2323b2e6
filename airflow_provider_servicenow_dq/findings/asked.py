"""What can be asked about findings: the request bodies of Datadog's endpoints.

Fields and words are those of its API reference (``POST /api/v2/security/findings/servicenow_tickets``) and
of the models of its official client. What it does not name is passed over, as a server of theirs does.
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)

from airflow_provider_servicenow_dq.findings.wrong import BadRequestError

#: The reference: up to 50 tickets in a request, up to 50 findings on a ticket.
MOST_TICKETS: Final = 50
MOST_FINDINGS: Final = 50

Body = TypeVar("Body", bound=BaseModel)

Priority = Literal["NOT_DEFINED", "P1", "P2", "P3", "P4", "P5"]


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be blank")
    return text


_Id = Annotated[
    str,
    StringConstraints(strict=True, min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f]+$"),
    AfterValidator(_not_blank),
]
# PostgreSQL keeps no text with a NUL in it.
_Title = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=1000, pattern=r"^[^\x00]*$")]
_Words = Annotated[str, StringConstraints(strict=True, max_length=100_000, pattern=r"^[^\x00]*$")]
_Url = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=2000)]


class _Asked(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class FindingRef(_Asked):
    """A finding, by its id."""

    id: _Id
    type: Literal["findings"]


class FindingRefs(_Asked):
    """Findings; the same one twice is one."""

    data: Annotated[list[FindingRef], Field(min_length=1, max_length=MOST_FINDINGS)]

    @property
    def ids(self) -> list[str]:
        """Their ids, each once."""
        return list(dict.fromkeys(finding.id for finding in self.data))


class ProjectData(_Asked):
    """A project, by its id or key."""

    id: _Id
    type: Literal["projects"]


class ProjectRef(_Asked):
    """A project."""

    data: ProjectData


class Relationships(_Asked):
    """What a new ticket or case is about, and by whose rules."""

    findings: FindingRefs
    project: ProjectRef


class OnlyFindings(_Asked):
    """Findings, where nothing else matters."""

    findings: FindingRefs


class CaseAttributes(_Asked):
    """What a new case says; all of it may be left out."""

    assignee_id: _Id | None = None
    description: _Words | None = None
    priority: Priority = "NOT_DEFINED"
    title: _Title | None = None


class TicketToCreate(_Asked):
    """One ticket to create, and its case."""

    attributes: CaseAttributes = CaseAttributes()
    relationships: Relationships
    type: Literal["servicenow_tickets"]


class CaseToCreate(_Asked):
    """One case to create, without a ticket."""

    attributes: CaseAttributes = CaseAttributes()
    relationships: Relationships
    type: Literal["cases"]


class TicketUrl(_Asked):
    """Which ticket."""

    servicenow_ticket_url: _Url


class TicketToAttach(_Asked):
    """Findings for a ticket that is there."""

    attributes: TicketUrl
    relationships: Relationships
    type: Literal["servicenow_tickets"]


class CaseToAttach(_Asked):
    """Findings for a case that is there."""

    id: _Id
    relationships: OnlyFindings
    type: Literal["cases"]


class ToDetach(_Asked):
    """Findings that leave their cases."""

    relationships: OnlyFindings
    type: Literal["cases"]


class CreateTickets(_Asked):
    """``POST …/servicenow_tickets``."""

    data: Annotated[list[TicketToCreate], Field(min_length=1, max_length=MOST_TICKETS)]


class CreateCases(_Asked):
    """``POST …/cases``."""

    data: Annotated[list[CaseToCreate], Field(min_length=1, max_length=MOST_TICKETS)]


class AttachTicket(_Asked):
    """``PATCH …/servicenow_tickets``."""

    data: TicketToAttach


class AttachCase(_Asked):
    """``PATCH …/cases/{case_id}``."""

    data: CaseToAttach


class Detach(_Asked):
    """``DELETE …/cases``."""

    data: ToDetach


def read(model: type[Body], body: Any) -> Body:
    """Return a body as what it has to be.

    :raises BadRequestError: If it is something else; each reason names the place in the body.
    """
    try:
        return TypeAdapter(model).validate_python(body)
    except ValidationError as error:
        raise BadRequestError([in_words(each) for each in error.errors(include_url=False)]) from None


def in_words(error: Any) -> str:
    """Return one of pydantic's errors as people read it, with the place in the body."""
    place = ".".join(str(part) for part in error["loc"]) or "the body"
    if error["loc"][-2:] == ("findings", "data") and error["type"] == "too_short":
        return f"{place}: no finding provided"
    return f"{place}: {error['msg'].removeprefix('Value error, ')}"


def content_hash(*parts: Any) -> str:
    """Return the hash of what is asked, the same for the same request."""
    plain = [part.model_dump(mode="json") if isinstance(part, BaseModel) else part for part in parts]
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()
