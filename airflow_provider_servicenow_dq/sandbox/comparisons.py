"""The operators of encoded queries.

Negations include empty values, as the platform's own SQL does (``a != 'x' OR a IS NULL``); comparisons of
size never match an empty value.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from airflow_provider_servicenow_dq.sandbox.records import Records, Row
from airflow_provider_servicenow_dq.sandbox.schema import TABLES, Column, Kind
from airflow_provider_servicenow_dq.sandbox.scripts import TIME_FORMAT, Scripts, shift

Predicate = Callable[[Row], bool]

#: ``DYNAMIC<sys_id>`` filters that every instance has: "Me" and "One of My Groups".
_DYNAMIC_ME = "90d1921e5f510100a9ad2572f2b477fe"
_DYNAMIC_MY_GROUPS = "d6435e965f510100a9ad2572f2b47744"

_DATE_PART = re.compile(
    r"gs\.datePart\(\s*'(?P<part>\w+)'\s*,\s*'(?P<value>\w+)'\s*,\s*'(?P<test>\w\w)'\s*\)"
)
_DATE_PARTS: dict[str, Callable[[datetime], str]] = {
    "dayofweek": lambda moment: moment.strftime("%A").lower(),
    "month": lambda moment: moment.strftime("%b").lower(),
    "year": lambda moment: str(moment.year),
    "hour": lambda moment: str(moment.hour),
    "week": lambda moment: str(moment.isocalendar().week),
    "quarter": lambda moment: str((moment.month - 1) // 3 + 1),
}


class InvalidConditionError(ValueError):
    """The condition is not one that can be evaluated on its column."""


@dataclass(frozen=True, slots=True)
class Operand:
    """A column that a condition is about: its raw value, and its display value."""

    column: Column
    read: Callable[[Row], str]
    records: Records
    table: str

    def display(self, row: Row) -> str:
        """Return the display value of a reference, the raw value of anything else."""
        value = self.read(row)
        if self.column.kind is Kind.REFERENCE:
            return self.records.display_value(self.column.reference, value)
        return value


@dataclass(frozen=True, slots=True)
class Context:
    """What operators need besides their operand: how to fold strings, scripts, and other columns by path."""

    fold: Callable[[str], str]
    scripts: Scripts
    operand: Callable[[str], Operand | None]
    records: Records

    def other(self, path: str) -> Operand:
        """Return another column of the same row.

        :raises InvalidConditionError: It does not exist.
        """
        found = self.operand(path)
        if found is None:
            raise InvalidConditionError(path)
        return found


def build(name: str, operand: Operand, literal: str, context: Context) -> Predicate:
    """Return the test of one condition.

    :raises InvalidConditionError: The literal or the column does not suit the operator.
    """
    return _BUILDERS[name](operand, literal, context)


def _key(operand: Operand, context: Context) -> Callable[[str], Any]:
    """Return what makes two values of a column comparable: numbers as numbers, strings folded."""
    if operand.column.kind is Kind.INTEGER:
        return int
    if operand.column.kind is Kind.DATETIME:
        return lambda text: text if " " in text else f"{text} 00:00:00"
    return context.fold


def _equal(operand: Operand, literal: str, context: Context) -> Predicate:
    value = context.scripts.evaluate(literal)
    if value in {"", "NULL"}:
        return lambda row: not operand.read(row)
    key = _key(operand, context)
    wanted = key(value)
    return lambda row: bool(current := operand.read(row)) and bool(key(current) == wanted)


def _in(operand: Operand, literal: str, context: Context) -> Predicate:
    wanted = {context.fold(part.strip()) for part in context.scripts.evaluate(literal).split(",")}
    return lambda row: context.fold(operand.read(row)) in wanted


def _empty(operand: Operand, _: str, __: Context) -> Predicate:
    return lambda row: not operand.read(row)


def _anything(_: Operand, __: str, ___: Context) -> Predicate:
    return lambda row: True  # noqa: ARG005  # every predicate takes the row


def _size(compare: Callable[[Any, Any], bool]) -> Callable[[Operand, str, Context], Predicate]:
    def builder(operand: Operand, literal: str, context: Context) -> Predicate:
        key = _key(operand, context)
        wanted = key(context.scripts.evaluate(literal))
        return lambda row: bool(value := operand.read(row)) and compare(key(value), wanted)

    return builder


def _text(compare: Callable[[str, str], bool]) -> Callable[[Operand, str, Context], Predicate]:
    def builder(operand: Operand, literal: str, context: Context) -> Predicate:
        wanted = context.fold(context.scripts.evaluate(literal))
        return lambda row: compare(context.fold(operand.display(row)), wanted)

    return builder


def _between(operand: Operand, literal: str, context: Context) -> Predicate:
    low, separator, high = literal.partition("@")
    if not separator:
        raise InvalidConditionError(literal)
    at_least = _size(operator.ge)(operand, low, context)
    at_most = _size(operator.le)(operand, high, context)
    return lambda row: at_least(row) and at_most(row)


def _on(operand: Operand, literal: str, context: Context) -> Predicate:
    """``ONToday@javascript:gs.beginningOfToday()@javascript:gs.endOfToday()``: the label is for people."""
    return _between(operand, literal.partition("@")[2], context)


def _negated(
    builder: Callable[[Operand, str, Context], Predicate],
) -> Callable[[Operand, str, Context], Predicate]:
    def negated(operand: Operand, literal: str, context: Context) -> Predicate:
        test = builder(operand, literal, context)
        return lambda row: not test(row)

    return negated


def _same_as(operand: Operand, literal: str, context: Context) -> Predicate:
    other = context.other(literal)
    return lambda row: context.fold(operand.read(row)) == context.fold(other.read(row))


def _field(compare: Callable[[Any, Any], bool]) -> Callable[[Operand, str, Context], Predicate]:
    def builder(operand: Operand, literal: str, context: Context) -> Predicate:
        other, key = context.other(literal), _key(operand, context)

        def test(row: Row) -> bool:
            left, right = operand.read(row), other.read(row)
            return bool(left and right) and compare(key(left), key(right))

        return test

    return builder


def _relative(compare: Callable[[str, str], bool]) -> Callable[[Operand, str, Context], Predicate]:
    """``RELATIVEGT@hour@ago@1``: after the moment one hour ago."""

    def builder(operand: Operand, literal: str, context: Context) -> Predicate:
        moment, _ = _relative_moment(literal, context)
        wanted = moment.strftime(TIME_FORMAT)
        return lambda row: bool(value := operand.read(row)) and compare(value, wanted)

    return builder


def _relative_on(operand: Operand, literal: str, context: Context) -> Predicate:
    """``RELATIVEEE@day@ago@1``: within that day."""
    moment, unit = _relative_moment(literal, context)
    low, high = (
        context.scripts.edge(moment, unit, side).astimezone(UTC).strftime(TIME_FORMAT)
        for side in ("Start", "End")
    )
    return lambda row: low <= operand.read(row) <= high


def _relative_moment(literal: str, context: Context) -> tuple[datetime, str]:
    match literal.split("@"):
        case ["", unit, ("ago" | "ahead") as direction, amount]:
            unit = unit.removesuffix("s")
            return shift(context.scripts.now, unit, int(amount) * (-1 if direction == "ago" else 1)), unit
    raise InvalidConditionError(literal)


def _apart(compare: Callable[[datetime, datetime], bool]) -> Callable[[Operand, str, Context], Predicate]:
    """``sys_created_onMORETHANopened_at@day@before@1``: more than a day before the other column."""

    def builder(operand: Operand, literal: str, context: Context) -> Predicate:
        match literal.split("@"):
            case [path, unit, ("before" | "after") as direction, amount]:
                other = context.other(path)
            case _:
                raise InvalidConditionError(literal)
        unit, count = unit.removesuffix("s"), int(amount)
        shift(context.scripts.now, unit, count)

        def test(row: Row) -> bool:
            first, second = operand.read(row), other.read(row)
            if not (first and second):
                return False
            early, late = (first, second) if direction == "before" else (second, first)
            return early <= late and compare(shift(_moment(early), unit, count), _moment(late))

        return test

    return builder


def _moment(text: str) -> datetime:
    return datetime.strptime(text, TIME_FORMAT).replace(tzinfo=UTC)


def _instance_of(operand: Operand, literal: str, _: Context) -> Predicate:
    if literal not in TABLES:
        raise InvalidConditionError(literal)
    family = TABLES[literal].family
    return lambda row: operand.read(row) in family


def _dynamic(operand: Operand, literal: str, context: Context) -> Predicate:
    scripts = {_DYNAMIC_ME: "javascript:gs.getUserID()", _DYNAMIC_MY_GROUPS: "javascript:getMyGroups()"}
    if literal not in scripts:
        raise InvalidConditionError(literal)
    return _in(operand, scripts[literal], context)


def _in_hierarchy(operand: Operand, literal: str, context: Context) -> Predicate:
    """Match the record itself and those below it by ``parent``."""
    table = operand.column.reference
    if table not in TABLES or "parent" not in TABLES[table].columns:
        raise InvalidConditionError(literal)

    def test(row: Row) -> bool:
        current, seen = operand.read(row), set()
        while current and current not in seen:
            if current == literal:
                return True
            seen.add(current)
            found = context.records.get(table, current)
            current = found["parent"] if found else ""
        return False

    return test


def _date_part(operand: Operand, literal: str, _: Context) -> Predicate:
    """``DATEPARTMonday@javascript:gs.datePart('dayofweek','monday','EE')``."""
    match = _DATE_PART.search(literal)
    if (
        match is None
        or match["part"] not in _DATE_PARTS
        or match["test"] not in {"EE", "GT", "LT", "GE", "LE"}
    ):
        raise InvalidConditionError(literal)
    part, wanted = _DATE_PARTS[match["part"]], match["value"].lower()
    compare = {"EE": operator.eq, "GT": operator.gt, "LT": operator.lt, "GE": operator.ge, "LE": operator.le}
    if match["test"] != "EE" and not wanted.isdecimal():
        raise InvalidConditionError(literal)

    def test(row: Row) -> bool:
        if not (value := operand.read(row)):
            return False
        actual = part(_moment(value))
        if match["test"] == "EE":
            return actual == wanted
        return bool(compare[match["test"]](int(actual), int(wanted)))

    return test


_contains = _text(operator.contains)

_BUILDERS: dict[str, Callable[[Operand, str, Context], Predicate]] = {
    "=": _equal,
    "!=": _negated(_equal),
    "<": _size(operator.lt),
    ">": _size(operator.gt),
    "<=": _size(operator.le),
    ">=": _size(operator.ge),
    "*": _contains,
    "LIKE": _contains,
    "CONTAINS": _contains,
    "!*": _negated(_contains),
    "NOT LIKE": _negated(_contains),
    "NOTLIKE": _negated(_contains),
    "%": _text(str.endswith),
    "ENDSWITH": _text(str.endswith),
    "STARTSWITH": _text(str.startswith),
    "IN": _in,
    "NOT IN": _negated(_in),
    "ISEMPTY": _empty,
    "ISNOTEMPTY": _negated(_empty),
    "EMPTYSTRING": _empty,
    "ANYTHING": _anything,
    "SAMEAS": _same_as,
    "NSAMEAS": _negated(_same_as),
    "BETWEEN": _between,
    "ON": _on,
    "NOTON": _negated(_on),
    "RELATIVEGT": _relative(operator.gt),
    "RELATIVEGE": _relative(operator.ge),
    "RELATIVELT": _relative(operator.lt),
    "RELATIVELE": _relative(operator.le),
    "RELATIVEEE": _relative_on,
    "MORETHAN": _apart(operator.lt),
    "LESSTHAN": _apart(operator.gt),
    "GT_FIELD": _field(operator.gt),
    "LT_FIELD": _field(operator.lt),
    "GT_OR_EQUALS_FIELD": _field(operator.ge),
    "LT_OR_EQUALS_FIELD": _field(operator.le),
    "INSTANCEOF": _instance_of,
    "DYNAMIC": _dynamic,
    "IN_HIERARCHY": _in_hierarchy,
    "DATEPART": _date_part,
}
