"""What is wrong with a connection, in words."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_provider_servicenow_dq.client.table import TableApi
from airflow_provider_servicenow_dq.client.transport import Transport
from airflow_provider_servicenow_dq.exceptions import (
    AuthenticationError,
    ForbiddenError,
    RefusedError,
    ServiceNowError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_servicenow_dq.client.config import InstanceConfig

#: Somebody waits in front of a button.
_TIMEOUT_S = 10.0


def check_connection(
    config: InstanceConfig, *, on_secret: Callable[[str], None] = lambda _: None
) -> tuple[bool, str]:
    """Read one incident, once, and say how that went. Never raises; shows no secret.

    :returns: Whether it works, and a sentence.
    """
    quick = replace(config, timeout_s=min(config.timeout_s, _TIMEOUT_S))
    try:
        with Transport(quick, on_secret=on_secret, patience_s=0) as transport:
            return _read_one_incident(TableApi(transport), config)
    except ServiceNowError as error:
        return False, _in_words(error, config)
    except Exception as error:  # noqa: BLE001  # a button must get an answer, whatever the libraries raise
        return False, f"The check itself failed ({type(error).__name__})"


def _read_one_incident(table_api: TableApi, config: InstanceConfig) -> tuple[bool, str]:
    seen = table_api.first_page("incident", {}, fields=("sys_id",), limit=1)
    who = config.login or config.client_id or "the key's account"
    if not seen and table_api.count("incident", {}):
        # Access rules take rows away after they were counted.
        return False, f"{config.host} knows {who}, who may not read incidents: the role itil is missing"
    return True, f"Connected to {config.host} as {who}: incidents can be read"


def _in_words(error: ServiceNowError, config: InstanceConfig) -> str:
    if isinstance(error, AuthenticationError) and config.auth_type.startswith("oauth_"):
        return f"{error.message}. {error.detail}"
    if isinstance(error, AuthenticationError):
        secret = {"basic": "login or password", "api_key": "API key"}.get(config.auth_type, "token")
        return f"{config.host} refuses the {secret}, or the account is locked ({error.message})"
    if isinstance(error, ForbiddenError):
        reason = f"{error.message}: {error.detail}"
        return f"Logged in, but incidents may not be read: the role itil is missing ({reason})"
    if isinstance(error, RefusedError):
        return f"{config.host} is reached, but refuses to read incidents ({error})"
    return str(error)
