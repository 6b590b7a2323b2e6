"""Parameters that several routes take, checked before they go anywhere."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Path, Query

from airflow_provider_servicenow_dq.anomalies.model import SOURCE_PATTERN
from airflow_provider_servicenow_dq.plugins.reach import CONN_ID, Reach

_ConnId = Annotated[
    str | None,
    Query(pattern=CONN_ID, description="The Airflow connection, else ``[servicenow_dq] default_conn_id``."),
]


async def _reach(
    servicenow_conn_id: _ConnId = None,
    project: Annotated[str | None, Query(min_length=1, max_length=250, description="Its id or key.")] = None,
) -> Reach:
    # Not the class itself: FastAPI would take a thread of Airflow's for each request to make one.
    return Reach(servicenow_conn_id, project)


async def _reach_of_body(servicenow_conn_id: _ConnId = None) -> Reach:
    return Reach(servicenow_conn_id)


ReachOf = Annotated[Reach, Depends(_reach)]
#: Of requests whose bodies name their projects.
ReachOfBody = Annotated[Reach, Depends(_reach_of_body)]

AnomalyId = Annotated[
    str,
    Path(
        min_length=1,
        max_length=255,
        pattern=r"^[^\x00-\x1f\x7f]+$",
        description="External id, fingerprint or key of an anomaly that was reported.",
    ),
]
Source = Annotated[
    str | None,
    Query(pattern=f"^{SOURCE_PATTERN}$", description="Which anomaly, where sources share an id."),
]
TicketId = Annotated[
    str,
    Path(
        pattern=r"^([A-Za-z][A-Za-z0-9_-]{0,24}[0-9]{2,15}|[0-9A-Fa-f]{32})$",
        description="Number or sys_id.",
    ),
]
LinkId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")]
Page = Annotated[int, Query(ge=1, le=10_000)]
Size = Annotated[int, Query(ge=1, le=100)]
