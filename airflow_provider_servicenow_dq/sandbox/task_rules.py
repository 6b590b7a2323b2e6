"""The business rules and policies of task tables, as an unmodified instance has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_servicenow_dq.sandbox import problem_rules
from airflow_provider_servicenow_dq.sandbox.customising import priorities
from airflow_provider_servicenow_dq.sandbox.rules import (
    CLOSED,
    IN_PROGRESS,
    LOCKED_STATES,
    NEW,
    ON_HOLD,
    RESOLVED,
    Change,
    operation_failed,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_provider_servicenow_dq.sandbox.records import Row

_AWAITING_CALLER = "1"
_CLOSED_STATES: Mapping[str, frozenset[str]] = {
    "incident": LOCKED_STATES,
    "problem": frozenset({problem_rules.CLOSED}),
    "change_request": frozenset({"3", "4"}),
    "sn_si_incident": frozenset({"3", "7"}),
    "task": frozenset({"3", "4", "7"}),
}
#: What children do that their parent incident does; they are not closed with it.
_FOLLOWED = frozenset({IN_PROGRESS, ON_HOLD, RESOLVED})
_CLOSERS = frozenset({"admin", "itil_admin"})


def run_business_rules(change: Change) -> None:
    """Run the rules that fill columns, in their order.

    :raises RefusedError: The state may not be entered.
    """
    if "task" not in change.schema.lineage:
        return
    for rule in _TASK_RULES:
        rule(change)
    for rule in _RULES_OF.get(change.table, ()):
        rule(change)


def mandatory_columns(change: Change) -> list[str]:
    """Return the columns that the platform's own data policies want."""
    if change.table == "problem":
        return problem_rules.mandatory_columns(change)
    resolves = change.table == "incident" and change.new["state"] in {RESOLVED, CLOSED}
    return ["close_code", "close_notes"] if resolves and change.switches.resolution_mandatory else []


def children_of(change: Change) -> Iterator[tuple[Row, dict[str, str]]]:
    """Yield the child incidents that follow their parent into its state, and what is written to each."""
    state = change.new["state"] if change.table == "incident" else ""
    if state not in _FOLLOWED or not change.enters(state):
        return
    names = ("hold_reason", "close_code", "close_notes") if state != IN_PROGRESS else ()
    values = {"state": state, **{name: change.new[name] for name in names if change.new[name]}}
    for row in change.records.rows("incident"):
        if row["parent_incident"] == change.new["sys_id"] and row["state"] not in {RESOLVED, *LOCKED_STATES}:
            yield row, values


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
    if change.table == "incident" and change.enters(CLOSED) and not change.account.roles & _CLOSERS:
        raise operation_failed("ACL Exception Update Failed due to security constraints")


def _compute_priority(change: Change) -> None:
    if change.switches.priority_lookup == "on_change" and change.old is not None:
        changes = change.changes("impact") or change.changes("urgency")
    else:
        changes = True
    found = priorities(change.switches.matrix).get((change.new["impact"], change.new["urgency"]))
    if found is not None and changes:
        change.new["priority"] = found


def _stamp_closing(change: Change) -> None:
    closed = next(_CLOSED_STATES[name] for name in change.schema.lineage if name in _CLOSED_STATES)
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


def _wake_by_caller(change: Change) -> None:
    """Go on with what was waiting for its caller when the caller comments."""
    if (
        change.old is not None
        and change.old["state"] == ON_HOLD
        and change.new["hold_reason"] == _AWAITING_CALLER
        and "comments" in change.journal
        and change.account.sys_id == change.new["caller_id"]
        and not change.changes("state")
    ):
        change.new["state"] = IN_PROGRESS


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
_RULES_OF = {
    "incident": (_stamp_resolution, _reopen, _wake_by_caller, _leave_hold, _sync_state),
    "problem": (problem_rules.keep_order, problem_rules.sync_state),
}
