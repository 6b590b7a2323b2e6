"""What the states of a table mean, in both directions: an incident's are known, others a project tells.

Only ``incident`` is the same on every instance. A state that nobody has told us about counts as open, so that
no ticket is taken for finished that is not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_servicenow_dq.anomalies.model import ARCHIVED_STATUSES, Status
from airflow_provider_servicenow_dq.tickets.incident import (
    CANCELED,
    CLOSED,
    IN_PROGRESS,
    NEW,
    ON_HOLD,
    RESOLVED,
    state_label,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The table whose states are the same on every instance.
INCIDENT: Final = "incident"

_OUTBOUND: Final[Mapping[Status, str]] = MappingProxyType(
    {Status.RESOLVED: RESOLVED, Status.ACTIVE: IN_PROGRESS}
)
_INBOUND: Final[Mapping[str, Status]] = MappingProxyType(
    {
        NEW: Status.ACTIVE,
        IN_PROGRESS: Status.ACKNOWLEDGED,
        ON_HOLD: Status.ACKNOWLEDGED,
        RESOLVED: Status.RESOLVED,
        CLOSED: Status.RESOLVED,
        CANCELED: Status.DISCARDED,
    }
)

#: Close codes that say more than the state does.
_DUPLICATE: Final = re.compile(r"duplicate", re.IGNORECASE)
_INVALID: Final = re.compile(r"false[ _-]?positive", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class States:
    """The states of one table.

    :param table: Whose they are.
    :param outbound: Anomaly status to the state that its ticket gets where it is resolved or reopened.
    :param inbound: State to the status that it stands for.
    :param held: States in which a ticket is open and we do not resolve it.
    :param assumed: Nobody has told us: we look at them like this, and resolve nothing into them.
    """

    table: str
    outbound: Mapping[Status, str]
    inbound: Mapping[str, Status]
    held: frozenset[str] = frozenset()
    assumed: bool = False

    @property
    def resolved(self) -> str | None:
        """The state of a resolved ticket, which can still be reopened; None where nobody has told us."""
        return self.outbound.get(Status.RESOLVED)

    def resolving(self, status: Status) -> str | None:
        """Return the state that a ticket gets when it is resolved because of a status, if there is one."""
        if self.assumed:
            return None
        own = self.outbound.get(status)
        return self.resolved if own is None or self.is_open(own) else own

    def reopening(self, status: Status = Status.ACTIVE) -> str | None:
        """Return the state that a ticket gets when it is reopened because of a status, if there is one."""
        own = self.outbound.get(status)
        return own if own is not None and self.is_open(own) else self.outbound.get(Status.ACTIVE)

    def status_for(self, state: str, close_code: str = "") -> Status | None:
        """Return what a ticket's state says about its anomaly; None where nobody has told us.

        The close code of a resolved or closed ticket may say more: that it was a duplicate, or no problem.
        """
        status = self.inbound.get(state)
        if status is Status.RESOLVED and _DUPLICATE.search(close_code):
            return Status.DUPLICATE
        if status is Status.RESOLVED and _INVALID.search(close_code):
            return Status.INVALID
        return status

    def is_open(self, state: str) -> bool:
        """Whether somebody still has to work on a ticket in this state."""
        return self.status_for(state) not in ARCHIVED_STATUSES

    def is_ended(self, state: str) -> bool:
        """Whether a ticket in this state is finished for good, and locked."""
        return not self.is_open(state) and state != self.resolved

    def may_be_resolved(self, state: str) -> bool:
        """Whether we may resolve a ticket in this state."""
        # What an instance has added to an incident's states may be a reason to wait.
        known = self.table != INCIDENT or state in self.inbound
        return known and self.is_open(state) and state not in self.held

    def label(self, state: str) -> str:
        """Return what a state is called; outside of incident, its code."""
        return state_label(state) if self.table == INCIDENT else f"in state {state}"


def states_of(table: str, rules: Mapping[str, Any] | None = None) -> States:
    """Return the states of a table.

    Of a table that is no incident, and of which a project tells nothing, an incident's are assumed, and no
    state is known to resolve into.

    :param rules: What the project says: ``outbound``, status to state, and ``inbound``, state to status; as
        JSON keeps them.
    """
    told = rules or {}
    outbound = {Status(status): str(state) for status, state in told.get("outbound", {}).items()}
    inbound = {str(state): Status(status) for state, status in told.get("inbound", {}).items()}
    # A state that we set for a status stands for that status where nothing else is known of it.
    implied = {state: status for status, state in reversed(outbound.items())}
    if table == INCIDENT:
        held = frozenset({ON_HOLD} - inbound.keys())
        return States(table, {**_OUTBOUND, **outbound}, {**implied, **_INBOUND, **inbound}, held)
    if told:
        return States(table, outbound, {**implied, **inbound})
    return States(table, _OUTBOUND, _INBOUND, assumed=True)
