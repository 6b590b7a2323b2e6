"""Encoded queries and name=value filters turned into predicates over rows."""

from __future__ import annotations

import operator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from airflow_provider_servicenow_dq.sandbox import comparisons, query
from airflow_provider_servicenow_dq.sandbox.operands import Context, InvalidConditionError, Operand, Predicate
from airflow_provider_servicenow_dq.sandbox.schema import Column, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from airflow_provider_servicenow_dq.sandbox.locales import Locale
    from airflow_provider_servicenow_dq.sandbox.query import Condition, EncodedQuery
    from airflow_provider_servicenow_dq.sandbox.records import Records, Row
    from airflow_provider_servicenow_dq.sandbox.scripts import Scripts

_COUNTS: dict[str, Callable[[int, int], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "=": operator.eq,
}
_INDEXED = {"sys_id", "element_id"}
_EQUALITY = {"=", "!=", "IN", "NOT IN", "ISEMPTY", "ISNOTEMPTY", "EMPTYSTRING", "ANYTHING"}


@dataclass(frozen=True)
class Filter:
    """Selects and orders the rows of one table.

    :param scripts: Evaluates ``javascript:`` values for the user who asks.
    :param case_sensitive: Compare strings with case.
    :param locale: Whose zone dates and times in the query are in; None: UTC.
    :param strict: An invalid part matches nothing; otherwise it is ignored, as on an unhardened instance.
    :param equality_only: Columns, as ``table.column``, of which other conditions match nothing.
    """

    records: Records
    table: str
    scripts: Scripts
    case_sensitive: bool = False
    strict: bool = False
    locale: Locale | None = None
    equality_only: frozenset[str] = frozenset()

    @cached_property
    def _fold(self) -> Callable[[str], str]:
        return str if self.case_sensitive else str.casefold

    def select(self, encoded: str) -> list[Row]:
        """Return the rows that an encoded query finds, in its order."""
        parsed = query.parse_query(encoded)
        groups = [self._group(group, parsed.invalid) for group in parsed.groups]
        if self.strict and parsed.invalid:
            return []
        rows: Iterable[Row] = self._candidates(parsed)
        if all(groups):
            rows = [row for row in rows if any(all(test(row) for test in group) for group in groups)]
        return self._sorted(list(rows), parsed.order)

    def matches(self, encoded: str, row: Row) -> bool:
        """Tell whether one row, stored or not, satisfies an encoded query."""
        parsed = query.parse_query(encoded)
        groups = [self._group(group, parsed.invalid) for group in parsed.groups]
        return any(all(test(row) for test in group) for group in groups)

    def equal(self, path: str, literals: list[str]) -> Predicate | None:
        """Return the test of a name=value filter, or None where the column does not exist."""
        operand = self._operand(path)
        if operand is None:
            return None
        wanted = {self._fold(literal) for literal in literals}
        return lambda row: self._fold(operand.read(row)) in wanted

    def _candidates(self, parsed: EncodedQuery) -> list[Row]:
        """Return the rows that can match: by primary key or journal index where that is possible."""
        if len(parsed.groups) == 1:
            for chain in parsed.groups[0]:
                if len(chain) == 1 and chain[0].path in _INDEXED and chain[0].operator in {"=", "IN"}:
                    keys = [key.strip().lower() for key in chain[0].value.split(",")]
                    if chain[0].path == "element_id" and self.table == "sys_journal_field":
                        return [row for key in dict.fromkeys(keys) for row in self.records.journal(key)]
                    if chain[0].path == "sys_id" and not chain[0].value.startswith("javascript:"):
                        return list(self.records.some(self.table, keys))
        return self.records.rows(self.table)

    def _group(self, chains: list[list[Condition]], invalid: list[str]) -> list[Predicate]:
        """Return one test per chain that has a valid condition; without any, everything matches."""
        tests = []
        for chain in chains:
            alternatives = []
            for condition in chain:
                try:
                    alternatives.append(self._test(condition))
                except (InvalidConditionError, ValueError):
                    invalid.append(f"{condition.path}{condition.operator}{condition.value}")
            if alternatives:
                tests.append(_any_of(alternatives))
        return tests

    def _test(self, condition: Condition) -> Predicate:
        if condition.path == query.RELATED_LIST:
            return self._related(condition)
        if condition.path == query.JOIN:
            return self._join(condition.value)
        if condition.path == query.TEXT_SEARCH:
            words = condition.value.casefold().split()
            return lambda row: all(any(word in value.casefold() for value in row.values()) for word in words)
        operand = self._operand(condition.path)
        if operand is None:
            raise InvalidConditionError(condition.path)
        if self.equality_only and self._is_barred(condition):
            return lambda row: False  # noqa: ARG005  # every predicate takes the row
        context = Context(self._fold, self.scripts, self._operand, self.records, self.locale)
        return comparisons.build(condition.operator, operand, condition.value, context)

    def _is_barred(self, condition: Condition) -> bool:
        """Tell whether a query range ACL stands against a condition."""
        lineage = self.records.schema[self.table].lineage
        barred = any(f"{name}.{condition.path}" in self.equality_only for name in lineage)
        return barred and condition.operator not in _EQUALITY

    def _related(self, condition: Condition) -> Predicate:
        """Compare how many rows of another table point at a row."""
        parts = query.parse_related(condition.value)
        if parts is None or self.records.schema.path(parts[0], parts[1]) is None:
            raise InvalidConditionError(condition.value)
        table, column, comparison, count = parts
        counts: dict[str, int] = {}
        for row in self._of(table).select(condition.operator):
            counts[row[column]] = counts.get(row[column], 0) + 1
        return lambda row: _COUNTS[comparison](counts.get(row["sys_id"], 0), count)

    def _join(self, value: str) -> Predicate:
        parts, schema = query.parse_join(value), self.records.schema
        if parts is None or schema.path(self.table, parts[0]) is None:
            raise InvalidConditionError(value)
        left, table, right, encoded = parts
        if schema.path(table, right) is None:
            raise InvalidConditionError(value)
        keys = {row[right] for row in self._of(table).select(encoded)} - {""}
        return lambda row: row[left] in keys

    def _of(self, table: str) -> Filter:
        return replace(self, table=table)

    def _operand(self, path: str) -> Operand | None:
        columns = self.records.schema.path(self.table, path)
        if columns is None:
            return None
        return Operand(columns[-1], _reader(self.records, columns), self.records)

    def _sorted(self, rows: list[Row], order: list[tuple[str, bool]]) -> list[Row]:
        for path, descending in reversed(order):
            operand = self._operand(path)
            if operand is not None:
                rows.sort(key=_sort_key(operand, self._fold), reverse=descending)
        return rows


def _any_of(tests: list[Predicate]) -> Predicate:
    return tests[0] if len(tests) == 1 else lambda row: any(test(row) for test in tests)


def _reader(records: Records, columns: list[Column]) -> Callable[[Row], str]:
    """Return the function that reads a dot-walked value; a missing record on the way reads as empty."""
    if len(columns) == 1:
        name = columns[0].name
        return lambda row: row.get(name, "")

    def read(row: Row) -> str:
        for column in columns[:-1]:
            found = records.get(column.reference, row.get(column.name, ""))
            if found is None:
                return ""
            row = found
        return row.get(columns[-1].name, "")

    return read


def _sort_key(operand: Operand, fold: Callable[[str], str]) -> Callable[[Row], tuple[int, int, str]]:
    """Numbers sort as numbers, references by display value, empty values first as MySQL has them."""
    if operand.column.kind is Kind.INTEGER:
        return lambda row: (1, int(value), "") if (value := operand.read(row)) else (0, 0, "")
    if operand.column.kind is Kind.REFERENCE:
        return lambda row: (1, 0, fold(operand.display(row)))
    return lambda row: (1, 0, fold(operand.read(row)))
