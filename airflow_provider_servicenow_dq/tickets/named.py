"""How people name a ticket: by its number, its sys_id, or an address copied from a browser."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from airflow_provider_servicenow_dq.client.ids import is_sys_id
from airflow_provider_servicenow_dq.exceptions import ServiceNowConfigError

#: Of any table: a prefix that its numbers have, and digits; instances may choose both.
_NUMBER: Final = re.compile(r"[A-Z][A-Z0-9_-]{0,24}[0-9]{2,15}", re.IGNORECASE)

#: An address within an address is encoded once more for each.
_MOST_TIMES_ENCODED: Final = 4

#: Browsers and instances take no longer addresses.
_LONGEST: Final = 8192

_USUAL_PORTS: Final = {"http": 80, "https": 443}

_TABLE: Final = r"(?P<table>[a-z0-9_]+)"
_SYS_ID: Final = r"(?P<sys_id>[0-9a-f]{32})(?![0-9a-z])"

#: Where an address names its record, once nothing in it is encoded any more. No part of one of these reaches
#: over a question mark: ``nav_to.do?uri=incident.do?sys_id=…`` is about an incident.
_PLACES: Final = (
    # Forms: incident.do?sys_id=…, also within nav_to.do?uri=… and /now/nav/ui/classic/params/target/…
    re.compile(rf"(?:^|[/=]){_TABLE}\.do\?(?:[^?#]*&)?sys_id={_SYS_ID}"),
    # Workspaces, /now/sow/record/incident/…, the REST API, /api/now/v2/table/incident/…, and the mobile
    # web's $m.do#/form/incident/…
    re.compile(rf"/(?:record|table|form)/{_TABLE}/{_SYS_ID}"),
    # Portals, /sp?id=ticket&table=incident&sys_id=…
    re.compile(rf"[?&]table={_TABLE}&(?:[^?#]*&)?sys_id={_SYS_ID}"),
    re.compile(rf"[?&]sys_id={_SYS_ID}&(?:[^?#]*&)?table={_TABLE}"),
)
_BY_NUMBER: Final = re.compile(
    rf"(?:^|[/=]){_TABLE}\.do\?(?:[^?#]*&)?sysparm_query=number=(?P<number>[^&^#]+)"
)


@dataclass(frozen=True, slots=True)
class Named:
    """A ticket as somebody has named it: by ``sys_id`` or by ``number``, the other one is empty.

    :param table: Empty where the name does not tell.
    """

    sys_id: str = ""
    number: str = ""
    table: str = ""


def is_number(text: str) -> bool:
    """Whether a text looks like the number of a ticket, in any case."""
    return _NUMBER.fullmatch(text) is not None


def read_name(text: str, *, host: str) -> Named:
    """Return which ticket a number, a sys_id or the address of a record means.

    :param text: As somebody has typed or pasted it.
    :param host: Of the instance, as :attr:`InstanceConfig.host` has it.
    :raises ServiceNowConfigError: If it is none of these, or the address of another instance.
    """
    name = text.strip().removeprefix("<").removesuffix(">").strip()
    if is_sys_id(name.lower()):
        return Named(sys_id=name.lower())
    if _NUMBER.fullmatch(name):
        return Named(number=name.upper())
    parts = _address(name)
    if parts is None:
        raise ServiceNowConfigError(
            f"{name[:200]!r} names no ticket: give its number (INC0010001), its sys_id (32 characters of 0-9 "
            "and a-f), or the address of its record on the instance"
        )
    if parts.netloc and _host_of(parts) != host.lower():
        raise ServiceNowConfigError(
            f"That is a ticket of another instance: the address leads to {_host_of(parts)}, the connection "
            f"to {host}"
        )
    return _record_of(parts)


def _address(name: str) -> SplitResult | None:
    """Return the parts of an address, also of one without a scheme or a host; None if it is none."""
    if len(name) > _LONGEST or re.search(r"\s", name) or not re.search(r"[/?]", name):
        return None
    begins_with_host = re.match(r"(?![a-z0-9_]+\.do\?)[^/?]+[.:][^/?]*/", name) and "://" not in name
    try:
        parts = urlsplit(f"https://{name}" if begins_with_host else name)
        _ = parts.port
    except ValueError:
        return None
    return parts if parts.scheme in {"", *_USUAL_PORTS} else None


def _host_of(parts: SplitResult) -> str:
    """Return the host, and the port if it is unusual; a user or password in the address is left out."""
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return host if parts.port in {None, _USUAL_PORTS.get(parts.scheme)} else f"{host}:{parts.port}"


def _record_of(parts: SplitResult) -> Named:
    place = parts._replace(scheme="", netloc="").geturl()
    for _ in range(_MOST_TIMES_ENCODED):
        for pattern in _PLACES:
            if found := pattern.search(place):
                return Named(sys_id=found["sys_id"], table=found["table"])
        found = _BY_NUMBER.search(place)
        if found and _NUMBER.fullmatch(found["number"]):
            return Named(number=found["number"].upper(), table=found["table"].removesuffix("_list"))
        place = unquote(place)
    raise ServiceNowConfigError(
        "The address names no record: open the ticket itself, and copy the address from there"
    )
