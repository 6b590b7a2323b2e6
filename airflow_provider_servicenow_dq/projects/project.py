"""The rules for opening tickets: a named set of them, and the built-in one that needs nothing."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from airflow_provider_servicenow_dq.exceptions import ServiceNowConfigError
from airflow_provider_servicenow_dq.tickets.incident import PRIORITY_PAIRS, SEVERITY_PAIRS

DEFAULT_ID: Final = "default"

OnRefire = Literal["reopen", "new", "note", "nothing"]
GroupBy = Literal["dataset", "dag_run"]
Severity = Literal["critical", "high", "medium", "low", "info"]
Level = Annotated[str, Field(pattern="^[0-9]{1,2}$")]
Pair = tuple[Level, Level]


class Project(BaseModel):
    """A named set of rules for opening tickets.

    :param id: Name by which an operator's ``project`` refers to it.
    :param name: For people.
    :param table: Table of its tickets.
    :param fields: Columns of a new ticket; ``{dataset}`` and the other anomaly fields are filled per anomaly.
    :param severity: Anomaly severity to (impact, urgency).
    :param priority_pairs: Priority wish to the (impact, urgency) that this instance's matrix turns into it.
    :param on_refire: What an anomaly does when its ticket is resolved.
    :param reopen_window: For how long after ``resolved_at`` a ticket is reopened; later ones are new tickets.
    :param mute_for: For how long nothing happens after people closed a ticket as false positive or duplicate.
    :param group_by: Put all anomalies of a dataset or a DAG run into one ticket.
    :param min_severity: Anomalies below it get no ticket.
    :param max_new_tickets: New tickets in one DAG run; the rest share one roll-up ticket.
    :param close_code: Resolution code of tickets that we resolve; by default chosen from the instance's own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)

    id: str = DEFAULT_ID
    name: str = ""
    table: Annotated[str, Field(pattern="^[a-z0-9_]{1,80}$")] = "incident"
    fields: Mapping[str, str] = {}
    severity: Mapping[Severity, Pair] = {}
    priority_pairs: Mapping[Level, Pair] = {}
    on_refire: OnRefire = "reopen"
    reopen_window: timedelta = timedelta(hours=72)
    mute_for: timedelta = timedelta(days=30)
    group_by: GroupBy | None = None
    min_severity: Severity = "info"
    close_code: str | None = None
    max_new_tickets: Annotated[int, Field(ge=1)] = 50

    def changed(self, rules: Mapping[str, Any]) -> Project:
        """Return the project with some rules replaced, e.g. by an operator's parameters.

        :raises ServiceNowConfigError: If one makes no sense.
        """
        return _validated(self.id, {**self.model_dump(), **rules}) if rules else self

    def pair_for_severity(self, severity: str) -> Pair:
        """Return (impact, urgency) for an anomaly's severity."""
        own: Mapping[str, Pair] = self.severity  # type: ignore[assignment]  # keys are a narrower text
        return own.get(severity) or SEVERITY_PAIRS[severity]

    def pair_for_priority(self, priority: str) -> Pair:
        """Return (impact, urgency) for a priority wish ``"1"`` to ``"5"``."""
        return {**PRIORITY_PAIRS, **self.priority_pairs}[priority]


def load_projects(source: Any) -> dict[str, Project]:
    """Return projects by id from a list of them, a mapping by id, or either as JSON text.

    The built-in ``default`` is always there, unless a project of that id takes its place.

    :raises ServiceNowConfigError: If one makes no sense; names the project and the place.
    """
    if isinstance(source, str):
        try:
            source = json.loads(source) if source.strip() else None
        except ValueError as error:
            raise ServiceNowConfigError(f"projects is not JSON: {error}") from None
    if isinstance(source, Mapping):
        source = [{"id": name, **_mapping(f"projects[{name!r}]", rules)} for name, rules in source.items()]
    if source is None:
        source = []
    if not isinstance(source, list):
        raise ServiceNowConfigError("projects must be a list of projects, or a mapping of them by id")
    projects = [_project(index, _mapping(f"projects[{index}]", rules)) for index, rules in enumerate(source)]
    ids = [project.id for project in projects]
    if twice := sorted({name for name in ids if ids.count(name) > 1}):
        raise ServiceNowConfigError(f"projects has {', '.join(map(repr, twice))} twice")
    return {DEFAULT_ID: Project(), **{project.id: project for project in projects}}


def find_project(projects: Mapping[str, Project], name: str | None) -> Project:
    """Return a project by its id; the built-in one for None.

    :raises ServiceNowConfigError: If there is none of that id; names the nearest.
    """
    name = name or DEFAULT_ID
    if name not in projects:
        raise ServiceNowConfigError(f"There is no project {name!r}.{_nearest(name, projects)}")
    return projects[name]


def _mapping(place: str, rules: Any) -> Mapping[str, Any]:
    if not isinstance(rules, Mapping):
        raise ServiceNowConfigError(f"{place} must be a mapping of settings, not {type(rules).__name__}")
    return rules


def _project(index: int, rules: Mapping[str, Any]) -> Project:
    return _validated(rules.get("id", index), rules)


def _validated(name: object, rules: Mapping[str, Any]) -> Project:
    try:
        return Project.model_validate(dict(rules))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        hint = _nearest(place, Project.model_fields) if first["type"] == "extra_forbidden" else ""
        raise ServiceNowConfigError(f"Project {name!r}, at {place}: {first['msg']}.{hint}") from None


def _nearest(name: str, known: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f" Did you mean {near[0]!r}?" if near else f" Known: {', '.join(sorted(known))}."
