"""The routes of tickets: the form for a new one, finding one, and opening one for an anomaly.

Which table they are of only the project says: the connection's account may read tables that are nobody's
business who may see Airflow's website.
"""

from __future__ import annotations

import hashlib
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request, Response

from airflow_provider_servicenow_dq.desk import search
from airflow_provider_servicenow_dq.desk.desk import Run
from airflow_provider_servicenow_dq.desk.form import form_specification
from airflow_provider_servicenow_dq.desk.open import open_tickets
from airflow_provider_servicenow_dq.desk.order import Order
from airflow_provider_servicenow_dq.plugins import models
from airflow_provider_servicenow_dq.plugins.outcome import checked, shown
from airflow_provider_servicenow_dq.plugins.params import (
    AnomalyId,
    Page,
    ReachOf,
    Size,
    Source,
    TicketId,
)
from airflow_provider_servicenow_dq.plugins.reach import find_anomaly
from airflow_provider_servicenow_dq.plugins.routing import GuardedRoute
from airflow_provider_servicenow_dq.plugins.work import run

if TYPE_CHECKING:
    from airflow_provider_servicenow_dq.projects.project import Project

router = APIRouter(
    prefix="/api/integrations/ticketing", tags=["Tickets"], route_class=GuardedRoute, redirect_slashes=False
)


@router.get("/form-specification", response_model=models.Form)
async def get_form_specification(
    request: Request,
    reach: ReachOf,
    language: Annotated[str, Query(pattern="^[a-z]{2,3}$")] = "en",
) -> Any:
    """Return the form for a new ticket; the instance is asked for its choices at most once an hour."""

    def work() -> dict[str, Any]:
        with reach.open(only_reads=True, needs_store=False) as at:
            return form_specification(at.desk, at.project, table=at.project.table, language=language)

    return await run(request, work)


@router.get("/tickets/search", response_model=models.TicketPage)
async def search_tickets(
    request: Request,
    reach: ReachOf,
    query: Annotated[str, Query(max_length=200)] = "",
    page: Page = 1,
    size: Size = 50,
) -> Any:
    """Return the tickets of a number, or with some words in their title, the newest first."""

    def work() -> dict[str, Any]:
        with reach.open(only_reads=True, needs_store=False) as at:
            return search.search_tickets(
                at.desk.table_api, query, table=at.project.table, page=page, size=size
            )

    return await run(request, work)


@router.get("/tickets/{ticket_id}", response_model=models.Ticket)
async def get_ticket(request: Request, reach: ReachOf, ticket_id: TicketId) -> Any:
    """Return a ticket of the project's table."""

    def work() -> dict[str, Any]:
        with reach.open(only_reads=True, needs_store=False) as at:
            return search.get_ticket(at.desk.table_api, ticket_id, table=at.project.table, everywhere=False)

    return await run(request, work)


@router.post(
    "/anomalies/{anomaly_id:path}/tickets",
    status_code=HTTPStatus.CREATED,
    response_model=models.Outcome,
    responses={HTTPStatus.OK: {"model": models.Outcome, "description": "It has its ticket already"}},
)
async def create_ticket(
    request: Request,
    response: Response,
    reach: ReachOf,
    anomaly_id: AnomalyId,
    asked: models.NewTicket,
    source: Source = None,
) -> Any:
    """Make sure that an anomaly has a ticket.

    It is the same as another report of it: one that has an open ticket keeps it, and a note there says that
    it was seen again, at most once. So repeating a request, after a timeout or by mistake, opens nothing
    twice. An anomaly that is not open any more in its source gets none (409).
    """

    def work() -> dict[str, Any]:
        with reach.open() as at:
            known = find_anomaly(at.desk, anomaly_id, source)
            by = Run(unique=hashlib.sha256(f"{known.key}{asked.model_dump_json()}".encode()).hexdigest()[:32])
            opening = open_tickets(at.desk, [known.anomaly], order=_order(asked, at.project), run=by)
            result = checked(opening.results, opening.failures, opening.pending)
            if result["ticket"] is None:
                raise HTTPException(HTTPStatus.CONFLICT, result["message"])
            return shown(at.desk, known, result)

    outcome = await run(request, work)
    response.status_code = HTTPStatus.CREATED if outcome["action"] == "created" else HTTPStatus.OK
    return outcome


def _order(asked: models.NewTicket, project: Project) -> Order:
    # Whoever asks for a ticket in person wants one however low the severity is.
    rules = project.changed({"min_severity": "info"})
    columns = asked.model_dump(exclude={"title", "priority"}, exclude_none=True)
    if asked.title is not None:
        columns["short_description"] = asked.title
    # Nothing in it is a placeholder: braces are what somebody has written.
    written = {name: text.replace("{", "{{").replace("}", "}}") for name, text in columns.items()}
    return Order(rules, written, asked.priority)
