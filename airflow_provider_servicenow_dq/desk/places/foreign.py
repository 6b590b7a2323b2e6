"""Tickets that are not ours: they are known by their own sys_id instead of a correlation id of ours."""

from __future__ import annotations

import re
from typing import Final

from airflow_provider_servicenow_dq.store.outbox import Address

#: How our correlation ids look: of one anomaly, or of a ticket that holds many.
CORRELATION_ID: Final = re.compile(r"dq:[a-z0-9_.]{1,40}:[0-9a-f]{32}")

_PREFIX: Final = "sys_id:"


def foreign_address(instance: str, table: str, sys_id: str) -> Address:
    """Return where a ticket is claimed that somebody else has opened."""
    return Address(instance, table, _PREFIX + sys_id)


def foreign_sys_id(address: Address) -> str:
    """Return the sys_id of the ticket at an address that is not ours; empty if it is ours."""
    correlation = address.correlation_id
    return correlation.removeprefix(_PREFIX) if correlation.startswith(_PREFIX) else ""


def is_foreign(address: Address) -> bool:
    """Whether somebody else has opened the ticket at an address."""
    return bool(foreign_sys_id(address))
