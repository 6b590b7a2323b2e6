"""The operators of encoded queries that are about time."""

from __future__ import annotations

import operator
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airflow_provider_servicenow_dq.sandbox.operands import (
    Builder,
    Context,
    InvalidConditionError,
    Operand,
    Predicate,
)
from airflow_provider_servicenow_dq.sandbox.scripts import TIME_FORMAT, shift

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_servicenow_dq.sandbox.records import Row

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


def _relative(compare: Callable[[str, str], bool]) -> Builder:
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


def _apart(compare: Callable[[datetime, datetime], bool]) -> Builder:
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


#: Builders by operator.
BUILDERS: dict[str, Builder] = {
    "RELATIVEGT": _relative(operator.gt),
    "RELATIVEGE": _relative(operator.ge),
    "RELATIVELT": _relative(operator.lt),
    "RELATIVELE": _relative(operator.le),
    "RELATIVEEE": _relative_on,
    "MORETHAN": _apart(operator.lt),
    "LESSTHAN": _apart(operator.gt),
    "DATEPART": _date_part,
}
