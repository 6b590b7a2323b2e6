"""Who we are on an instance: what any account of ours wrote is ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_servicenow_dq.client.journal import current_user
from airflow_provider_servicenow_dq.store import instances

if TYPE_CHECKING:
    from airflow_provider_servicenow_dq.client.config import InstanceConfig
    from airflow_provider_servicenow_dq.desk.desk import Desk


def our_names(desk: Desk) -> frozenset[str]:
    """Return the user names under which this store has worked on the instance, now's among them.

    The instance is asked once for each account.

    :raises ServiceNowConfigError: If neither the instance nor the connection tells who we are.
    """
    account = _account(desk.config)
    with desk.store.snapshot() as connection:
        known = instances.user_names(connection, desk.host)
    if account is None or account not in known:
        name = current_user(desk.table_api)
        account = account or f"user:{name}"
        if known.get(account) != name:
            with desk.store.begin() as connection:
                instances.learn_user_name(connection, desk.host, account, name)
        known[account] = name
    return frozenset(known.values())


def _account(config: InstanceConfig) -> str | None:
    """Return what tells a connection's account from others without asking; None if only a token does."""
    if config.login:
        return f"login:{config.login}"
    return f"client:{config.client_id}" if config.client_id else None
