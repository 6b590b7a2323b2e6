"""Choice lists of the instance when it starts, as the base system has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_servicenow_dq.sandbox.data import Seed, sys_id_of

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Resolution codes before and since the plugin "Incident Management Best Practice - San Diego".
CLOSE_CODES = {
    "old": (
        "Solved (Work Around)",
        "Solved (Permanently)",
        "Solved Remotely (Work Around)",
        "Solved Remotely (Permanently)",
        "Not Solved (Not Reproducible)",
        "Not Solved (Too Costly)",
        "Closed/Resolved by Caller",
    ),
    "new": (
        "Duplicate",
        "Known error",
        "No resolution provided",
        "Resolved by caller",
        "Resolved by change",
        "Resolved by problem",
        "Resolved by request",
        "Solution provided",
        "Workaround provided",
        "User error",
    ),
}
CLOSE_CODES["both"] = CLOSE_CODES["old"] + CLOSE_CODES["new"]

_THREE_LEVELS = (("1", "1 - High"), ("2", "2 - Medium"), ("3", "3 - Low"))

_INCIDENT_STATES = (
    ("1", "New"),
    ("2", "In Progress"),
    ("3", "On Hold"),
    ("6", "Resolved"),
    ("7", "Closed"),
    ("8", "Canceled"),
)

_PROBLEM_STATES = (
    ("101", "New"),
    ("102", "Assess"),
    ("103", "Root Cause Analysis"),
    ("104", "Fix in Progress"),
    ("106", "Resolved"),
    ("107", "Closed"),
)

_CHOICES: dict[tuple[str, str], tuple[tuple[str, str], ...]] = {
    ("task", "impact"): _THREE_LEVELS,
    ("task", "urgency"): _THREE_LEVELS,
    ("task", "priority"): (
        ("1", "1 - Critical"),
        ("2", "2 - High"),
        ("3", "3 - Moderate"),
        ("4", "4 - Low"),
        ("5", "5 - Planning"),
    ),
    ("task", "state"): (
        ("-5", "Pending"),
        ("1", "Open"),
        ("2", "Work in Progress"),
        ("3", "Closed Complete"),
        ("4", "Closed Incomplete"),
        ("7", "Closed Skipped"),
    ),
    ("task", "contact_type"): (
        ("chat", "Chat"),
        ("email", "Email"),
        ("phone", "Phone"),
        ("monitoring", "Monitoring"),
        ("self-service", "Self-service"),
        ("virtual_agent", "Virtual agent"),
        ("walk-in", "Walk-in"),
    ),
    ("task", "approval"): (
        ("not requested", "Not Yet Requested"),
        ("requested", "Requested"),
        ("approved", "Approved"),
        ("rejected", "Rejected"),
    ),
    ("task", "upon_approval"): (
        ("proceed", "Proceed to Next Task"),
        ("do_nothing", "Wait for a User to Close this task"),
    ),
    ("task", "upon_reject"): (("cancel", "Cancel all future Tasks"), ("goto", "Go to a previous Task")),
    ("task", "escalation"): (("0", "Normal"), ("1", "Moderate"), ("2", "High"), ("3", "Overdue")),
    ("incident", "state"): _INCIDENT_STATES,
    ("incident", "incident_state"): _INCIDENT_STATES,
    ("incident", "severity"): _THREE_LEVELS,
    ("incident", "notify"): (("1", "Do Not Notify"), ("2", "Send Email"), ("3", "Phone")),
    ("incident", "hold_reason"): (
        ("1", "Awaiting Caller"),
        ("3", "Awaiting Problem"),
        ("4", "Awaiting Vendor"),
        ("5", "Awaiting Change"),
    ),
    ("incident", "category"): (
        ("inquiry", "Inquiry / Help"),
        ("software", "Software"),
        ("hardware", "Hardware"),
        ("network", "Network"),
        ("database", "Database"),
    ),
    ("problem", "state"): _PROBLEM_STATES,
    ("problem", "problem_state"): _PROBLEM_STATES,
    ("problem", "resolution_code"): (
        ("fix_applied", "Fix Applied"),
        ("risk_accepted", "Risk Accepted"),
        ("duplicate", "Duplicate"),
        ("canceled", "Canceled"),
    ),
    ("sn_si_incident", "state"): (
        ("10", "Draft"),
        ("16", "Analysis"),
        ("18", "Contain"),
        ("19", "Eradicate"),
        ("20", "Recover"),
        ("100", "Review"),
        ("3", "Closed"),
        ("7", "Cancelled"),
    ),
    ("sn_si_incident", "severity"): _THREE_LEVELS,
    ("sn_si_incident", "business_criticality"): (
        ("1", "1 - Critical"),
        ("2", "2 - High"),
        ("3", "3 - Non-critical"),
    ),
    ("change_request", "state"): (
        ("-5", "New"),
        ("-4", "Assess"),
        ("-3", "Authorize"),
        ("-2", "Scheduled"),
        ("-1", "Implement"),
        ("0", "Review"),
        ("3", "Closed"),
        ("4", "Canceled"),
    ),
    ("change_request", "type"): (("normal", "Normal"), ("standard", "Standard"), ("emergency", "Emergency")),
    ("change_request", "risk"): (("1", "Very High"), ("2", "High"), ("3", "Moderate"), ("4", "Low")),
}

_SUBCATEGORIES = {
    "inquiry": (
        ("antivirus", "Antivirus"),
        ("email", "Email"),
        ("internal application", "Internal Application"),
    ),
    "software": (("email", "Email"), ("os", "Operating System")),
    "hardware": tuple(
        (part.lower(), part) for part in ("CPU", "Disk", "Keyboard", "Memory", "Monitor", "Mouse")
    ),
    "network": (
        ("dhcp", "DHCP"),
        ("dns", "DNS"),
        ("ip address", "IP Address"),
        ("vpn", "VPN"),
        ("wireless", "Wireless"),
    ),
    "database": (("db2", "DB2"), ("sql server", "MS SQL Server"), ("oracle", "Oracle")),
}


def choice_record(
    table: str, element: str, value: str, label: str, sequence: int, dependent: str = ""
) -> Seed:
    """Return the ``sys_choice`` record of one choice.

    :param dependent: The value that the column it depends on must have, such as the category.
    """
    return "sys_choice", {
        "sys_id": sys_id_of("choice", table, element, dependent, value),
        "name": table,
        "element": element,
        "value": value,
        "label": label,
        "sequence": str(sequence),
        "dependent_value": dependent,
    }


def close_codes(which: str) -> Iterator[Seed]:
    """Yield the resolution codes of one generation of instances.

    :param which: ``old``, ``new`` or ``both``.
    """
    for sequence, code in enumerate(CLOSE_CODES[which], start=1):
        yield choice_record("incident", "close_code", code, code, sequence)


def choices() -> Iterator[Seed]:
    """Yield every other choice."""
    for (table, element), pairs in _CHOICES.items():
        for sequence, (value, label) in enumerate(pairs, start=1):
            yield choice_record(table, element, value, label, sequence)
    for category, pairs in _SUBCATEGORIES.items():
        for sequence, (value, label) in enumerate(pairs, start=1):
            yield choice_record("incident", "subcategory", value, label, sequence, category)
