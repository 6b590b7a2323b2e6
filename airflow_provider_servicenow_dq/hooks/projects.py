"""From the name of a project to its rules and the connection that leads to its instance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from airflow.sdk.exceptions import AirflowNotFoundException

from airflow_provider_servicenow_dq import settings
from airflow_provider_servicenow_dq.exceptions import SeveralProjectsError, UnknownProjectError
from airflow_provider_servicenow_dq.hooks.servicenow import ServiceNowHook
from airflow_provider_servicenow_dq.projects.loading import (
    find_project,
    load_projects,
    read_projects_file,
    together,
)
from airflow_provider_servicenow_dq.projects.project import Project

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow.sdk import Connection


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
    projects = _Projects.read(servicenow_conn_id, find_connection, needed=name is None)
    project = find_project(projects.all, name)
    conn_id = project.servicenow_conn_id or servicenow_conn_id
    is_own = projects.own.get(project.id) is project
    if not is_own and servicenow_conn_id not in {conn_id, *_defaults()}:
        raise UnknownProjectError(
            f"The task names the connection {servicenow_conn_id!r}, and its project {project.id!r} belongs "
            f"to {conn_id!r}: leave servicenow_conn_id out, or take another project"
        )
    hook = ServiceNowHook(conn_id, find_connection=find_connection, patience_s=patience_s)
    return Chosen(hook, project)


def choose_for(
    table: str,
    servicenow_conn_id: str,
    name: str | None,
    *,
    find_connection: Callable[[str], Connection] | None = None,
    patience_s: float | None = None,
) -> Chosen:
    """Return the project by whose rules the records of a table are followed, and the way to its instance.

    That is the one that is named, if the table is its own; else, of the connection's own projects and those
    of the file that name it, the only one of that table, or any of several that follow alike. Where there is
    none, those of the file that name no connection are asked, and then what is built in.

    :param name: Id or key; None to leave it to the table.
    :raises UnknownProjectError: As :func:`choose` does.
    :raises SeveralProjectsError: If projects of that table follow its records each in its own way.
    :raises ServiceNowConfigError: If one of them makes no sense.
    """
    if name is not None:
        chosen = choose(servicenow_conn_id, name, find_connection=find_connection, patience_s=patience_s)
        if chosen.project.table == table:
            return chosen
    projects = _Projects.read(servicenow_conn_id, find_connection, needed=True)
    here = [project for project in projects.all.values() if project.table == table and project != Project()]
    ours = [project for project in here if projects.is_of(project, servicenow_conn_id)]
    fitting = ours or [project for project in here if project.servicenow_conn_id is None]
    if any((project.sync, project.status) != (fitting[0].sync, fitting[0].status) for project in fitting):
        ids = ", ".join(repr(project.id) for project in fitting)
        raise SeveralProjectsError(f"Several projects follow {table}: {ids}. Name one")
    hook = ServiceNowHook(servicenow_conn_id, find_connection=find_connection, patience_s=patience_s)
    return Chosen(hook, fitting[0] if fitting else Project(table=table))


class _Projects(NamedTuple):
    own: Mapping[str, Project]
    all: Mapping[str, Project]

    @classmethod
    def read(
        cls, conn_id: str, find_connection: Callable[[str], Connection] | None, *, needed: bool
    ) -> _Projects:
        extra = _extra(find_connection or ServiceNowHook.get_connection, conn_id, needed=needed)
        own = load_projects(extra.get("projects"))
        path = settings.projects_file()
        return cls(own, together(own, read_projects_file(path)) if path else own)

    def is_of(self, project: Project, conn_id: str) -> bool:
        """Whether a project is one of a connection, and of no other."""
        if project.servicenow_conn_id is None:
            return self.own.get(project.id) is project
        return project.servicenow_conn_id == conn_id


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
