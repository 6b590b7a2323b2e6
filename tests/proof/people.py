"""What people do to tickets on the instance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import requests

if TYPE_CHECKING:
    from airflow_provider_servicenow_dq.sandbox.control import SandboxControl

_DONE: Final = {"close_code": "Solution provided", "close_notes": "done"}
_DEEDS: Final[dict[str, tuple[str, dict[str, str]]]] = {
    "assign": ("beth.anglin", {"assigned_to": "46d44a23a9fe19810012d100cca80666"}),
    "work": ("beth.anglin", {"state": "2"}),
    "hold": ("beth.anglin", {"state": "3", "hold_reason": "1"}),
    "note": ("beth.anglin", {"work_notes": "I am looking into it"}),
    "comment": ("beth.anglin", {"comments": "Comment from Custom: rows missing"}),
    "resolve": ("beth.anglin", {"state": "6", **_DONE}),
    "close": ("admin", {"state": "7", **_DONE}),
    "duplicate": ("admin", {"state": "7", "close_code": "Duplicate", "close_notes": "known"}),
    "cancel": ("admin", {"state": "8"}),
}


def deed(control: SandboxControl, act: str, incident: dict[str, str]) -> tuple[str, dict[str, str]]:
    """Return who does it, and the columns that change."""
    if act == "edit":
        return "beth.anglin", {"short_description": f"{incident['short_description']} (edited)"}
    if act == "copy":
        texts = control.notes(incident["sys_id"])
        return "beth.anglin", {"work_notes": texts[-1] if texts else "nothing yet"}
    return _DEEDS[act]


def incidents(control: SandboxControl) -> list[dict[str, str]]:
    """Return the incidents that we opened."""
    return [row for row in control.records("incident") if row["correlation_id"].startswith("dq:")]


def by_number(control: SandboxControl, number: str) -> list[dict[str, str]]:
    """Return the incident of a number, if it is there."""
    return [row for row in control.records("incident") if row["number"] == number]


def opened_by_a_person(control: SandboxControl) -> str:
    """Let a person open a ticket; return its number."""
    answer = requests.post(
        f"{control.url}/api/now/table/incident",
        json={"short_description": "Flights look wrong"},
        auth=("admin", "admin"),
        timeout=30,
    )
    answer.raise_for_status()
    return str(answer.json()["result"]["number"])
