"""What somebody wants of new tickets, and the columns that come of it for one anomaly."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_servicenow_dq.anomalies.model import Anomaly, Kind, Severity
from airflow_provider_servicenow_dq.desk.writing.decide import Policy
from airflow_provider_servicenow_dq.desk.writing.naming import caller_column
from airflow_provider_servicenow_dq.exceptions import ServiceNowConfigError
from airflow_provider_servicenow_dq.projects.project import Project
from airflow_provider_servicenow_dq.tickets import notes
from airflow_provider_servicenow_dq.tickets.incident import COLUMN_LENGTHS, parse_priority
from airflow_provider_servicenow_dq.tickets.states import States, states_of
from airflow_provider_servicenow_dq.tickets.text import cut, harmless, one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Where a ticket keeps what it is known by, unless its table has no such column.
CORRELATION: Final = "correlation_id"

_PAIR: Final = ("impact", "urgency")

#: Ours to set: identity, and what the instance numbers.
_OURS: Final = frozenset({CORRELATION, "number"})

_TITLES: Final[Mapping[str, str]] = {
    "check_error": "Check could not run: {check_name} on {dataset}",
    "task_failed": "Task failed: {check_name} on {dataset}",
}
_TITLE: Final = "{check_name} failed on {dataset}"


@dataclass(frozen=True, slots=True)
class Order:
    """What somebody wants of new tickets.

    :param project: The rules.
    :param columns: Columns as asked for; ``{dataset}`` and the other anomaly fields are filled per anomaly.
    :param priority: A wish, ``1``…``5`` or ``P1``…``P5``.
    :param user: Who triggered the DAG run, as Airflow knows them, if anybody did.
    """

    project: Project = field(default_factory=Project)
    columns: Mapping[str, str] = field(default_factory=dict)
    priority: str | None = None
    user: str | None = None

    def __post_init__(self) -> None:
        asked = {*self.project.all_columns(), *self.columns}
        ours = {*_OURS, self.project.key_field}
        refused = sorted(name for name in asked if name.startswith("sys_") or name in ours)
        if refused:
            raise ServiceNowConfigError(
                f"{', '.join(refused)} cannot be set: these columns are not yours to write"
            )

    @property
    def policy(self) -> Policy:
        """The rules for a ticket that exists."""
        return Policy(
            self.project.on_refire, self.project.reopen_window, self.project.mute_for, self.project.states
        )

    def wants(self, anomaly: Anomaly) -> bool:
        """Whether the anomaly is to have a ticket."""
        return self.why_not(anomaly) is None

    def why_not(self, anomaly: Anomaly) -> str | None:
        """Return why the anomaly is to have no ticket, in words; ``None`` if it is to have one."""
        if not anomaly.is_open:
            return f"it is {anomaly.status} in its source"
        if anomaly.severity.rank < Severity(self.project.min_severity).rank:
            return f"severity {anomaly.severity} is below the project's floor"
        return None


def payload(
    order: Order, anomaly: Anomaly, *, correlation_id: str, now: datetime, run: str, column: str = CORRELATION
) -> dict[str, Any]:
    """Return everything that delivery needs to open or continue the ticket of one anomaly, as plain JSON.

    :param column: Where its table keeps the correlation id.
    :raises ServiceNowConfigError: If a column names a field that anomalies do not have.
    """
    values = {**order.project.columns_for(anomaly), **order.columns}
    fields = {name: _filled(name, text, anomaly) for name, text in values.items()}
    fields.setdefault(
        "short_description", _filled("short_description", _TITLES.get(anomaly.kind, _TITLE), anomaly)
    )
    fields["short_description"] = one_line(fields["short_description"])
    detail = notes.details(anomaly, now=now)
    # The user's own words give way: below them stands the link back to the source.
    limits = {**COLUMN_LENGTHS, "description": COLUMN_LENGTHS["description"] - len(detail) - 2}
    cuts = [
        f"{name} is {len(text)} characters long and was cut to {limits[name]}"
        for name, text in fields.items()
        if len(text) > limits.get(name, len(text))
    ]
    own_words = cut(fields.get("description", ""), max(limits["description"], 0))
    fields["description"] = f"{own_words}\n\n{detail}" if own_words else detail
    wish, pair = _priority(order, anomaly, fields)
    fields = {**fields, **pair, column: correlation_id}
    if column == CORRELATION:
        fields.setdefault("correlation_display", "Apache Airflow")
    fitted = {
        name: cut(harmless(text), COLUMN_LENGTHS.get(name, len(text) + 9)) for name, text in fields.items()
    }
    return {
        "anomaly": anomaly.model_dump(mode="json"),
        "fields": fitted,
        "wish": wish,
        "warnings": cuts,
        "policy": {
            "on_refire": order.project.on_refire,
            "reopen_window_s": order.project.reopen_window.total_seconds(),
            "mute_for_s": order.project.mute_for.total_seconds(),
        },
        **_caller(order, fields),
        **rules_payload(order.project),
        **({"exclusive": True} if is_exclusive(order.project, anomaly) else {}),
        "recorded_at": now.isoformat(),
        "run": run,
    }


def _caller(order: Order, fields: Mapping[str, str]) -> dict[str, str]:
    """Return who is to be the caller, where the project takes them from the run and nobody has said who."""
    named = caller_column(order.project.table) in fields
    wanted = order.project.caller_from_user and order.user and not named
    return {"caller": order.user} if wanted and order.user else {}


def _priority(order: Order, anomaly: Anomaly, fields: Mapping[str, str]) -> tuple[str | None, dict[str, str]]:
    """Return the priority that is wished for, if one is, and the impact and urgency to ask for.

    Both are what is asked for in plain, else what makes the wish of whoever orders, else what the project
    says, else what the severity stands for.
    """
    asked = {name: fields[name] for name in _PAIR if name in order.columns}
    if order.priority:
        wish = parse_priority(order.priority)
        pair = order.project.pair_for_priority(wish)
        return None if asked else wish, {**dict(zip(_PAIR, pair, strict=True)), **asked}
    said = {name: fields[name] for name in _PAIR if name in fields}
    pair = order.project.pair_for_severity(anomaly.severity)
    wished = None if said else order.project.wish_for_severity(anomaly.severity)
    return wished, {**dict(zip(_PAIR, pair, strict=True)), **said}


def is_exclusive(project: Project, anomaly: Anomaly) -> bool:
    """Whether an anomaly is on one ticket at a time: findings always are."""
    return project.exclusive or anomaly.kind is Kind.SECURITY_FINDING


def rules_payload(project: Project) -> dict[str, Any]:
    """Return what a project says of existing tickets, for a payload: states and exclusive links."""
    told = project.status.told(project.table)
    return {**({"states": told} if told else {}), **({"exclusive": True} if project.exclusive else {})}


def rules_in(entry_payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return that part of a payload, for another one."""
    return {name: entry_payload[name] for name in ("states", "exclusive") if name in entry_payload}


