"""What names a table and a record; both become part of an address, so nothing else may be in them."""

from __future__ import annotations

import re
from typing import Final

from airflow_provider_servicenow_dq.exceptions import ServiceNowConfigError

#: sys_ids in one query: a hundred keep the URL below 8 KB, where servers begin to refuse it.
IDS_AT_ONCE: Final = 100

_TABLE: Final = re.compile(r"[a-z0-9_]+")
_SYS_ID: Final = re.compile(r"[0-9a-f]{32}")


def is_sys_id(text: str) -> bool:
    """Whether the text is a sys_id: 32 characters of 0-9 and a-f."""
    return _SYS_ID.fullmatch(text) is not None


def checked_sys_id(text: str) -> str:
    """Return the sys_id.

    :raises ServiceNowConfigError: If it is none.
    """
    if not is_sys_id(text):
        raise ServiceNowConfigError(f"{text!r} is no sys_id: it has 32 characters of 0-9 and a-f")
    return text


def checked_table(table: str) -> str:
    """Return the name of a table.

    :raises ServiceNowConfigError: If it is none.
    """
    if not _TABLE.fullmatch(table):
        raise ServiceNowConfigError(f"{table!r} is no table name: only a-z, 0-9 and _ are allowed")
    return table
