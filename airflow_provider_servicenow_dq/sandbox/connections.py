"""A sandbox as an Airflow connection, in the two forms that the environment may have it in."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

if TYPE_CHECKING:
    from airflow_provider_servicenow_dq.sandbox.data import SeedUser


def connection_json(url: str, user: SeedUser, extra: dict[str, Any]) -> str:
    """Return the JSON of a connection."""
    return json.dumps(
        {
            "conn_type": "servicenow",
            "host": url,
            "login": user.user_name,
            "password": user.password,
            "extra": extra,
        }
    )


def connection_uri(url: str, user: SeedUser, extra: dict[str, Any]) -> str:
    """Return the URI of a connection."""
    login, password, host = (quote(text, safe="") for text in (user.user_name, user.password, url))
    query = "?" + urlencode({"__extra__": json.dumps(extra)}) if extra else ""
    return f"servicenow://{login}:{password}@{host}/{query}"
