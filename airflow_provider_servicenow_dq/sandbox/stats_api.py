"""The Aggregate API: ``/api/now[/v1]/stats/{table}``, after the vendor's page of that name."""

from __future__ import annotations

import operator
import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from airflow_provider_servicenow_dq.sandbox import display
from airflow_provider_servicenow_dq.sandbox.answers import Answer, json_answer, no_such_resource
from airflow_provider_servicenow_dq.sandbox.content import check_accept, no_such_method
from airflow_provider_servicenow_dq.sandbox.read_access import check_query, named_filters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from airflow_provider_servicenow_dq.sandbox.exchange import Request
    from airflow_provider_servicenow_dq.sandbox.instance import Instance
    from airflow_provider_servicenow_dq.sandbox.records import Row
    from airflow_provider_servicenow_dq.sandbox.rules import Account
    from airflow_provider_servicenow_dq.sandbox.schema import Schema

_PATH = re.compile(r"/api/now(?:/v[12])?/stats/(?P<table>[^/]+)/?")
_COMPARISONS: dict[str, Callable[[Decimal, Decimal], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


@dataclass(frozen=True, slots=True)
class _Group:
    """Rows that have the values of the grouped columns in common."""

    values: tuple[str, ...]
    shown: tuple[str, ...]
    rows: list[Row]


@dataclass(frozen=True, slots=True)
class _Columns:
    """The columns that a request names; those that the table does not have are ignored."""

    schema: Schema
    table: str
    request: Request

    def of(self, parameter: str) -> list[str]:
        names = self.request.query.get(parameter, "").split(",")
        return [name for name in names if name and self.schema.path(self.table, name)]

    @property
    def aggregated(self) -> dict[str, list[str]]:
        named = {each: self.of(f"sysparm_{each}_fields") for each in ("avg", "min", "max", "sum")}
        return {each: names for each, names in named.items() if names}

    @property
    def grouped(self) -> list[str]:
        return self.of("sysparm_group_by")


class StatsApi:
    """Counts and aggregates rows."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance

    def answer(self, account: Account, request: Request) -> Answer:
        """Return the aggregates that a request asks for.

        :raises RefusedError: The table does not exist, or the user may not ask for it.
        """
        match = _PATH.fullmatch(request.path)
        if match is None:
            return no_such_resource()
        if request.method not in {"GET", "HEAD"}:
            raise no_such_method(request)
        check_accept(request, self._instance.switches)
        table = match["table"]
        self._instance.check_table(table)
        columns = _Columns(self._instance.schema, table, request)
        named = [*columns.grouped, *(name for names in columns.aggregated.values() for name in names)]
        encoded = request.query.get("sysparm_query", "")
        check_query(self._instance, account, table, encoded, named)
        rows = self._instance.select(account, table, encoded, named_filters(request))
        if self._instance.switches.stats_hide_rows:
            rows = [row for row in rows if self._instance.can_read(account, table, row)]
        if not columns.grouped:
            return json_answer(200, {"result": {"stats": _stats(rows, columns)}})
        groups = self._groups(table, rows, columns.grouped)
        kept = _ordered(_having(groups, request), request, columns.grouped)
        result = [_shaped(group, columns) for group in kept]
        return json_answer(200, {"result": result})

    def _groups(self, table: str, rows: Iterable[Row], names: list[str]) -> list[_Group]:
        """Put rows together, by what people see of the grouped columns."""
        groups: dict[tuple[str, ...], list[Row]] = {}
        for row in rows:
            groups.setdefault(tuple(self._read(table, name, row) for name in names), []).append(row)
        found = []
        for values, members in groups.items():
            shown = (self._shown(table, name, value) for name, value in zip(names, values, strict=True))
            found.append(_Group(values, tuple(shown), members))
        return sorted(found, key=lambda group: group.shown)

    def _read(self, table: str, path: str, row: Row) -> str:
        """Return a dot-walked value."""
        columns = self._instance.schema.path(table, path) or []
        found: Row | None = row
        for column in columns[:-1]:
            found = (
                self._instance.records.get(column.reference, found.get(column.name, "")) if found else None
            )
        return found.get(columns[-1].name, "") if found else ""

    def _shown(self, table: str, path: str, value: str) -> str:
        columns = self._instance.schema.path(table, path) or []
        own_table = table if len(columns) == 1 else columns[-2].reference
        return display.display_value(self._instance, own_table, columns[-1], value, {"sys_id": ""})


def _stats(rows: list[Row], columns: _Columns) -> dict[str, Any]:
    stats: dict[str, Any] = {}
    if columns.request.is_true("sysparm_count"):
        stats["count"] = str(len(rows))
    for each, names in columns.aggregated.items():
        stats[each] = {name: _aggregate(each, name, rows) for name in names}
    return stats


def _aggregate(function: str, name: str, rows: list[Row]) -> str:
    """Aggregate a column; empty values do not count, and of nothing there is nothing."""
    values = [row[name] for row in rows if row.get(name)]
    numbers = [number for value in values if (number := _number(value)) is not None]
    if function in {"min", "max"}:
        pick: Callable[..., Any] = min if function == "min" else max
        if len(numbers) == len(values):
            return str(pick(numbers)) if numbers else ""
        return str(pick(values))
    if not numbers:
        return ""
    total = sum(numbers, Decimal(0))
    return str(total) if function == "sum" else f"{total / len(numbers):.4f}"


def _having(groups: list[_Group], request: Request) -> list[_Group]:
    """Keep the groups that satisfy ``aggregate^field^operator^value``; what cannot be read is ignored."""
    for text in request.query.get("sysparm_having", "").split(","):
        match text.split("^"):
            case [function, name, comparison, literal] if comparison in _COMPARISONS:
                wanted = _number(literal)
                if wanted is not None:
                    groups = [each for each in groups if _holds(each, function, name, comparison, wanted)]
    return groups


def _holds(group: _Group, function: str, name: str, comparison: str, wanted: Decimal) -> bool:
    text = (
        str(len(group.rows))
        if function.lower() == "count"
        else _aggregate(function.lower(), name, group.rows)
    )
    number = _number(text)
    return number is not None and _COMPARISONS[comparison](number, wanted)


def _ordered(groups: list[_Group], request: Request, grouped: list[str]) -> list[_Group]:
    """Order groups by columns, ``COUNT`` or an aggregate such as ``AVG^state``; ``^DESC`` turns round."""
    for text in reversed([part for part in request.query.get("sysparm_order_by", "").split(",") if part]):
        parts = text.split("^")
        descending = parts[-1] == "DESC"
        key = _order_key([part for part in parts if part not in {"DESC", "ASC"}], grouped)
        if key is not None:
            groups = sorted(groups, key=key, reverse=descending)
    return groups


def _order_key(parts: list[str], grouped: list[str]) -> Callable[[_Group], Any] | None:
    match parts:
        case ["COUNT", *_]:
            return lambda group: len(group.rows)
        case ["AVG" | "MIN" | "MAX" | "SUM" as function, name]:
            return lambda group: _number(_aggregate(function.lower(), name, group.rows)) or Decimal(0)
        case [name] if name in grouped:
            position = grouped.index(name)
            return lambda group: group.shown[position]
    return None


def _shaped(group: _Group, columns: _Columns) -> dict[str, Any]:
    wanted = columns.request.query.get("sysparm_display_value", "false").lower()
    fields = []
    for name, value, shown in zip(columns.grouped, group.values, group.shown, strict=True):
        field = {"field": name}
        if wanted in {"true", "all"}:
            field["display_value"] = shown
        if wanted != "true":
            field["value"] = value
        fields.append(field)
    return {"stats": _stats(group.rows, columns), "groupby_fields": fields}


def _number(text: str) -> Decimal | None:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None
