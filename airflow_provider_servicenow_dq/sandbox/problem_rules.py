"""The states of a problem, which are gone through in order.

Observed by the authors of the ``servicenow.itsm`` collection (its issues 27 and 448); the vendor's pages name
the states only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_servicenow_dq.sandbox.rules import aborted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_servicenow_dq.sandbox.rules import Change

NEW, ASSESS, ANALYSIS, FIXING, RESOLVED, CLOSED = "101", "102", "103", "104", "106", "107"

_NEXT: Mapping[str, frozenset[str]] = {
    NEW: frozenset({ASSESS}),
    ASSESS: frozenset({ANALYSIS}),
    ANALYSIS: frozenset({FIXING}),
    FIXING: frozenset({ANALYSIS, RESOLVED}),
    RESOLVED: frozenset({ANALYSIS, CLOSED}),
    CLOSED: frozenset({ANALYSIS}),
}
#: Resolution codes that end a problem from any open state.
_SHORT_CUTS = {"risk_accepted": {RESOLVED, CLOSED}, "canceled": {CLOSED}, "duplicate": {CLOSED}}
_WANTED: Mapping[str, tuple[str, ...]] = {
    ASSESS: ("assigned_to",),
    ANALYSIS: ("assigned_to",),
    FIXING: ("assigned_to", "cause_notes", "fix_notes"),
    RESOLVED: ("assigned_to", "resolution_code"),
    CLOSED: ("assigned_to", "resolution_code"),
}


def keep_order(change: Change) -> None:
    """Let a problem go on to a next state only.

    :raises RefusedError: It is not one.
    """
    if change.switches.problem_transitions == "free":
        return
    before = change.old["state"] if change.old else NEW
    after = change.new["state"]
    short_cuts = _SHORT_CUTS.get(change.new["resolution_code"], set())
    if after not in {before, *_NEXT.get(before, ()), *short_cuts}:
        raise aborted("problem", "Problem state transitions", f"{before} to {after}")


def sync_state(change: Change) -> None:
    """Keep the older ``problem_state`` equal to ``state``."""
    change.new["problem_state"] = change.new["state"]


def mandatory_columns(change: Change) -> list[str]:
    """Return what the state of a problem wants."""
    if change.switches.problem_transitions == "free":
        return []
    return list(_WANTED.get(change.new["state"], ()))
