"""Which check a failure case of Pandera is of, and what of it may be told: never the data itself."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_servicenow_dq.anomalies.failure_cases import missing
from airflow_provider_servicenow_dq.anomalies.model import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_servicenow_dq.anomalies.foreign import Foreign

# Checks of the schema itself, by how they begin: their failure case is a name or a type, and no data.
_OF_THE_SCHEMA: Final = (
    "column_in_",
    "column_ordered",
    "dataframe_column_labels_unique",
    "dtype(",
    "field_name(",
    "no_regex_column_match",
)
# These are about a column that is named where others have a value.
_CASE_IS_COLUMN: Final = ("column_in_dataframe", "column_in_schema")
# Checks of the whole: the columns of their rows are all those that the check looked at.
_WHOLE: Final = ("DataFrameSchema", "SeriesSchema")
_UNNAMED: Final = "<lambda>"
# Where a message says which check it was; what follows may be all bad values.
_BEGINNING: Final = 500
_RAISED = re.compile(r"\w*(?:Error|Exception)\(")
_COLUMN_IN_WORDS = re.compile(r"column '([^']{1,255})' not in ")
_NUMBER_IN_WORDS = re.compile(r" validator (?:number )?(\d{1,9}):")


@dataclass(frozen=True, slots=True)
class Check:
    """Which check a case is of.

    :param identity: What it is in the next run as well.
    :param column: Which column the case is in, where it is in one.
    :param whole: Whether it is a check of the whole, and not of a column.
    """

    name: str
    identity: tuple[str | None, ...]
    column: str | None
    whole: bool


def alike(case: Mapping[str, Any]) -> Any:
    """Return what rows of one check share, so that each check is looked at once and not with each row."""
    if "reason" in case:
        return None
    check = case["check"]
    return (
        check,
        case.get("schema_context"),
        case.get("column"),
        missing(case.get("index")),
        case.get("check_number") if check == _UNNAMED else None,
        case["failure_case"] if check in _CASE_IS_COLUMN else None,
    )


def check_of(case: Foreign, schema: str | None) -> Check:
    """Return the check that a case is of; the cases of a message name the schema where it is of the whole."""
    name = (case.at("check").text_or_none() or "check").strip() or "check"
    column = _name(case.at("column"))
    if name in _CASE_IS_COLUMN:
        return _check_of_column(name, _column_of_case(case) or column)
    whole = column == schema if "reason" in case.value else case.at("schema_context").value in _WHOLE
    number = (_number(case),) if name == _UNNAMED else ()
    if whole:
        is_cell = column != schema and not missing(case.value.get("index"))
        return Check(name, (None, name, *number), column if is_cell else None, whole)
    return _check_of_column(name, column, *number)


def _check_of_column(name: str, column: str | None, *number: str | None) -> Check:
    # An index without a name is no column, and not the whole either.
    return Check(name, (column or "", name, *number), column or None, whole=False)


def _column_of_case(case: Foreign) -> str | None:
    if "failure_case" in case.value:
        return _name(case.at("failure_case"))
    # A message names the schema where the column that it lacks is in the words only.
    words = _COLUMN_IN_WORDS.match(case.at("error").text_or_none() or "")
    return words[1] if words else None


def _name(place: Foreign) -> str | None:
    if isinstance(place.value, (list, tuple)):
        return ".".join(level.scalar_text() or "" for level in place.each())
    return None if missing(place.value) else place.scalar_text()


def _number(case: Foreign) -> str | None:
    number = case.at("check_number")
    if "reason" in case.value:
        words = _NUMBER_IN_WORDS.search((case.at("error").text_or_none() or "")[:_BEGINNING])
        return words[1] if words else None
    count = None if missing(number.value) else number.count()
    return None if count is None else str(count)


def kind_of(case: Foreign, check: Check) -> Kind:
    """Return whether data is bad, the schema does not fit, or the check could not run."""
    if check.name.startswith(_OF_THE_SCHEMA):
        return Kind.SCHEMA
    if "reason" in case.value:
        return Kind.CHECK_ERROR if case.value["reason"] == "CHECK_ERROR" else Kind.CHECK_FAILED
    words, numbered = case.value["failure_case"], not missing(case.value.get("check_number"))
    raised = numbered and missing(case.value.get("index")) and isinstance(words, str) and _RAISED.match(words)
    return Kind.CHECK_ERROR if raised else Kind.CHECK_FAILED


def said_in(case: Foreign, kind: Kind) -> str | None:
    """Return what stands in the place of a value where the case is none: a type, a name, an error's words."""
    if kind is Kind.CHECK_FAILED:
        return None
    if "failure_case" in case.value:
        # A cell is data also where its type is what is wrong.
        in_a_row = not missing(case.value.get("index"))
        return None if in_a_row else case.at("failure_case").scalar_text()
    if kind is Kind.CHECK_ERROR:
        return (case.at("error").text_or_none() or "").partition("Traceback (")[0] or None
    return None
