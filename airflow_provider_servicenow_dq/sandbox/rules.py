"""Business rules, data policies and access rules of the task tables, as an unmodified instance has them.

Sources: the vendor's pages on the incident state model, priority look-up rules and data policies; where they
are silent, what clients of live instances observed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_servicenow_dq.sandbox.data import sys_id_of
from airflow_provider_servicenow_dq.sandbox.schema import TABLES
from airflow_provider_servicenow_dq.sandbox.switches import Rule, Switches

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_provider_servicenow_dq.sandbox.records import Records, Row

NEW, IN_PROGRESS, ON_HOLD, RESOLVED, CLOSED, CANCELED = "1", "2", "3", "6", "7", "8"

_CLOSED_STATES: Mapping[str, frozenset[str]] = {
    "incident": frozenset({CLOSED, CANCELED}),
    "problem": frozenset({"107"}),
    "change_request": frozenset({"3", "4"}),
    "task": frozenset({"3", "4", "7"}),
}

#: The data look-up of impact and urgency; the vendor's matrix is the sum of the two, less one.
PRIORITIES = {
    (str(impact), str(urgency)): str(impact + urgency - 1) for impact in (1, 2, 3) for urgency in (1, 2, 3)
}

_WRITERS: Mapping[str, frozenset[str]] = {
    table: frozenset({"itil", "admin"}) for table in ("task", "incident", "problem", "change_request")
}
_READERS = frozenset({"itil", "snc_read_only", "admin"})


class RefusedError(Exception):
    """The instance says no.

    :param status: HTTP status that the Table API gives it.
    :param message: ``error.message`` of the answer.
    :param detail: ``error.detail`` of the answer.
    """

    def __init__(self, status: int, message: str, detail: str | None = None) -> None:
        super().__init__(status, message, detail)
        self.status = status
        self.message = message
        self.detail = detail


def operation_failed(detail: str) -> RefusedError:
    """Return the refusal that policies, rules, access rules and unique keys share."""
    return RefusedError(403, "Operation Failed", detail)


@dataclass(frozen=True, slots=True)
class Account:
    """Who acts."""

    sys_id: str
    user_name: str
    roles: frozenset[str]

    @property
    def is_admin(self) -> bool:
        """Whether access rules do not apply."""
        return "admin" in self.roles

    @property
    def may_use_api(self) -> bool:
        """Whether any role lets the user through the Table API's own access rule."""
        return bool(self.roles & _READERS)


@dataclass(slots=True)
class Change:
    """One insert or update on its way through the rules; ``old`` is None for an insert."""

    table: str
    account: Account
    now: str
    old: Row | None
    new: Row
    given: frozenset[str]
    records: Records

    def changes(self, name: str) -> bool:
        """Whether the column gets another value than it had."""
        return self.new[name] != (self.old[name] if self.old else "")

    def enters(self, state: str) -> bool:
        """Whether the record comes into a state."""
        return self.new["state"] == state and (self.old is None or self.old["state"] != state)


def check_access(account: Account, table: str, operation: str, row: Row | None = None) -> None:
    """Apply the access rules of a table and a row.

    :param operation: ``Insert``, ``Update`` or ``Delete``.
    :raises RefusedError: The user may not.
    """
    allowed = account.is_admin or (
        operation != "Delete" and bool(account.roles & _WRITERS.get(table, frozenset()))
    )
    if allowed and row is not None and table == "incident" and not account.is_admin:
        # Closed and canceled incidents are locked for everybody else.
        allowed = row["state"] not in _CLOSED_STATES["incident"]
    if not allowed:
        raise operation_failed(f"ACL Exception {operation} Failed due to security constraints")


def run_business_rules(change: Change) -> None:
    """Run the rules that fill columns, in their order."""
    if "task" not in TABLES[change.table].lineage:
        return
    for rule in _TASK_RULES:
        rule(change)
    if change.table == "incident":
        for rule in _INCIDENT_RULES:
            rule(change)


