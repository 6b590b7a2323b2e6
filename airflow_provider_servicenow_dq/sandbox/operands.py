"""What a condition of an encoded query is about, and what its operator may need besides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_servicenow_dq.sandbox.records import Records, Row
from airflow_provider_servicenow_dq.sandbox.schema import Column, Kind

if TYPE_CHECKING:
    from airflow_provider_servicenow_dq.sandbox.locales import Locale
    from airflow_provider_servicenow_dq.sandbox.scripts import Scripts

Predicate = Callable[[Row], bool]

#: Makes the test of one condition from its column, its literal and the context.
Builder = Callable[["Operand", str, "Context"], Predicate]


class InvalidConditionError(ValueError):
    """The condition is not one that can be evaluated on its column."""


@dataclass(frozen=True, slots=True)
class Operand:
    """A column that a condition is about: its raw value, and its display value."""

    column: Column
    read: Callable[[Row], str]
    records: Records

    def display(self, row: Row) -> str:
        """Return the display value of a reference, the raw value of anything else."""
        value = self.read(row)
        if self.column.kind is Kind.REFERENCE:
            return self.records.display_value(self.column.reference, value)
        return value


@dataclass(frozen=True, slots=True)
class Context:
    """What operators need besides their operand: how to fold strings, scripts, and other columns by path.

    :param locale: Whose zone dates and times in the query are in; None: UTC.
    """

    fold: Callable[[str], str]
    scripts: Scripts
    operand: Callable[[str], Operand | None]
    records: Records
    locale: Locale | None = None

    def value(self, operand: Operand, literal: str) -> str:
        """Return the raw value of a literal that is compared with a column."""
        if literal.startswith("javascript:"):
            return self.scripts.evaluate(literal)
        if self.locale is not None and operand.column.kind is Kind.DATETIME:
            return self.locale.literal(literal)
        return literal

    def other(self, path: str) -> Operand:
        """Return another column of the same row.

        :raises InvalidConditionError: It does not exist.
        """
        found = self.operand(path)
        if found is None:
            raise InvalidConditionError(path)
        return found


def key_of(operand: Operand, context: Context) -> Callable[[str], Any]:
    """Return what makes two values of a column comparable: numbers as numbers, strings folded."""
    if operand.column.kind is Kind.INTEGER:
        return int
    if operand.column.kind is Kind.DATETIME:
        return lambda text: text if " " in text else f"{text} 00:00:00"
    return context.fold
