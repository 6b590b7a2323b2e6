"""The routes of security findings, as Datadog's API has them: tickets and cases for them.

Shapes and words are those of its reference (``POST /api/v2/security/findings/servicenow_tickets``) and of its
official client, which works here unchanged with ``/servicenow-dq`` of this Airflow as its host.
"""

from __future__ import annotations

import uuid
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Header, Path, Request

from airflow_provider_servicenow_dq import settings
from airflow_provider_servicenow_dq.desk.desk import Run
from airflow_provider_servicenow_dq.findings import asked, cases, opening
from airflow_provider_servicenow_dq.findings.parties import Caller
from airflow_provider_servicenow_dq.findings.shown import CaseResponse, CaseResponses
from airflow_provider_servicenow_dq.plugins.params import ReachOfBody
from airflow_provider_servicenow_dq.plugins.problems import JsonApi
from airflow_provider_servicenow_dq.plugins.routing import GuardedRoute
from airflow_provider_servicenow_dq.plugins.work import run

if TYPE_CHECKING:
    from airflow_provider_servicenow_dq.findings.parties import Answer
    from airflow_provider_servicenow_dq.findings.shown import CaseData

router = APIRouter(
    prefix="/api/v2/security/findings",
    tags=["Security findings"],
    route_class=GuardedRoute,
    redirect_slashes=False,
    default_response_class=JsonApi,
)

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="Two requests with the same key are the same one, for a day. Without it the same content "
        "from the same person is, for ten minutes.",
    ),
]
CaseId = Annotated[str, Path(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]


@router.post(
    "/servicenow_tickets",
    status_code=HTTPStatus.CREATED,
    response_model=CaseResponses,
    response_model_exclude_none=True,
)
async def create_tickets(
    request: Request, reach: ReachOfBody, body: asked.CreateTickets, key: IdempotencyKey = None
) -> Any:
    """Create up to 50 tickets, each with its case, for up to 50 findings each.

    Findings that are on another ticket leave it. An item that ServiceNow refuses has a case whose
    ``servicenow_ticket`` is ``FAILED`` and says why; the others are created. A repeat creates nothing twice.
    """
    return await _create(request, reach, body, key)


@router.post(
    "/cases",
    status_code=HTTPStatus.CREATED,
    response_model=CaseResponses,
    response_model_exclude_none=True,
)
async def create_cases(
    request: Request, reach: ReachOfBody, body: asked.CreateCases, key: IdempotencyKey = None
) -> Any:
    """Create up to 50 cases without tickets, for up to 50 findings each."""
    return await _create(request, reach, body, key)


@router.patch("/servicenow_tickets", response_model=CaseResponse, response_model_exclude_none=True)
async def attach_ticket(request: Request, reach: ReachOfBody, body: asked.AttachTicket) -> Any:
    """Put findings on a ticket that is there, and into its case; one without a case gets one."""

    def work() -> dict[str, CaseData]:
        with reach.open_sides() as sides:
            return _one(cases.attach_ticket(body, sides=sides.of, caller=_caller(request)))

    return await run(request, work, _ids(body.data))


@router.patch("/cases/{case_id}", response_model=CaseResponse, response_model_exclude_none=True)
async def attach_case(request: Request, reach: ReachOfBody, case_id: CaseId, body: asked.AttachCase) -> Any:
    """Put findings into a case, and on its ticket if it has one."""

    def work() -> dict[str, CaseData]:
        with reach.open_sides() as sides:
            answer = cases.attach_case(
                case_id, body, sides=sides.of, store=sides.store, caller=_caller(request)
            )
            return _one(answer)

    return await run(request, work, _ids(body.data))


@router.delete("/cases", status_code=HTTPStatus.NO_CONTENT)
async def detach(request: Request, reach: ReachOfBody, body: asked.Detach) -> None:
    """Take findings out of their cases, and off the tickets of those; what is in none is passed over.

    They are out at once. What the tickets say of it follows, later where ServiceNow is down or asks to wait.
    """

    def work() -> None:
        with reach.open_sides() as sides:
            cases.detach(
                body,
                sides=sides.of,
                store=sides.store,
                namespace=settings.namespace(),
                caller=_caller(request),
            )

    await run(request, work, _ids(body.data))


async def _create(
    request: Request, reach: ReachOfBody, body: asked.CreateTickets | asked.CreateCases, key: str | None
) -> dict[str, list[CaseData]]:
    def work() -> dict[str, list[CaseData]]:
        with reach.open_sides() as sides:
            answer = opening.create(body, sides=sides.of, caller=_caller(request, key))
            return {"data": _kept(answer).cases}

    return await run(request, work, _ids(*body.data))


def _ids(
    *items: asked.TicketToCreate
    | asked.CaseToCreate
    | asked.TicketToAttach
    | asked.CaseToAttach
    | asked.ToDetach,
) -> list[str]:
    return [finding for item in items for finding in item.relationships.findings.ids]


def _caller(request: Request, key: str | None = None) -> Caller:
    return Caller(request.state.asked_by, Run(task_id="rest", unique=uuid.uuid4().hex), key)


def _one(answer: Answer) -> dict[str, CaseData]:
    (case,) = _kept(answer).cases
    return {"data": case}


def _kept(answer: Answer) -> Answer:
    """Return an answer if there is one: while nothing could be delivered, whoever asks tries again later.

    :raises ServiceNowError: Why nothing could be.
    """
    tickets = [case.attributes.servicenow_ticket for case in answer.cases]
    statuses = {ticket.status for ticket in tickets if ticket is not None}
    if answer.pending and "IN_PROGRESS" in statuses and "COMPLETED" not in statuses:
        raise answer.pending[0]
    return answer
