"""Waiting for tickets: which they are, which states are waited for, and when the wait is over."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, Self, get_args

from airflow_provider_servicenow_dq.anomalies.model import Status
from airflow_provider_servicenow_dq.client.ids import checked_sys_id, checked_table
from airflow_provider_servicenow_dq.exceptions import ServiceNowConfigError
from airflow_provider_servicenow_dq.tickets.incident import STATE_LABELS, parse_state
from airflow_provider_servicenow_dq.tickets.named import read_name
from airflow_provider_servicenow_dq.tickets.states import INCIDENT, States, states_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

WaitFor = Literal["all", "any"]

#: What is waited for, and what ends a wait, unless told otherwise.
TARGETS: Final = ("resolved", "closed")
FAILURES: Final = ("canceled",)

#: Looks in a row that do not show a ticket, until it counts as gone: one may fall into a change of rights.
MOST_MISSED: Final = 3

#: Tickets that a sentence names.
_NAMED: Final = 10

#: What the names of an incident's last states stand for in other tables, besides the statuses themselves.
_STANDS_FOR: Final[Mapping[str, Status]] = {
    "resolved": Status.RESOLVED,
    "closed": Status.RESOLVED,
    "canceled": Status.DISCARDED,
    "cancelled": Status.DISCARDED,
}

#: States by name or value for all tables, or by table; then those of others than incident by value.
StateNames = Sequence[str] | Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Awaited:
    """A ticket that is waited for: known by its sys_id, or, until it is found, by its number."""

    table: str
    sys_id: str = ""
    number: str = ""

    @classmethod
    def of(cls, name: Any, *, host: str, table: str = INCIDENT) -> Self:
        """Return the ticket that a text means, or what :meth:`as_json` has given.

        :param name: A number, a sys_id or the address of a record; or a mapping.
        :param host: Of the instance.
        :param table: Where to look for it, if the name does not tell.
        :raises ServiceNowConfigError: If it means none, or one of another instance.
        """
        if isinstance(name, Mapping):
            given = {field: str(name.get(field) or "") for field in ("table", "sys_id", "number")}
            if not (given["sys_id"] or given["number"]):
                raise ServiceNowConfigError("A ticket to wait for has neither a sys_id nor a number")
            sys_id = given["sys_id"] and checked_sys_id(given["sys_id"])
            return cls(checked_table(given["table"] or table), sys_id, given["number"])
        if not isinstance(name, str):
            raise ServiceNowConfigError(f"A ticket is named by a text, not by {type(name).__name__}")
        named = read_name(name, host=host)
        return cls(checked_table(named.table or table), named.sys_id, named.number)

    @property
    def name(self) -> str:
        """What people know it by."""
        return self.number or self.sys_id

    def as_json(self) -> dict[str, str]:
        """Return it as plain JSON."""
        return dataclasses.asdict(self)

    def found(self, record: Mapping[str, Any]) -> Self:
        """Return it with all that its record tells."""
        return type(self)(self.table, record["sys_id"], str(record.get("number") or self.number))


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a look at the tickets means for the wait.

    :param outcome: ``failed``: what is waited for cannot come any more.
    :param words: Which tickets it is about, for people.
    """

    outcome: Literal["waiting", "reached", "failed"]
    words: str


