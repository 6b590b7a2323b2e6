"""What is in the instance when it starts: people, groups, configuration items and choice lists.

People and ids are those of the vendor's demo data where it has them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

Seed = tuple[str, dict[str, str]]


@dataclass(frozen=True, slots=True)
class SeedUser:
    """Somebody who can act; an empty password means that nobody can log in as them.

    :param time_zone: Such as ``Asia/Tokyo``; empty: that of the instance.
    :param date_format: Such as ``dd/MM/yyyy``; empty: that of the instance.
    """

    user_name: str
    name: str
    password: str = ""
    roles: tuple[str, ...] = ()
    sys_id: str = ""
    active: bool = True
    time_zone: str = ""
    date_format: str = ""


USERS = (
    SeedUser("svc_airflow", "Airflow Service", "airflow-secret", ("itil",)),
    SeedUser("admin", "System Administrator", "admin", ("admin",), "6816f79cc0a8016401c5a33be04be441"),
    SeedUser("readonly", "Read Only", "readonly", ("snc_read_only",)),
    SeedUser("beth.anglin", "Beth Anglin", "", ("itil", "itil_admin"), "46d44a23a9fe19810012d100cca80666"),
    SeedUser("fred.luddy", "Fred Luddy", "", ("itil",), "5137153cc611227c000bbd1bd8cd2005"),
    SeedUser("david.loo", "David Loo", "", ("itil",), "5137153cc611227c000bbd1bd8cd2007"),
    SeedUser("abel.tuter", "Abel Tuter", "", (), "62826bf03710200044e0bfc8bcbe5df1"),
    SeedUser("alex.morgan", "Alex Morgan", "", ("itil",)),
    SeedUser("alex.morgan2", "Alex Morgan", "", ("itil",)),
    SeedUser("charlie.whitherspoon", "Charlie Whitherspoon", "gone", ("itil",), active=False),
)

#: Client id, secret and the user as whom the client acts.
OAUTH_CLIENTS = (("sandbox-client", "sandbox-secret", "svc_airflow"),)
#: API key and the user as whom it acts.
API_KEYS = (("sandbox-api-key", "svc_airflow"),)

_GROUPS = (
    ("Service Desk", "d625dccec0a8016700a222a0f7900d06", "true"),
    ("Database", "287ee6fea9fe198100ada7950d0b1b73", "true"),
    ("Network", "287ebd7da9fe198100f92cc8d1d2154e", "true"),
    ("Software", "8a4dde73c6112278017a6a4baf547aa7", "true"),
    ("Data Engineering", "", "true"),
    ("Data Quality", "", "true"),
    ("Analytics Support", "", "true"),
    ("Analytics Support", "0a52d3dcd7011200f2d224837e6103f2", "true"),
    ("Legacy Warehouse", "", "false"),
    ("Platform Owners", "", "true"),
)
#: Roles that a group gives its members; groups with admin are seen by admin only.
_GROUP_ROLES = {"Platform Owners": "admin"}

_MEMBERS = (
    ("beth.anglin", "Data Engineering"),
    ("beth.anglin", "Data Quality"),
    ("fred.luddy", "Database"),
    ("david.loo", "Network"),
    ("svc_airflow", "Data Quality"),
)

_ITEMS = (
    ("cmdb_ci_service", "Data Warehouse", "Data Engineering"),
    ("cmdb_ci_service", "Flight Operations", ""),
    ("cmdb_ci_server", "dw-prod-01", "Database"),
    ("cmdb_ci_server", "dw-test-01", ""),
    ("cmdb_ci", "nyc.flights", "Data Engineering"),
)

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


def sys_id_of(*parts: str) -> str:
    """Return a sys_id that is the same in every run."""
    return hashlib.sha256("/".join(parts).encode()).hexdigest()[:32]


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


def user_record(user: SeedUser) -> Seed:
    """Return the ``sys_user`` record of somebody."""
    first, _, last = user.name.partition(" ")
    return "sys_user", {
        "sys_id": user.sys_id or sys_id_of("user", user.user_name),
        "user_name": user.user_name,
        "name": user.name,
        "first_name": first,
        "last_name": last,
        "email": f"{user.user_name}@example.com",
        "active": "true" if user.active else "false",
        "time_zone": user.time_zone,
        "date_format": user.date_format,
    }


def organisation() -> Iterator[Seed]:
    """Yield groups, their members and the configuration items; users are added by the instance."""
    users = {user.user_name: user_record(user)[1]["sys_id"] for user in USERS}
    groups: dict[str, str] = {}
    for name, known_id, active in _GROUPS:
        sys_id = known_id or sys_id_of("group", name)
        groups.setdefault(name, sys_id)
        yield (
            "sys_user_group",
            {
                "sys_id": sys_id,
                "name": name,
                "active": active,
                "roles": _GROUP_ROLES.get(name, ""),
            },
        )
    for user_name, group in _MEMBERS:
        sys_id = sys_id_of("member", user_name, group)
        yield "sys_user_grmember", {"sys_id": sys_id, "user": users[user_name], "group": groups[group]}
    for table, name, group in _ITEMS:
        support = groups[group] if group else ""
        yield table, {"sys_id": sys_id_of(table, name), "name": name, "support_group": support}
