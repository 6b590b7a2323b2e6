"""What is in the instance when it starts: people, groups and configuration items.

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


def sys_id_of(*parts: str) -> str:
    """Return a sys_id that is the same in every run."""
    return hashlib.sha256("/".join(parts).encode()).hexdigest()[:32]


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
