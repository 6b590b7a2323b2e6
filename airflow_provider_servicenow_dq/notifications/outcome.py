"""Whether a callback is about a failure or a success: Airflow says so in different ways."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_SUCCESS: Final = "success"
#: States of a task instance of which nothing follows.
_NEITHER: Final = frozenset({"skipped", "running", "queued", "scheduled", "deferred", "up_for_reschedule"})


class Outcome(Enum):
    """How something ended."""

    FAILURE = "failure"
    SUCCESS = "success"
    NEITHER = "neither"


def outcome_of(context: Mapping[str, Any]) -> Outcome:
    """Return how what a callback is about ended.

    The context of a DAG's callback has a ``reason``, that of a failed task an ``exception``. A task that its
    worker could not call back for has neither, and no state: Airflow's DAG processor calls for failures only.
    """
    if is_of_dag_run(context):
        return Outcome.SUCCESS if context["reason"] == _SUCCESS else Outcome.FAILURE
    if context.get("exception") is not None:
        return Outcome.FAILURE
    state = state_of(context.get("ti"))
    if state == _SUCCESS:
        return Outcome.SUCCESS
    return Outcome.NEITHER if state in _NEITHER else Outcome.FAILURE


def is_of_dag_run(context: Mapping[str, Any]) -> bool:
    """Whether this is the context of a DAG's own callback."""
    return "reason" in context


def state_of(ti: Any) -> str:
    """Return the state of a task instance; nothing where it has none."""
    state = getattr(ti, "state", None)
    return str(getattr(state, "value", state) or "")
