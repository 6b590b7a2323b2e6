"""The route by which an instance tells that records have changed, so that nobody waits for the next pull.

It says only which ones: they are read as a pull reads them, so nothing is believed that was not seen, and
nothing is told twice. What such a message misses, the next pull finds. A message is heard once, which all
processes know by the store.
"""

from __future__ import annotations

import contextlib
import hashlib
import uuid
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, HTTPException, Request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from airflow_provider_servicenow_dq.desk.pull import pull_some
from airflow_provider_servicenow_dq.findings.repeats import SAME_KEY_FOR
from airflow_provider_servicenow_dq.plugins.params import ReachOf
from airflow_provider_servicenow_dq.plugins.signed import SIGNATURE, SignedRoute
from airflow_provider_servicenow_dq.store import requests

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_servicenow_dq.desk.desk import Desk
    from airflow_provider_servicenow_dq.plugins.work import Work

router = APIRouter(prefix="/api/webhooks", tags=["Webhook"], route_class=SignedRoute, redirect_slashes=False)

_SysId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]


class Changed(BaseModel):
    """Which records have changed.

    :param id: What makes it another message than one of the same second about the same records.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: Annotated[str, StringConstraints(max_length=64)] = ""
    table: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,80}$")]
    sys_ids: Annotated[list[_SysId], Field(min_length=1, max_length=100)]


class Heard(BaseModel):
    """What came of it.

    :param tickets: How many of the records are tickets of ours.
    :param changes: How much is new on them.
    """

    tickets: int
    changes: int


@router.post(
    "/servicenow",
    response_model=Heard,
    openapi_extra={"security": [{"timestamp": [], "signature": []}]},
)
async def hear(request: Request, reach: ReachOf, body: Changed) -> Any:
    """Read records of which their instance tells that they have changed.

    They are followed by the rules of the named project, or of the only one of their table. A message that has
    been heard is refused (409); one that could not be heard may come again.
    """
    signature = request.headers[SIGNATURE]

    def work() -> Heard:
        with reach.open(table=body.table) as at, _once(at.desk, signature):
            outcome = pull_some(at.desk, at.project, body.sys_ids)
            return Heard(tickets=outcome.tickets, changes=outcome.changes)

    work_of_all: Work = request.app.state.work
    # Never that of a message that came before, even one that reads the same: there may be news since.
    return await work_of_all.run(uuid.uuid4().hex, work)


@contextlib.contextmanager
def _once(desk: Desk, signature: str) -> Iterator[None]:
    """Let the block run for one message of a signature, unless it fails.

    :raises HTTPException: If it has run before.
    """
    name = hashlib.sha256(f"webhook\x1f{signature}".encode()).hexdigest()
    with desk.store.begin() as connection:
        requests.forget(connection, before=desk.now() - SAME_KEY_FOR)
        if not requests.claim(connection, name, now=desk.now()):
            raise HTTPException(HTTPStatus.CONFLICT, "This message has been heard already")
    try:
        yield
    except BaseException:
        with desk.store.begin() as connection:
            requests.unclaim(connection, name)
        raise
