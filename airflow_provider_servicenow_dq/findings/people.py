"""Who a case is assigned to, as Datadog knows them and as the instance does."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from airflow_provider_servicenow_dq.client.ids import IDS_AT_ONCE, is_sys_id
from airflow_provider_servicenow_dq.client.query import Query
from airflow_provider_servicenow_dq.exceptions import ServiceNowError
from airflow_provider_servicenow_dq.store.bulk import batches

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_provider_servicenow_dq.findings.parties import Side
    from airflow_provider_servicenow_dq.projects.project import Project
    from airflow_provider_servicenow_dq.store.cases import Case

log = logging.getLogger(__name__)

#: What a project may call a user by.
_NAMES: Final = ("user_name", "email", "employee_number", "name")


def user_for(assignee: str | None, project: Project) -> str | None:
    """Return the instance's user that an assignee is, as its project names them; None if it tells none."""
    if assignee is None:
        return None
    return project.assignees.get(assignee) or (assignee if is_sys_id(assignee) else None)


def as_datadog_knows_them(shown: Iterable[Case], sides: Mapping[str, Side]) -> dict[tuple[str, str], str]:
    """Return the assignees of cases that people have chosen on the instance, by project id and sys_id.

    One request finds what they are called, so that the project's ``assignees`` can be read backwards; of whom
    it does not tell, nothing is returned, nor while the instance cannot be asked.
    """
    found: dict[tuple[str, str], str] = {}
    asked: dict[str, set[str]] = {}
    for case in shown:
        if case.assignee_id and is_sys_id(case.assignee_id):
            asked.setdefault(case.project_id, set()).add(case.assignee_id)
    for project_id, sys_ids in asked.items():
        side = sides.get(project_id)
        if side is None or not side.project.assignees:
            continue
        known = {user.strip().casefold(): assignee for assignee, user in side.project.assignees.items()}
        for row in _users(side, sys_ids):
            names = (str(row.get(name) or "").casefold() for name in ("sys_id", *_NAMES))
            if assignee := next((known[name] for name in names if name in known), None):
                found[project_id, row["sys_id"]] = assignee
    return found


def _users(side: Side, sys_ids: Iterable[str]) -> list[dict[str, str]]:
    rows = []
    try:
        for batch in batches(sorted(sys_ids), IDS_AT_ONCE):
            query = Query.any_of("sys_id", batch)
            fields = ("sys_id", *_NAMES)
            rows += side.desk.table_api.first_page("sys_user", query, fields=fields, limit=len(batch))
    except ServiceNowError as error:
        log.warning("Who cases are assigned to is shown by sys_id: %s", error)
    return rows
