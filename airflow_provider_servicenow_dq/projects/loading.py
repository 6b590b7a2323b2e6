"""Where projects come from: a connection's ``projects``, and a file that all connections share."""

from __future__ import annotations

import json
import logging
from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any

import yaml

from airflow_provider_servicenow_dq.exceptions import ServiceNowConfigError, UnknownProjectError
from airflow_provider_servicenow_dq.projects.near import nearest
from airflow_provider_servicenow_dq.projects.project import DEFAULT_ID, Project, project_of

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger(__name__)


def load_projects(source: Any, *, place: str = "projects") -> dict[str, Project]:
    """Return projects by id from a list of them, a mapping by id, or either as JSON text.

    The built-in ``default`` is always there, unless a project of that id takes its place.

    :param place: What the source is called in an error.
    :raises ServiceNowConfigError: If one makes no sense; names the project and the place.
    """
    if isinstance(source, str):
        try:
            source = json.loads(source) if source.strip() else None
        except ValueError as error:
            raise ServiceNowConfigError(f"{place} is not JSON: {error}") from None
    if isinstance(source, Mapping):
        source = [{"id": name, **_mapping(f"{place}[{name!r}]", rules)} for name, rules in source.items()]
    if source is None:
        source = []
    if not isinstance(source, list):
        raise ServiceNowConfigError(f"{place} must be a list of projects, or a mapping of them by id")
    projects = [_project(index, _mapping(f"{place}[{index}]", rules)) for index, rules in enumerate(source)]
    names = [name for project in projects for name in {project.id, project.key} - {None}]
    if twice := sorted({str(name) for name in names if names.count(name) > 1}):
        raise ServiceNowConfigError(f"{place} has {', '.join(map(repr, twice))} twice")
    return {DEFAULT_ID: Project(), **{project.id: project for project in projects}}


def read_projects_file(path: Path) -> dict[str, Project]:
    """Return the projects of a YAML file, which has a list of them or a mapping by id.

    :raises ServiceNowConfigError: If it cannot be read, says a key twice, or a project makes no sense.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_StrictLoader)  # noqa: S506 (a SafeLoader)
    except (OSError, UnicodeDecodeError) as error:
        raise ServiceNowConfigError(f"The projects file {path} cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise ServiceNowConfigError(f"The projects file {path} is not YAML: {error}") from error
    try:
        # A text of YAML is a text: what would be JSON in a connection is YAML here already.
        return load_projects([content] if isinstance(content, str) else content, place="projects")
    except ServiceNowConfigError as error:
        raise ServiceNowConfigError(f"The projects file {path}: {error}") from None


def together(of_connection: Mapping[str, Project], of_file: Mapping[str, Project]) -> dict[str, Project]:
    """Return the projects of a connection and of the file; one of the connection hides the file's whole.

    :param of_connection: As :func:`load_projects` returns them.
    :param of_file: Likewise.
    """
    own = {
        name: project for name, project in of_connection.items() if name != DEFAULT_ID or project != Project()
    }
    for name in sorted(own.keys() & of_file.keys() - {DEFAULT_ID}):
        log.info("Project %r of the connection takes the place of the one in the projects file", name)
    return {**of_file, **own}


def find_project(projects: Mapping[str, Project], name: str | None) -> Project:
    """Return a project by its id or key; the built-in one for None.

    :raises UnknownProjectError: If there is none of that name; names the nearest.
    :raises ServiceNowConfigError: If there are several.
    """
    name = name or DEFAULT_ID
    if name in projects:
        return projects[name]
    found = [project for project in projects.values() if project.key == name]
    if len(found) > 1:
        ids = ", ".join(repr(project.id) for project in found)
        raise ServiceNowConfigError(f"Several projects have the key {name!r}: {ids}. Name one by its id")
    if not found:
        keys = [project.key for project in projects.values() if project.key]
        raise UnknownProjectError(f"There is no project {name!r}.{nearest(name, {*projects, *keys})}")
    return found[0]


def _mapping(place: str, rules: Any) -> Mapping[str, Any]:
    if not isinstance(rules, Mapping):
        raise ServiceNowConfigError(f"{place} must be a mapping of settings, not {type(rules).__name__}")
    return rules


def _project(index: int, rules: Mapping[str, Any]) -> Project:
    return project_of(rules.get("id", rules.get("key", index)), rules)


class _StrictLoader(yaml.SafeLoader):
    """Refuses a key that stands twice in a mapping, where YAML's own loader forgets the first."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002 (PyYAML's signature)
        """Return the mapping."""
        seen = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                continue
            if key_node.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key_node.value!r} stands twice", key_node.start_mark
                )
            seen.add(key_node.value)
        return super().construct_mapping(node, deep=deep)
