"""The route by which an instance tells that records have changed, so that nobody waits for the next pull.

It says only which ones: they are read as a pull reads them, so nothing is believed that was not seen, and
nothing is told twice. What such a message misses, the next pull finds.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from airflow_provider_servicenow_dq.desk.pull import pull_some
from airflow_provider_servicenow_dq.plugins.params import ReachOf
from airflow_provider_servicenow_dq.plugins.signed import SignedRoute
from airflow_provider_servicenow_dq.plugins.work import run
from airflow_provider_servicenow_dq.projects.project import Project

router = APIRouter(prefix="/api/webhooks", tags=["Webhook"], route_class=SignedRoute, redirect_slashes=False)

_SysId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]


class Changed(BaseModel):
    """Which records have changed."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    table: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,80}$")]
    sys_ids: Annotated[list[_SysId], Field(min_length=1, max_length=100)]


class Heard(BaseModel):
    """What came of it.

    :param tickets: How many of the records are tickets of ours.
    :param changes: How much is new on them.
    """

    tickets: int
    changes: int


@router.post("/servicenow", status_code=HTTPStatus.OK, response_model=Heard)
async def hear(request: Request, reach: ReachOf, body: Changed) -> Any:
    """Read records of which their instance tells that they have changed."""

    def work() -> Heard:
        with reach.open() as at:
            # The project's rules are those of its own table; of any other, what is built in.
            rules = at.project if at.project.table == body.table else Project(table=body.table)
            outcome = pull_some(at.desk, rules, body.sys_ids)
            return Heard(tickets=outcome.tickets, changes=outcome.changes)

    return await run(request, work)
