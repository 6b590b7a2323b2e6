"""The routes of links: which tickets an anomaly has, linking it to one, and cutting a link."""

from __future__ import annotations

import hashlib
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, HTTPException, Request, Response

from airflow_provider_servicenow_dq.desk.desk import Run
from airflow_provider_servicenow_dq.desk.link import link_anomalies
from airflow_provider_servicenow_dq.desk.unlink import unlink_anomalies
from airflow_provider_servicenow_dq.exceptions import ServiceNowConfigError
from airflow_provider_servicenow_dq.plugins import models
from airflow_provider_servicenow_dq.plugins.outcome import checked, shown
from airflow_provider_servicenow_dq.plugins.params import AnomalyId, LinkId, Page, ReachOf, Size, Source
from airflow_provider_servicenow_dq.plugins.reach import find_anomaly
from airflow_provider_servicenow_dq.plugins.routing import GuardedRoute
from airflow_provider_servicenow_dq.plugins.work import run
from airflow_provider_servicenow_dq.store import asked_for
from airflow_provider_servicenow_dq.tickets.ticket import integration_id, ticket_view

if TYPE_CHECKING:
    from airflow_provider_servicenow_dq.desk.desk import Desk
    from airflow_provider_servicenow_dq.store.asked_for import Known, LinkShown

router = APIRouter(prefix="/api/anomalies", tags=["Links"], route_class=GuardedRoute, redirect_slashes=False)


@router.get("/{anomaly_id:path}/ticket-links", response_model=models.LinkPage)
async def get_links(
    request: Request,
    reach: ReachOf,
    anomaly_id: AnomalyId,
    source: Source = None,
    page: Page = 1,
    size: Size = 50,
) -> Any:
    """Return the tickets that an anomaly is linked to, as they were last seen, the newest link first."""

    def work() -> dict[str, Any]:
        with reach.open(only_reads=True) as at:
            known = find_anomaly(at.desk, anomaly_id, source)
            with at.desk.store.snapshot() as connection:
                links, total = asked_for.links_of(
                    connection, known.key, instance=at.desk.host, offset=(page - 1) * size, limit=size
                )
            items = [_view(at.desk, known, link) for link in links]
            return models.page_of(items, total=total, page=page, size=size)

    return await run(request, work)


@router.post(
    "/{anomaly_id:path}/ticket-links",
    status_code=HTTPStatus.CREATED,
    response_model=models.Outcome,
    responses={HTTPStatus.OK: {"model": models.Outcome, "description": "It is linked already"}},
)
async def create_link(
    request: Request,
    response: Response,
    reach: ReachOf,
    anomaly_id: AnomalyId,
    asked: models.NewLink,
    source: Source = None,
) -> Any:
    """Link an anomaly to a ticket that is there, whoever has opened it.

    Its details go to the ticket's description and a work note tells of the link, each once: repeating a
    request changes nothing. A ticket that is closed or canceled is refused (409).
    """

    def work() -> dict[str, Any]:
        with reach.open() as at:
            known = find_anomaly(at.desk, anomaly_id, source)
            if asked.integration_id not in {None, integration_id(at.desk.host)}:
                raise ServiceNowConfigError(
                    f"body.integration_id: {asked.integration_id} is not that of {at.desk.host}"
                )
            by = Run(unique=hashlib.sha256(f"{known.key}{asked.ticket_id}".encode()).hexdigest()[:32])
            pushed = link_anomalies(
                at.desk, [known.anomaly], incident=asked.ticket_id, run=by, project=at.project
            )
            return shown(at.desk, known, checked(pushed.results, pushed.failures, pushed.pending))

    outcome = await run(request, work)
    response.status_code = HTTPStatus.CREATED if outcome["action"] == "linked" else HTTPStatus.OK
    return outcome


@router.delete("/{anomaly_id:path}/ticket-links/{link_id}", status_code=HTTPStatus.NO_CONTENT)
async def delete_link(
    request: Request, reach: ReachOf, anomaly_id: AnomalyId, link_id: LinkId, source: Source = None
) -> None:
    """Cut a link of an anomaly; the ticket stays as it is.

    What waits to be sent to it because of the link is not sent any more. But a finding leaves the ticket's
    case, too: a note on the ticket follows, later where ServiceNow is down, and it is resolved if its project
    closes empty cases. Repeating it finds no link (404).
    """

    def work() -> None:
        with reach.open() as at:
            known = find_anomaly(at.desk, anomaly_id, source)
            with at.desk.store.snapshot() as connection:
                links = asked_for.links_of(connection, known.key, instance=at.desk.host).links
            link = asked_for.link_with_id(links, link_id)
            if link is None:
                raise HTTPException(
                    HTTPStatus.NOT_FOUND, f"Anomaly {known.anomaly.anomaly_id} has no link {link_id}"
                )
            pushed = unlink_anomalies(
                at.desk,
                [known.anomaly],
                incident=link.ticket.sys_id,
                run=Run(unique=link_id),
                project=at.project,
                user=request.state.asked_by,
            )
            if not pushed.results or any(each["action"] != "unlinked" for each in pushed.results):
                checked(pushed.results, pushed.failures, pushed.pending)

    await run(request, work)


def _view(desk: Desk, known: Known, link: LinkShown) -> dict[str, Any]:
    address = link.ticket.address
    return {
        "link_id": link.id,
        "anomaly_id": known.anomaly.anomaly_id,
        "integration_id": integration_id(desk.host),
        "ticket": ticket_view(link.ticket.record, base_url=desk.config.base_url, table=address.table),
        "by_person": link.by_person,
        "linked_at": link.linked_at,
        "last_synced_at": link.read_at,
    }
