"""The operators of encoded queries.

Negations include empty values, as the platform's own SQL does (``a != 'x' OR a IS NULL``); comparisons of
size never match an empty value.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

from airflow_provider_servicenow_dq.sandbox import date_comparisons
from airflow_provider_servicenow_dq.sandbox.operands import (
    Builder,
    Context,
    InvalidConditionError,
    Operand,
    Predicate,
    key_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_servicenow_dq.sandbox.records import Row

#: ``DYNAMIC<sys_id>`` filters that every instance has: "Me" and "One of My Groups".
_DYNAMIC_ME = "90d1921e5f510100a9ad2572f2b477fe"
_DYNAMIC_MY_GROUPS = "d6435e965f510100a9ad2572f2b47744"


def build(name: str, operand: Operand, literal: str, context: Context) -> Predicate:
    """Return the test of one condition.

    :raises InvalidConditionError: The literal or the column does not suit the operator.
    """
    return _BUILDERS[name](operand, literal, context)


def _equal(operand: Operand, literal: str, context: Context) -> Predicate:
    value = context.value(operand, literal)
    if value in {"", "NULL"}:
        return lambda row: not operand.read(row)
    key = key_of(operand, context)
    wanted = key(value)
    return lambda row: bool(current := operand.read(row)) and bool(key(current) == wanted)


def _in(operand: Operand, literal: str, context: Context) -> Predicate:
    wanted = {
        context.fold(context.value(operand, part.strip()))
        for part in context.scripts.evaluate(literal).split(",")
    }
    return lambda row: context.fold(operand.read(row)) in wanted


def _empty(operand: Operand, _: str, __: Context) -> Predicate:
    return lambda row: not operand.read(row)


def _anything(_: Operand, __: str, ___: Context) -> Predicate:
    return lambda row: True  # noqa: ARG005  # every predicate takes the row


def _size(compare: Callable[[Any, Any], bool]) -> Builder:
    def builder(operand: Operand, literal: str, context: Context) -> Predicate:
        key = key_of(operand, context)
        wanted = key(context.value(operand, literal))
        return lambda row: bool(value := operand.read(row)) and compare(key(value), wanted)

    return builder


def _text(compare: Callable[[str, str], bool]) -> Builder:
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
    builder: Builder,
) -> Builder:
    def negated(operand: Operand, literal: str, context: Context) -> Predicate:
        test = builder(operand, literal, context)
        return lambda row: not test(row)

    return negated


def _same_as(operand: Operand, literal: str, context: Context) -> Predicate:
    other = context.other(literal)
    return lambda row: context.fold(operand.read(row)) == context.fold(other.read(row))


def _field(compare: Callable[[Any, Any], bool]) -> Builder:
    def builder(operand: Operand, literal: str, context: Context) -> Predicate:
        other, key = context.other(literal), key_of(operand, context)

        def test(row: Row) -> bool:
            left, right = operand.read(row), other.read(row)
            return bool(left and right) and compare(key(left), key(right))

        return test

    return builder


def _instance_of(operand: Operand, literal: str, context: Context) -> Predicate:
    if literal not in context.records.schema:
        raise InvalidConditionError(literal)
    family = context.records.schema[literal].family
    return lambda row: operand.read(row) in family


def _dynamic(operand: Operand, literal: str, context: Context) -> Predicate:
    scripts = {_DYNAMIC_ME: "javascript:gs.getUserID()", _DYNAMIC_MY_GROUPS: "javascript:getMyGroups()"}
    if literal not in scripts:
        raise InvalidConditionError(literal)
    return _in(operand, scripts[literal], context)


def _in_hierarchy(operand: Operand, literal: str, context: Context) -> Predicate:
    """Match the record itself and those below it by ``parent``."""
    table = operand.column.reference
    schema = context.records.schema
    if table not in schema or "parent" not in schema[table].columns:
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


_contains = _text(operator.contains)

_BUILDERS: dict[str, Builder] = {
    **date_comparisons.BUILDERS,
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
    "GT_FIELD": _field(operator.gt),
    "LT_FIELD": _field(operator.lt),
    "GT_OR_EQUALS_FIELD": _field(operator.ge),
    "LT_OR_EQUALS_FIELD": _field(operator.le),
    "INSTANCEOF": _instance_of,
    "DYNAMIC": _dynamic,
    "IN_HIERARCHY": _in_hierarchy,
}
