"""The rules for opening tickets: a named set of them, and the built-in one that needs nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from airflow_provider_servicenow_dq.anomalies.model import Status
from airflow_provider_servicenow_dq.anomalies.values import AnyCase
from airflow_provider_servicenow_dq.exceptions import ServiceNowConfigError
from airflow_provider_servicenow_dq.projects.columns import Columns
from airflow_provider_servicenow_dq.projects.near import nearest, nearest_key
from airflow_provider_servicenow_dq.projects.routing import Route, first_fitting
from airflow_provider_servicenow_dq.projects.statuses import Effect, Statuses, StatusRules
from airflow_provider_servicenow_dq.tickets.incident import PRIORITY_PAIRS, SEVERITY_PAIRS, parse_priority
from airflow_provider_servicenow_dq.tickets.states import States, states_of

if TYPE_CHECKING:
    from airflow_provider_servicenow_dq.anomalies.model import Anomaly

DEFAULT_ID: Final = "default"

OnRefire = Literal["reopen", "new", "note", "nothing"]
GroupBy = Literal["dataset", "dag_run"]
Severity = Literal["critical", "high", "medium", "low", "info"]
Direction = Literal["none", "outbound", "inbound", "bidirectional"]
Level = Annotated[str, Field(pattern="^[0-9]{1,2}$")]
Pair = tuple[Level, Level]
#: A priority as people write it: ``1`` to ``5``, ``P1`` to ``P5``.
Wish = Annotated[str, BeforeValidator(parse_priority)]
Name = Annotated[str, Field(pattern="^[a-z0-9_]{1,80}$")]

_OUTBOUND: Final = ("outbound", "bidirectional")
_INBOUND: Final = ("inbound", "bidirectional")


class Sync(BaseModel):
    """What is kept in step, and in which direction; one word stands for both.

    :param status: Status of the anomaly and state of the ticket.
    :param comments: Comments of the anomaly and journal of the ticket.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: Direction = "bidirectional"
    comments: Direction = "bidirectional"

    @property
    def pushes_status(self) -> bool:
        """Whether tickets are told the status of their anomalies."""
        return self.status in _OUTBOUND

    @property
    def pushes_comments(self) -> bool:
        """Whether tickets get the comments of their anomalies."""
        return self.comments in _OUTBOUND

    @property
    def feeds_status(self) -> bool:
        """Whether anomalies are what their tickets say of them."""
        return self.status in _INBOUND

    @property
    def feeds_comments(self) -> bool:
        """Whether what people write on tickets is told."""
        return self.comments in _INBOUND


def _of_one_word(value: Any) -> Any:
    return {"status": value, "comments": value} if isinstance(value, str) else value


