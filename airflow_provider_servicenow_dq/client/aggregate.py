"""The Aggregate API: counts and sums that the instance makes, without reading the rows.

After the vendor's page "Aggregate API": without groups ``{"stats": {"count": "103"}}``, with them a list of
``{"stats": …, "groupby_fields": [{"field": "state", "value": "1"}]}``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from airflow_provider_servicenow_dq.client.checked import check_conditions
from airflow_provider_servicenow_dq.client.ids import checked_table
from airflow_provider_servicenow_dq.client.query import as_query, checked_field
from airflow_provider_servicenow_dq.exceptions import IncompleteReadError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_servicenow_dq.client.query import Query, Value
    from airflow_provider_servicenow_dq.client.table import TableApi

Function = Literal["sum", "avg", "min", "max"]

_FUNCTIONS: Final[tuple[Function, ...]] = ("sum", "avg", "min", "max")


@dataclass(frozen=True, slots=True)
class Group:
    """What an instance says of the rows that have some values in common.

    :param values: Those values by field, as stored; none where all rows are one group.
    :param count: How many rows there are.
    :param results: By function and field, as texts: ``{"max": {"sys_updated_on": "2026-01-05 10:00:00"}}``.
    """

    values: Mapping[str, str]
    count: int
    results: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def aggregate(
    table_api: TableApi,
    table: str,
    query: Query | Mapping[str, Value],
    *,
    group_by: Sequence[str] = (),
    functions: Mapping[Function, Sequence[str]] | None = None,
) -> list[Group]:
    """Return one group for each combination of values that occurs, or the one of all rows.

    :param group_by: Fields whose values make a group.
    :param functions: Fields by what to make of them: ``sum``, ``avg``, ``min``, ``max``.
    :raises UnsafeQueryError: If the instance left out a condition of the query.
    :raises ForbiddenError: If the user may not ask for these fields.
    :raises IncompleteReadError: If the instance leaves out what it was asked for: no such field.
    """
    asked = {name: [checked_field(item) for item in (functions or {}).get(name, ())] for name in _FUNCTIONS}
    query = as_query(query)
    check_conditions(table_api, table, query)
    params = {"sysparm_query": query.encode(), "sysparm_count": "true"}
    params |= {f"sysparm_{name}_fields": ",".join(fields) for name, fields in asked.items() if fields}
    if group_by:
        params["sysparm_group_by"] = ",".join(checked_field(name) for name in group_by)
    result = table_api.transport.request(
        "GET", f"/api/now/stats/{checked_table(table)}", params=params
    ).result
    try:
        groups = [_group(item) for item in (result if isinstance(result, list) else [result])]
    except (KeyError, TypeError, ValueError, AttributeError):
        raise IncompleteReadError(
            f"The instance answers with something else than counts of {table}"
        ) from None
    for group in groups:
        missing = set(group_by) - group.values.keys()
        missing |= {
            name for each, names in asked.items() for name in names if name not in group.results.get(each, {})
        }
        if missing:
            raise IncompleteReadError(f"{table} has no {', '.join(sorted(missing))} to group or aggregate by")
    return groups


def _group(item: Mapping[str, Any]) -> Group:
    stats = item["stats"]
    values = {part["field"]: str(part["value"] or "") for part in item.get("groupby_fields") or ()}
    return Group(values, int(stats["count"]), {name: stats[name] for name in _FUNCTIONS if stats.get(name)})
