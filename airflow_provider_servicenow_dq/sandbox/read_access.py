"""What a user may ask about: columns and tables that access rules keep from queries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_servicenow_dq.sandbox.query import parse_query
from airflow_provider_servicenow_dq.sandbox.rules import Account, RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_servicenow_dq.sandbox.exchange import Request
    from airflow_provider_servicenow_dq.sandbox.instance import Instance


def named_filters(request: Request) -> dict[str, str]:
    """Return the name=value filters of a request, which only count where there is no ``sysparm_query``."""
    if request.query.get("sysparm_query"):
        return {}
    return {name: value for name, value in request.query.items() if not name.startswith("sysparm_")}


def check_query(
    instance: Instance, account: Account, table: str, encoded: str, named: Iterable[str] = ()
) -> None:
    """Refuse a query about what the user may not read, in the words of KB0744425.

    :param named: Columns that the request asks about besides those of its query.
    :raises RefusedError: 403.
    """
    if account.is_admin:
        return
    if not instance.access.sees_table(account, table):
        raise RefusedError(
            403, "Insufficient rights to query records", f"No permission to read table '{table}'"
        )
    parsed = parse_query(encoded)
    paths = [condition.path for group in parsed.groups for chain in group for condition in chain]
    for path in (*paths, *(path for path, _ in parsed.order), *named):
        if not _is_readable(instance, account, table, path):
            raise RefusedError(
                403,
                "Insufficient rights to query records",
                "Field(s) present in the query do not have permission to be read",
            )


def _is_readable(instance: Instance, account: Account, table: str, path: str) -> bool:
    """Tell whether every column along a path may be read; one that does not exist is no secret."""
    for column in instance.schema.path(table, path) or ():
        if column.name in instance.unreadable(account, table):
            return False
        if column.reference not in instance.schema:
            break
        table = column.reference
    return True