@dataclass(frozen=True, slots=True)
class Goal:
    """The states that are waited for, by table.

    :param targets: Values of the states that are waited for.
    :param failures: Values of those from which none of them is expected any more.
    :param wait_for: Whether all tickets must get there, or any.
    """

    targets: Mapping[str, frozenset[str]]
    failures: Mapping[str, frozenset[str]]
    wait_for: WaitFor = "all"

    @classmethod
    def of(
        cls,
        tables: Iterable[str],
        *,
        targets: StateNames = TARGETS,
        failures: StateNames = FAILURES,
        wait_for: str = "all",
        states_in: Callable[[str], States] = states_of,
    ) -> Self:
        """Return the goal for tickets of some tables.

        :param targets: States by name or value; the names of an incident are its labels, those of any table
            the statuses that its states stand for.
        :param states_in: What the states of a table mean.
        :raises ServiceNowConfigError: If a name means nothing, or a state ends the wait both ways.
        """
        if wait_for not in get_args(WaitFor):
            raise ServiceNowConfigError(f"wait_for must be all or any, not {wait_for!r}")
        every = {table: states_in(table) for table in sorted(set(tables))}
        wanted = {table: _codes(states, targets) for table, states in every.items()}
        ending = {table: _codes(states, failures) for table, states in every.items()}
        for table, codes in wanted.items():
            if not codes:
                raise ServiceNowConfigError(
                    f"No state of {table} is known to wait for: give target_states by value, or a project "
                    "whose status tells what the states of this table mean"
                )
            if both := codes & ending[table]:
                raise ServiceNowConfigError(
                    f"Among both target_states and failure_states: {', '.join(sorted(both))} of {table}"
                )
        return cls(wanted, ending, wait_for)  # type: ignore[arg-type]  # checked above

    def as_json(self) -> dict[str, Any]:
        """Return what :meth:`of` takes, as plain JSON with states by value."""
        return {
            "target_states": {table: sorted(codes) for table, codes in self.targets.items()},
            "failure_states": {table: sorted(codes) for table, codes in self.failures.items()},
            "wait_for": self.wait_for,
        }

    def judge(
        self, seen: Mapping[Awaited, Mapping[str, Any] | None], missed: Mapping[Awaited, int]
    ) -> Verdict:
        """Return whether the wait is over.

        :param seen: Every ticket with its record, None where the instance does not show it.
        :param missed: How many looks in a row have not shown it, this one included.
        :raises ServiceNowConfigError: If a record has no state.
        """
        there, lost, rest = [], [], []
        for ticket, record in seen.items():
            state = _state(ticket, record)
            if state in self.targets[ticket.table]:
                there.append(_is_in(ticket, state))
            elif state in self.failures[ticket.table]:
                lost.append(_is_in(ticket, state))
            elif state is None and missed.get(ticket, 0) >= MOST_MISSED:
                lost.append(
                    f"{ticket.name} is not shown in {ticket.table}, {MOST_MISSED} looks in a row: there is "
                    "no such ticket any more, or the account may not read it"
                )
            else:
                rest.append(f"{ticket.name} is not shown" if state is None else _is_in(ticket, state))
        if self.wait_for == "any" and there:
            return Verdict("reached", _listed(there))
        if lost and (self.wait_for == "all" or not rest):
            return Verdict("failed", _listed(lost))
        return Verdict("waiting", _listed(rest)) if rest else Verdict("reached", _listed(there))


def _state(ticket: Awaited, record: Mapping[str, Any] | None) -> str | None:
    if record is None:
        return None
    if "state" not in record:
        raise ServiceNowConfigError(
            f"{ticket.table} has no column state that this account may read: nothing to wait for"
        )
    return str(record["state"] or "")


def _is_in(ticket: Awaited, state: str | None) -> str:
    return f"{ticket.name} is {states_of(ticket.table).label(state or '')}"


def _listed(words: Sequence[str]) -> str:
    rest = f"; and {len(words) - _NAMED} more" if len(words) > _NAMED else ""
    return "; ".join(words[:_NAMED]) + rest


def _codes(states: States, given: StateNames) -> frozenset[str]:
    by_table = isinstance(given, Mapping)
    names = given.get(states.table, ()) if isinstance(given, Mapping) else given
    names = (names,) if isinstance(names, str) else names
    if by_table and states.table != INCIDENT:
        return frozenset(map(str, names))
    return frozenset(code for name in names for code in _codes_of(states, str(name)))


def _codes_of(states: States, name: str) -> set[str]:
    """Return the values of the states that a name means; none where nobody has told what it means."""
    word = name.strip().lower().replace(" ", "_")
    meant = _STANDS_FOR.get(word) or (Status(word) if word in set(Status) else None)
    if states.table != INCIDENT:
        if meant is None:
            return {name.strip()}
        return set() if states.assumed else {code for code, is_ in states.inbound.items() if is_ is meant}
    code = parse_state(name)
    # A state that the instance has added may stand for one of those that it had.
    added = {other for other, is_ in states.inbound.items() if is_ is meant and other not in STATE_LABELS}
    if code is None and meant is None:
        known = ", ".join(label.lower().replace(" ", "_") for label in STATE_LABELS.values())
        raise ServiceNowConfigError(f"{name!r} is no state of an incident: {known}, or its value")
    if code is None:
        return {other for other, is_ in states.inbound.items() if is_ is meant}
    return {code} | added