class Project(BaseModel):
    """A named set of rules for opening tickets.

    :param id: Name by which an operator's ``project`` refers to it; without one its ``key`` is taken.
    :param key: Another name for it, short and in capitals.
    :param name: For people.
    :param servicenow_conn_id: The connection to its instance, where it is not the one that the task names.
    :param table: Table of its tickets.
    :param key_field: Column that keeps our correlation ids (76 characters) in tables without a
        ``correlation_id``.
    :param fields: Columns of a new ticket; ``{dataset}`` and the other anomaly fields are filled per anomaly.
    :param routes: More columns for some anomalies: those of the first route that matches.
    :param caller_from_user: The caller of a new ticket is whoever triggered the DAG run, found on the
        instance by e-mail address, else by user name; with nobody found it is left to the instance.
    :param assignees: Owner of the anomaly, as its source writes it, to a user of the instance.
    :param severity: Anomaly severity to (impact, urgency).
    :param impact_mapping: Anomaly severity to impact alone.
    :param urgency_mapping: Anomaly severity to urgency alone.
    :param priority: Anomaly severity to a priority wish.
    :param priority_pairs: Priority wish to the (impact, urgency) that this instance's matrix turns into it.
    :param sync: What is kept in step, and in which direction.
    :param on_refire: What an anomaly does when its ticket is resolved.
    :param reopen_window: For how long after ``resolved_at`` a ticket is reopened; later ones are new tickets.
    :param mute_for: For how long nothing happens after people closed a ticket as false positive or duplicate.
    :param on_status: What a status of the anomaly does to its tickets; those not named keep the default.
    :param status: Which states of its table the statuses stand for, both ways; an incident's are known.
    :param exclusive: An anomaly is on one ticket at a time: whoever joins a ticket leaves the one before.
    :param close_empty_cases: Resolve the ticket of a case when its last finding has left; it is reopened when
        one returns.
    :param group_by: Put all anomalies of a dataset or a DAG run into one ticket.
    :param journal: Where comments go: work notes, or the comments that the caller reads as well.
    :param min_severity: Anomalies below it get no ticket.
    :param max_new_tickets: New tickets in one DAG run; the rest share one roll-up ticket.
    :param resolve_after: Passes in a row of an anomaly's check that resolve its ticket, 24 hours after it was
        last seen at the earliest; 0 is never, for a check that passes does not say that the cause is gone.
    :param close_code: Resolution code of tickets that we resolve; by default chosen from the instance's own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)

    id: Annotated[str, Field(min_length=1)] = DEFAULT_ID
    key: Annotated[str, Field(pattern="^[A-Z][A-Z0-9_]{0,24}$")] | None = None
    name: str = ""
    servicenow_conn_id: str | None = None
    table: Name = "incident"
    key_field: Name | None = None
    fields: Columns = {}
    routes: tuple[Route, ...] = ()
    caller_from_user: bool = False
    assignees: Mapping[str, str] = {}
    severity: Mapping[Severity, Pair] = {}
    impact_mapping: Mapping[Severity, Level] = {}
    urgency_mapping: Mapping[Severity, Level] = {}
    priority: Mapping[Severity, Wish] = {}
    priority_pairs: Mapping[Level, Pair] = {}
    sync: Annotated[Sync, BeforeValidator(_of_one_word)] = Sync()
    on_refire: OnRefire = "reopen"
    reopen_window: timedelta = timedelta(hours=72)
    mute_for: timedelta = timedelta(days=30)
    on_status: Mapping[Annotated[Status, AnyCase], Effect] = {}
    status: Statuses = StatusRules()
    exclusive: bool = False
    close_empty_cases: bool = False
    group_by: GroupBy | None = None
    journal: Literal["work_notes", "comments"] = "work_notes"
    min_severity: Severity = "info"
    max_new_tickets: Annotated[int, Field(ge=1)] = 50
    resolve_after: Annotated[int, Field(ge=0)] = 0
    close_code: str | None = None

    @model_validator(mode="after")
    def _say_each_severity_once(self) -> Self:
        ways = {
            "severity": self.severity.keys(),
            "priority": self.priority.keys(),
            "impact_mapping or urgency_mapping": self.impact_mapping.keys() | self.urgency_mapping.keys(),
        }
        said: dict[str, str] = {}
        for way, severities in ways.items():
            for severity in severities:
                if severity in said:
                    raise ValueError(f"{severity} is in {said[severity]} and in {way}; say it once")
                said[severity] = way
        return self

    @model_validator(mode="after")
    def _say_only_states_that_can_be_obeyed(self) -> Self:
        self.status.check(self.table, self.on_status)
        return self

    @property
    def states(self) -> States:
        """What the states of its table mean."""
        return states_of(self.table, self.status.told(self.table))

    def states_at(self, table: str) -> States:
        """Return what the states of a table mean: of its own as it tells, of another one what is known."""
        return self.states if table == self.table else states_of(table)

    def status_for_state(self, state: str, close_code: str = "") -> Status | None:
        """Return what the state of a ticket says about its anomaly; None where nobody has told us.

        :param state: Its raw value.
        :param close_code: Says more of a resolved ticket: that it was a duplicate, or a false positive.
        """
        return self.states.status_for(state, close_code)

    def changed(self, rules: Mapping[str, Any]) -> Project:
        """Return the project with some rules replaced, e.g. by an operator's parameters.

        ``key_field`` and ``status`` are of the project's own table, and no rules for another one.

        :raises ServiceNowConfigError: If one makes no sense.
        """
        if rules.get("table", self.table) != self.table:
            rules = {"key_field": None, "status": {}, **rules}
        return project_of(self.id, {**self.model_dump(), **rules}) if rules else self

    def columns_for(self, anomaly: Anomaly) -> dict[str, str]:
        """Return the columns of an anomaly's ticket, its placeholders not filled yet.

        A route's columns go before the project's, and the owner's assignee before both.
        """
        route = first_fitting(self.routes, anomaly)
        owner = (anomaly.owner or "").casefold()
        assignee = next((user for name, user in self.assignees.items() if name.casefold() == owner), None)
        return {
            **self.fields,
            **(route.fields if route else {}),
            **({"assigned_to": _literal(assignee)} if assignee else {}),
        }

    def all_columns(self) -> set[str]:
        """Return the names of all columns that it may ever set."""
        return {*self.fields, *(name for route in self.routes for name in route.fields)}

    def pair_for_severity(self, severity: str) -> Pair:
        """Return (impact, urgency) for an anomaly's severity."""
        wish = self.wish_for_severity(severity)
        if wish:
            return self.pair_for_priority(wish)
        own: Mapping[str, Pair] = self.severity  # type: ignore[assignment]  # keys are a narrower text
        impacts: Mapping[str, str] = self.impact_mapping  # type: ignore[assignment]  # as above
        urgencies: Mapping[str, str] = self.urgency_mapping  # type: ignore[assignment]  # as above
        impact, urgency = own.get(severity) or SEVERITY_PAIRS[severity]
        return impacts.get(severity, impact), urgencies.get(severity, urgency)

    def wish_for_severity(self, severity: str) -> str | None:
        """Return the priority that the project wishes for an anomaly's severity, if it does."""
        wishes: Mapping[str, str] = self.priority  # type: ignore[assignment]  # keys are a narrower text
        return wishes.get(severity)

    def pair_for_priority(self, priority: str) -> Pair:
        """Return (impact, urgency) for a priority wish ``"1"`` to ``"5"``."""
        return {**PRIORITY_PAIRS, **self.priority_pairs}[priority]


def project_of(name: object, rules: Mapping[str, Any]) -> Project:
    """Return a project.

    :param name: What to call it in an error.
    :raises ServiceNowConfigError: If a rule makes no sense; names the place, and for an unknown one the
        nearest that is known.
    """
    if rules.get("key") and "id" not in rules:
        rules = {"id": rules["key"], **rules}
    try:
        return Project.model_validate(dict(rules))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        hint = nearest_key(Project, first["loc"]) if first["type"] == "extra_forbidden" else ""
        if first["type"] == "enum" and first["loc"][0] in {"on_status", "status"}:
            hint = nearest(str(first["input"]), [status.value for status in Status])
        where = f", at {place}" if place else ""
        raise ServiceNowConfigError(f"Project {name!r}{where}: {first['msg']}.{hint}") from None


def _literal(text: str) -> str:
    """Return a text that has no placeholders."""
    return text.replace("{", "{{").replace("}", "}}")
