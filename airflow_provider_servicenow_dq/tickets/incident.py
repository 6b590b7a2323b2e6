"""What an incident is: its states, its priority matrix and the lengths of its columns.

Sources: the seed's state table; ServiceNow documentation, "Define priority lookup rules" (impact x urgency
gives priority) and the base dictionary of ``task``. An instance may customise all of it, so nothing here is
enforced: these are the values to ask for, and what comes back is what is reported.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from airflow_provider_servicenow_dq.exceptions import ServiceNowConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

NEW: Final = "1"
IN_PROGRESS: Final = "2"
ON_HOLD: Final = "3"
RESOLVED: Final = "6"
CLOSED: Final = "7"
CANCELED: Final = "8"

#: State code to label, as the seed prints them.
STATE_LABELS: Final[Mapping[str, str]] = MappingProxyType(
    {
        NEW: "New",
        IN_PROGRESS: "In Progress",
        ON_HOLD: "On Hold",
        RESOLVED: "Resolved",
        CLOSED: "Closed",
        CANCELED: "Canceled",
    }
)

#: Nobody works on it any more and it cannot be reopened. A state we do not know counts as open.
ENDED: Final = frozenset({CLOSED, CANCELED})

#: Priority wish to the (impact, urgency) that the 3 x 3 matrix turns into it.
PRIORITY_PAIRS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {"1": ("1", "1"), "2": ("1", "2"), "3": ("2", "2"), "4": ("2", "3"), "5": ("3", "3")}
)

#: Anomaly severity to (impact, urgency).
SEVERITY_PAIRS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {"critical": ("1", "1"), "high": ("1", "2"), "medium": ("2", "2"), "low": ("2", "3"), "info": ("3", "3")}
)

#: Columns that the database holds as varchar: longer text is cut by the instance without a word.
#: ``description`` and the journals are wider in the database; 4000 is what the forms take.
COLUMN_LENGTHS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "short_description": 160,
        "description": 4000,
        "work_notes": 4000,
        "comments": 4000,
        "close_notes": 4000,
        "correlation_id": 100,
        "correlation_display": 100,
    }
)


def is_worked_on(state: str) -> bool:
    """Whether somebody still has to work on a ticket in this state."""
    return state not in ENDED and state != RESOLVED


def state_label(code: str) -> str:
    """Return the label of a state; a customised state is shown as its code."""
    return STATE_LABELS.get(code, code)


def parse_state(state: str) -> str | None:
    """Return the code of an incident's state for its code or its label in any case; None for anything else.

    Codes of states that an instance has added are codes as well.
    """
    name = state.strip().casefold().replace("_", " ").replace("cancelled", "canceled")
    by_label = {label.casefold(): code for code, label in STATE_LABELS.items()}
    return by_label.get(name) or (name if re.fullmatch(r"-?[0-9]{1,5}", name) else None)


def parse_priority(wish: str | int) -> str:
    """Return ``"1"`` to ``"5"`` for a wish such as ``3``, ``"3"`` or ``"P3"``.

    :raises ServiceNowConfigError: If it is none of these.
    """
    text = str(wish).strip().upper().removeprefix("P")
    if text not in PRIORITY_PAIRS:
        raise ServiceNowConfigError(f"priority must be 1 to 5 or P1 to P5, not {wish!r}")
    return text


#: What a solved problem is called, the best name first; instances have the choices of one release or both.
_SOLVED: Final = (
    r"solution provided",
    r"(?<!not )solved.*permanent",
    r"(?<!not )(re)?solved|fixed|workaround",
)
_NOT_OURS: Final = re.compile(r"not solved|no resolution|caller|request|change|problem", re.IGNORECASE)


def choose_close_code(values: Iterable[str]) -> str | None:
    """Return the choice of ``close_code`` that says that a problem is gone; None if there is none.

    :param values: The instance's own choices, in its order.
    """
    listed = list(values)
    for pattern in _SOLVED:
        for value in listed:
            if re.search(pattern, value, re.IGNORECASE) and not _NOT_OURS.search(value):
                return value
    return None
