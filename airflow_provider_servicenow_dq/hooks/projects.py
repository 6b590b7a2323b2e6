"""From the name of a project to its rules and the connection that leads to its instance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from airflow.sdk.exceptions import AirflowNotFoundException

from airflow_provider_servicenow_dq import settings
from airflow_provider_servicenow_dq.exceptions import UnknownProjectError
from airflow_provider_servicenow_dq.hooks.servicenow import ServiceNowHook
from airflow_provider_servicenow_dq.projects.loading import (
    find_project,
    load_projects,
    read_projects_file,
    together,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow.sdk import Connection

    from airflow_provider_servicenow_dq.projects.project import Project


class Chosen(NamedTuple):
    """A project, and a hook for its instance."""

    hook: ServiceNowHook
    project: Project


def choose(
    servicenow_conn_id: str,
    name: str | None,
    *,
    find_connection: Callable[[str], Connection] | None = None,
    patience_s: float | None = None,
) -> Chosen:
    """Return a project and the way to its instance.

    Projects are those of the connection and those of ``[servicenow_dq] projects_file``; where both have one
    of the same id, the connection's is taken whole. A project that names a connection is worked on through
    that one.

    :param servicenow_conn_id: Where to look for projects, and the connection of those that name none.
    :param name: Id or key; the built-in project for None.
    :param find_connection: As for the hook.
    :param patience_s: As for the hook.
    :raises UnknownProjectError: If there is none of that name, or it belongs to another connection than the
        one that was asked for.
    :raises ServiceNowConfigError: If one of them makes no sense.
    """
    find = find_connection or ServiceNowHook.get_connection
    extra = _extra(find, servicenow_conn_id, needed=name is None)
    own = load_projects(extra.get("projects"))
    path = settings.projects_file()
    project = find_project(together(own, read_projects_file(path)) if path else own, name)
    conn_id = project.servicenow_conn_id or servicenow_conn_id
    is_own = own.get(project.id) is project
    if not is_own and servicenow_conn_id not in {conn_id, *_defaults()}:
        raise UnknownProjectError(
            f"The task names the connection {servicenow_conn_id!r}, and its project {project.id!r} belongs "
            f"to {conn_id!r}: leave servicenow_conn_id out, or take another project"
        )
    hook = ServiceNowHook(conn_id, find_connection=find_connection, patience_s=patience_s)
    return Chosen(hook, project)


def _defaults() -> set[str]:
    """Return the connections that nobody has to have named."""
    return {ServiceNowHook.default_conn_name, settings.default_conn_id()}


def _extra(find: Callable[[str], Connection], conn_id: str, *, needed: bool) -> Mapping[str, Any]:
    try:
        extra: object = find(conn_id).extra_dejson
    except AirflowNotFoundException:
        # A project of the file may name a connection that exists, and then nobody needs this one.
        if needed or conn_id not in _defaults():
            raise
        return {}
    return extra if isinstance(extra, dict) else {}
