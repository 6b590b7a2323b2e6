"""What is wrong with a connection, in words."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_provider_servicenow_dq.client.table import TableApi
from airflow_provider_servicenow_dq.client.transport import Transport
from airflow_provider_servicenow_dq.exceptions import (
    AuthenticationError,
    ConnectionBrokenError,
    ForbiddenError,
    RefusedError,
    SecondFactorError,
    ServiceNowError,
    TokenRefusedError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_servicenow_dq.client.config import InstanceConfig

#: Somebody waits in front of a button.
_TIMEOUT_S = 10.0

#: What an instance refuses, by words of its own answer, and what to do about it.
_FORBIDDEN = {
    "unscoped api": (
        "the OAuth client is securely scoped, which is no matter of roles: choose 'Broadly scoped' in its "
        "record, or give it a scope for the Table API and name that in the extra scope"
    ),
    "api level acl": "the role snc_platform_rest_api_access, which itil contains, is missing",
    "insufficient rights": "the role itil is missing, or an access rule (ACL) of incident hides a field",
}
_ROLE_MISSING = "the role itil is missing, or an access rule (ACL) of incident says no"


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
    if not seen and table_api.count("incident", {}):
        # Access rules take rows away after they were counted.
        return False, f"{config.host} knows {_who(config)}, who may not read incidents: {_ROLE_MISSING}"
    return True, f"Connected to {config.host} as {_who(config)}: incidents can be read"


def _who(config: InstanceConfig) -> str:
    """Return as whom we ask, as far as the connection says."""
    if config.auth_type == "oauth_client_credentials":
        return f"the user of the OAuth client {config.client_id}"
    return config.login or f"the user of the {_what_is_shown(config)}"


def _what_is_shown(config: InstanceConfig) -> str:
    """Return what an instance checks."""
    if config.is_known_by_certificate:
        return "client certificate"
    return {"basic": "login or password", "api_key": "API key", "bearer": "bearer token"}.get(
        config.auth_type, "OAuth token"
    )


def _in_words(error: ServiceNowError, config: InstanceConfig) -> str:
    if isinstance(error, TokenRefusedError):
        return f"{error.message}. {error.detail}" if error.detail else error.message
    if isinstance(error, AuthenticationError):
        return _not_let_in(error, config)
    if isinstance(error, ForbiddenError):
        said = f"{error.message}: {error.detail}"
        known = (words for key, words in _FORBIDDEN.items() if key in said.lower())
        return f"Logged in, but incidents may not be read: {next(known, _ROLE_MISSING)} ({said})"
    if isinstance(error, RefusedError):
        return f"{config.host} is reached, but refuses to read incidents ({error})"
    if isinstance(error, ConnectionBrokenError) and config.base_url.startswith("https:"):
        return f"{error}; a server that wants another client certificate, or one at all, may do so"
    return str(error)


def _not_let_in(error: AuthenticationError, config: InstanceConfig) -> str:
    if isinstance(error, SecondFactorError):
        return f"{config.host} knows the login and password, but {error.detail}: no task can do that"
    return (
        f"{config.host} refuses the {_what_is_shown(config)}, or the account is locked or inactive, "
        f"or an access policy does not allow it ({error.message})"
    )
