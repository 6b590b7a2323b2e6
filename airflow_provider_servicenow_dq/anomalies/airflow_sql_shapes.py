"""The shapes in which Airflow's SQL check operators leave their results.

They are those of common-sql 2.4.0, ``operators/sql.py``. Both mappings of checks become one shape: each
check's name, the column it is about, if any, and its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from airflow_provider_servicenow_dq.anomalies.foreign import Foreign

_COMPARISONS: Final = {
    "equal_to": "",
    "greater_than": ">",
    "geq_to": ">=",
    "less_than": "<",
    "leq_to": "<=",
}
_RESULT_FIELDS: Final = (
    "name",
    "check_type",
    "success",
    "severity",
    "column",
    "table",
    "expected",
    "actual",
    "content",
)
_TASK_FIELDS: Final = {"check_results", "column_mapping", "checks", "exception"}


def is_result(value: object) -> bool:
    """Whether this is a ``SQLCheckResult``, as an object or as a dict."""
    required = ("name", "check_type", "success")
    if isinstance(value, Mapping):
        return all(field in value for field in required)
    return all(hasattr(value, field) for field in required)


def is_failed_task(payload: Mapping[Any, Any]) -> bool:
    """Whether this is what a failure callback sees of a task."""
    # Soda's scans have "checks" as well, as a list, and its contracts have "check_results".
    if isinstance(payload.get("checks"), (list, tuple)) or {"check_collection", "contract"} & payload.keys():
        return False
    return bool(_TASK_FIELDS & payload.keys())


def is_mapping_of_checks(payload: Mapping[Any, Any]) -> bool:
    """Whether these are the ``checks`` of a table, by their names."""
    return bool(payload) and all(
        isinstance(check, Mapping) and "check_statement" in check for check in payload.values()
    )


def is_column_mapping(payload: Mapping[Any, Any]) -> bool:
    """Whether this is a ``column_mapping``: checks by their kinds, by columns."""
    columns = payload.values()
    return bool(payload) and all(
        isinstance(checks, Mapping) and checks and all(_is_column_check(check) for check in checks.values())
        for checks in columns
    )


def _is_column_check(check: object) -> bool:
    return isinstance(check, Mapping) and any(comparison in check for comparison in _COMPARISONS)


def as_dict(place: Foreign) -> Foreign:
    """Return the place of a result with the object's fields as a dict; any other place as it is."""
    if not is_result(place.value) or isinstance(place.value, Mapping):
        return place
    fields = {field: getattr(place.value, field, None) for field in _RESULT_FIELDS}
    return Foreign(place.source, place.path, fields)


def column_checks(mapping: Foreign) -> list[tuple[str, str | None, Foreign]]:
    """Return the checks of a ``column_mapping``."""
    # Named as common-sql names the same checks in check_results.
    return [
        (f"{column}.{check}", column, place)
        for column, checks in mapping.entries()
        for check, place in checks.entries()
    ]


def table_checks(mapping: Foreign) -> list[tuple[str, str | None, Foreign]]:
    """Return the ``checks`` of a table."""
    return [(check, None, place) for check, place in mapping.entries()]


def wanted(check: Foreign) -> str:
    """Return what a check of a column compares its result with, e.g. ``>=0, <100``."""
    return ", ".join(
        f"{sign}{check.at(key).scalar_text()}"
        for key, sign in _COMPARISONS.items()
        if check.at(key).value is not None
    )
