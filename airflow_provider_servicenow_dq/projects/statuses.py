"""What a project says of statuses: what they do to tickets, and which states of its table they stand for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from airflow_provider_servicenow_dq.anomalies.model import Status
from airflow_provider_servicenow_dq.anomalies.values import AnyCase
from airflow_provider_servicenow_dq.projects.near import nearest
from airflow_provider_servicenow_dq.tickets.incident import STATE_LABELS, parse_state
from airflow_provider_servicenow_dq.tickets.states import INCIDENT, states_of

Effect = Literal["nothing", "work_note", "resolve", "reopen"]

#: What a status does to the tickets of its anomaly, unless told otherwise.
ON_STATUS: Final[Mapping[Status, Effect]] = {
    Status.ACTIVE: "reopen",
    Status.ACKNOWLEDGED: "work_note",
    Status.RESOLVED: "resolve",
    Status.DUPLICATE: "work_note",
    Status.INVALID: "work_note",
    Status.DISCARDED: "work_note",
}

_AnyStatus = Annotated[Status, AnyCase]
#: By its value; of an incident also by its label.
_State = Annotated[str, Field(min_length=1, max_length=40)]


class StatusRules(BaseModel):
    """Anomaly statuses and the states of a table, both ways; a mapping of statuses alone is outbound.

    :param outbound: Status to the state that a ticket gets where that status resolves or reopens it.
    :param inbound: State to the status that it stands for. What stands for an archived status is finished.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)

    outbound: Mapping[_AnyStatus, _State] = {}
    inbound: Mapping[_State, _AnyStatus] = {}

    def told(self, table: str) -> dict[str, dict[str, str]]:
        """Return both as plain JSON with states by value; nothing where nothing is told.

        :raises ValueError: If there is no such state; names the nearest.
        """
        if not (self.outbound or self.inbound):
            return {}
        return {
            "outbound": {str(status): _code(table, state) for status, state in self.outbound.items()},
            "inbound": {_code(table, state): str(status) for state, status in self.inbound.items()},
        }

    def check(self, table: str, on_status: Mapping[Status, Effect]) -> None:
        """Refuse what could not be obeyed.

        :param on_status: What the project says that statuses do.
        :raises ValueError: If a state means two things, or is told for a status that changes no state.
        """
        states = states_of(table, self.told(table))
        effects = {**ON_STATUS, **on_status}
        for status in self.outbound:
            if effects[status] not in {"resolve", "reopen"}:
                raise ValueError(
                    f"outbound.{status} is set by nothing: on_status.{status} is {effects[status]}, and only "
                    "resolve and reopen set a state"
                )
        # The other statuses fall back on these two, whatever they do themselves.
        effects |= {Status.RESOLVED: "resolve", Status.ACTIVE: "reopen"}
        for status, state in states.outbound.items():
            stands_for = states.status_for(state)
            if effects[status] == "resolve" and states.is_open(state):
                raise ValueError(f"{status} resolves into state {state}, which inbound says is {stands_for}")
            if effects[status] == "reopen" and not states.is_open(state):
                raise ValueError(f"{status} reopens into state {state}, which inbound says is {stands_for}")


def _code(table: str, state: str) -> str:
    code = parse_state(state) if table == INCIDENT else state
    if code is None:
        raise ValueError(f"{state!r} is no state of an incident.{nearest(state, STATE_LABELS.values())}")
    return code


def _of_statuses_alone(value: Any) -> Any:
    known = {status.value for status in Status}
    if isinstance(value, Mapping) and value and all(str(name).lower() in known for name in value):
        return {"outbound": value}
    return value


#: As people write them.
Statuses = Annotated[StatusRules, BeforeValidator(_of_statuses_alone)]