def check_policies(change: Change, switches: Switches, matches: Callable[[str, Row], bool]) -> None:
    """Apply data policies, then the administrator's aborting rules.

    :param matches: Tells whether the new row satisfies an encoded query.
    :raises RefusedError: A mandatory column is empty, or a rule aborts.
    """
    columns = TABLES[change.table].columns
    mandatory: list[str] = []
    if (
        switches.resolution_mandatory
        and change.table == "incident"
        and change.new["state"] in {RESOLVED, CLOSED}
    ):
        mandatory += ["close_code", "close_notes"]
    for rule in map(Rule.parse, switches.mandatory):
        if rule.table == change.table and rule.column in columns and matches(rule.query, change.new):
            mandatory.append(rule.column)
    missing = [columns[name].label for name in mandatory if not change.new[name]]
    if missing:
        names = ", ".join(missing)
        raise operation_failed(f"Data Policy Exception: \n\tThe following fields are mandatory: {names}")
    for text in switches.abort:
        rule = Rule.parse(text)
        if rule.table == change.table and matches(rule.query, change.new):
            name = f"Abort changes on {rule.table}"
            stack = f"'{name}^{sys_id_of('rule', text)}'. Business Rule Stack:{name}"
            raise operation_failed(
                f"Operation against file '{rule.table}' was aborted by Business Rule {stack}"
            )


def _default_task(change: Change) -> None:
    if change.old is None:
        change.new["opened_at"] = change.new["opened_at"] or change.now
        change.new["opened_by"] = change.new["opened_by"] or change.account.sys_id
        change.new["number"] = change.new["number"] or change.records.next_number(change.table)
        change.new["task_effective_number"] = change.new["number"]


def _sync_state(change: Change) -> None:
    """``state`` leads; ``incident_state`` alone moves both, for the sake of old clients."""
    if change.table == "incident":
        if "incident_state" in change.given and "state" not in change.given:
            change.new["state"] = change.new["incident_state"]
        change.new["incident_state"] = change.new["state"]


def _restrict_closing(change: Change) -> None:
    if (
        change.table == "incident"
        and change.enters(CLOSED)
        and not change.account.roles & {"admin", "itil_admin"}
    ):
        raise operation_failed("ACL Exception Update Failed due to security constraints")


def _compute_priority(change: Change) -> None:
    found = PRIORITIES.get((change.new["impact"], change.new["urgency"]))
    if found is not None:
        change.new["priority"] = found


def _stamp_closing(change: Change) -> None:
    closed = _CLOSED_STATES[change.table]
    is_closed = change.new["state"] in closed
    was_closed = change.old is not None and change.old["state"] in closed
    change.new["active"] = "false" if is_closed else "true"
    if is_closed and not was_closed:
        change.new["closed_at"] = change.new["closed_at"] or change.now
        change.new["closed_by"] = change.new["closed_by"] or change.account.sys_id
    elif was_closed and not is_closed:
        change.new["closed_at"] = change.new["closed_by"] = ""


def _clear_assignee(change: Change) -> None:
    if change.old is None:
        return
    if change.changes("assignment_group") and "assigned_to" not in change.given:
        change.new["assigned_to"] = ""
    if (change.old["assignment_group"] and change.changes("assignment_group")) or (
        change.old["assigned_to"] and change.new["assigned_to"] and change.changes("assigned_to")
    ):
        change.new["reassignment_count"] = str(int(change.old["reassignment_count"] or 0) + 1)


def _fill_group_from_item(change: Change) -> None:
    """Fill an empty group, as the rule "Populate Assignment Group based on CI/SO" does."""
    for name in ("cmdb_ci", "business_service"):
        if change.new["assignment_group"] or not change.new[name]:
            continue
        item = change.records.get("cmdb_ci", change.new[name])
        change.new["assignment_group"] = item["support_group"] if item else ""


def _stamp_resolution(change: Change) -> None:
    if change.enters(RESOLVED):
        change.new["resolved_at"] = change.new["resolved_at"] or change.now
        change.new["resolved_by"] = change.new["resolved_by"] or change.account.sys_id


def _reopen(change: Change) -> None:
    """Count the reopening; the incident must be resolved anew with a code and notes of its own."""
    if (
        change.old is None
        or change.old["state"] != RESOLVED
        or change.new["state"] not in {NEW, IN_PROGRESS, ON_HOLD}
    ):
        return
    change.new["reopen_count"] = str(int(change.old["reopen_count"] or 0) + 1)
    change.new["reopened_by"] = change.account.sys_id
    change.new["reopened_time"] = change.now
    for name in ("resolved_at", "resolved_by", "close_code", "close_notes"):
        change.new[name] = ""


def _leave_hold(change: Change) -> None:
    if change.new["state"] != ON_HOLD:
        change.new["hold_reason"] = ""


_TASK_RULES = (
    _default_task,
    _sync_state,
    _restrict_closing,
    _compute_priority,
    _stamp_closing,
    _fill_group_from_item,
    _clear_assignee,
)
_INCIDENT_RULES = (_stamp_resolution, _reopen, _leave_hold, _sync_state)
