"""From an Airflow connection to what we know of its instance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_servicenow_dq.client.config import InstanceConfig
from airflow_provider_servicenow_dq.exceptions import ServiceNowConfigError

if TYPE_CHECKING:
    from airflow.sdk import Connection


def config_of(connection: Connection, conn_id: str) -> InstanceConfig:
    """Return what a connection says. Reading it masks what is in its extra.

    :raises ServiceNowConfigError: If it cannot work as written.
    """
    extra: object = connection.extra_dejson
    if not isinstance(extra, dict):
        raise ServiceNowConfigError(f"Connection {conn_id!r}: the extra must be a JSON object")
    return InstanceConfig.from_connection_fields(
        conn_id=conn_id,
        host=connection.host,
        login=connection.login,
        password=connection.password,
        port=connection.port,
        extra=extra,
    )
