"""The choices that every instance is delivered with: for forms, where nobody may read the instance's own.

Sources: ServiceNow documentation, "Categorizing incidents" (labels) and "Define priority lookup rules"; the
values of categories are those of the base system. Customers change them, so they are never enforced.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from airflow_provider_servicenow_dq.tickets.states import INCIDENT

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Value, label, and the value of the field that it depends on.
BuiltIn = tuple[str, str, str]

_LEVELS: Final = (("1", "1 - High", ""), ("2", "2 - Medium", ""), ("3", "3 - Low", ""))

_OF_TASKS: Final[Mapping[str, tuple[BuiltIn, ...]]] = MappingProxyType(
    {
        "priority": (
            ("1", "1 - Critical", ""),
            ("2", "2 - High", ""),
            ("3", "3 - Moderate", ""),
            ("4", "4 - Low", ""),
            ("5", "5 - Planning", ""),
        ),
        "urgency": _LEVELS,
        "impact": _LEVELS,
    }
)

_OF_INCIDENTS: Final[Mapping[str, tuple[BuiltIn, ...]]] = MappingProxyType(
    {
        "category": (
            ("inquiry", "Inquiry / Help", ""),
            ("software", "Software", ""),
            ("hardware", "Hardware", ""),
            ("network", "Network", ""),
            ("database", "Database", ""),
        ),
        "subcategory": (
            ("antivirus", "Antivirus", "inquiry"),
            ("email", "Email", "inquiry"),
            ("internal application", "Internal Application", "inquiry"),
            ("email", "Email", "software"),
            ("os", "Operating System", "software"),
            ("cpu", "CPU", "hardware"),
            ("disk", "Disk", "hardware"),
            ("keyboard", "Keyboard", "hardware"),
            ("memory", "Memory", "hardware"),
            ("monitor", "Monitor", "hardware"),
            ("mouse", "Mouse", "hardware"),
            ("dhcp", "DHCP", "network"),
            ("dns", "DNS", "network"),
            ("ip address", "IP Address", "network"),
            ("vpn", "VPN", "network"),
            ("wireless", "Wireless", "network"),
            ("db2", "DB2", "database"),
            ("oracle", "Oracle", "database"),
            ("sql server", "MS SQL Server", "database"),
        ),
    }
)


def built_in(table: str, field: str) -> tuple[BuiltIn, ...]:
    """Return the choices of the base system for a field; none where it has none for that table."""
    own = _OF_INCIDENTS.get(field, ()) if table == INCIDENT else ()
    return own or _OF_TASKS.get(field, ())