def states_in(entry_payload: Mapping[str, Any], table: str) -> States:
    """Return what the states of a table meant when a payload was recorded."""
    return states_of(table, entry_payload.get("states"))


def policy_of(entry_payload: Mapping[str, Any], table: str) -> Policy:
    """Return the policy that a payload was recorded with.

    :param table: Where its ticket is.
    """
    recorded = entry_payload["policy"]
    return Policy(
        recorded["on_refire"],
        timedelta(seconds=recorded["reopen_window_s"]),
        timedelta(seconds=recorded["mute_for_s"]),
        states_in(entry_payload, table),
    )


def _filled(column: str, text: str, anomaly: Anomaly) -> str:
    try:
        return text.format_map(_anomaly_fields(anomaly))
    except KeyError as error:
        known = ", ".join(sorted(_anomaly_fields(anomaly)))
        raise ServiceNowConfigError(
            f"{column}: {error.args[0]!r} is no anomaly field. Known: {known}"
        ) from None
    except (ValueError, IndexError, AttributeError, TypeError) as error:
        raise ServiceNowConfigError(
            f"{column}: {error}. A brace that is meant as such is written twice"
        ) from None


def _anomaly_fields(anomaly: Anomaly) -> dict[str, str]:
    values = anomaly.model_dump(mode="json", exclude={"comments", "samples", "external_id_is_int"})
    values["anomaly_id"] = anomaly.anomaly_id
    return {
        name: ", ".join(value) if isinstance(value, list) else "" if value is None else str(value)
        for name, value in values.items()
    }
