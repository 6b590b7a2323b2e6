"""Reading by conditions that an instance may have left out without a word.

As it comes, an instance ignores a condition that it cannot evaluate (a mistyped column, a word where a number
belongs) and answers with all the rows that the others match, or with the whole table. So what comes back is
compared with what was asked for. Databases compare more loosely than we do (case, accents, width), and that
is theirs to say; what no database would take for a match means that a condition was ignored.
"""

from __future__ import annotations

import operator
import re
import unicodedata
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_servicenow_dq.client.ids import is_sys_id
from airflow_provider_servicenow_dq.client.query import Condition, Query, as_query
from airflow_provider_servicenow_dq.exceptions import UnsafeQueryError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from airflow_provider_servicenow_dq.client.query import Value
    from airflow_provider_servicenow_dq.client.table import Record, TableApi

#: Rows that are looked at before a number of rows is believed.
_SAMPLE: Final = 20

_NUMBER: Final = re.compile(r"-?\d{1,18}(\.\d{1,9})?")
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d( \d\d:\d\d:\d\d)?")
_BOOLEANS: Final = {"true": "1", "false": "0"}
#: Some databases read these within a text as "anything" when they search in it.
_WILDCARDS: Final = frozenset("%_")


def find_records(
    table_api: TableApi,
    table: str,
    query: Query | Mapping[str, Value],
    *,
    fields: Sequence[str] | None = None,
    limit: int | None = None,
) -> Iterator[Record]:
    """Yield all matching records, page by page, each compared with the conditions.

    Conditions of a raw query are taken as they are.

    :raises UnsafeQueryError: If the instance left out a condition.
    :raises IncompleteReadError: If the end of the list cannot be reached.
    """
    query = as_query(query)
    asked = _fields_of(query)
    if fields is None and any("." in name for name in asked):
        # Whole records come without what lies behind their references.
        check_conditions(table_api, table, query)
        asked = {name for name in asked if "." not in name}
    wanted = None if fields is None else [*fields, *sorted(asked - set(fields))]
    for row in table_api.find(table, query, fields=wanted, limit=limit):
        _check(table, query, row, asked)
        yield row if fields is None else {name: row[name] for name in fields if name in row}


def count_records(table_api: TableApi, table: str, query: Query | Mapping[str, Value]) -> int:
    """Return how many records match, those included that the user may not see.

    :raises UnsafeQueryError: If the instance left out a condition.
    """
    query = as_query(query)
    check_conditions(table_api, table, query)
    return table_api.count(table, query)


def check_conditions(table_api: TableApi, table: str, query: Query) -> None:
    """Look at a few rows that match, before their number is believed.

    :raises UnsafeQueryError: If the instance left out a condition.
    """
    asked = _fields_of(query)
    if asked:
        # Every part of a long query has all its conditions.
        first = table_api.in_parts(table, Query(query.alternatives), sorted(asked))[0]
        for row in table_api.first_page(table, first, fields=sorted(asked), limit=_SAMPLE):
            _check(table, query, row, asked)


def _fields_of(query: Query) -> set[str]:
    return {term.field for group in query.alternatives for term in group if isinstance(term, Condition)}


def _check(table: str, query: Query, row: Record, asked: set[str]) -> None:
    """Compare a row with the conditions on some fields.

    :raises UnsafeQueryError: If it does not match, or cannot be compared.
    """
    for name in asked:
        # A reference that is empty leads to no field behind it.
        if name not in row and "." not in name:
            raise UnsafeQueryError(
                f"{name} is not in the answer: {table} has no such column, or this account may not read it, "
                "and the instance may have ignored the condition on it"
            )
    failed: list[Condition] = []
    for group in query.alternatives:
        missed = [term for term in group if isinstance(term, Condition) and term.field in asked]
        missed = [term for term in missed if not _may_hold(term, str(row.get(term.field) or ""))]
        if not missed:
            return
        failed += missed
    raise UnsafeQueryError(
        f"The instance ignores the condition {failed[0]} on {table}: it answers with a row where "
        f"{failed[0].field} is {str(row.get(failed[0].field) or '')[:100]!r}"
    )


def _may_hold(condition: Condition, shown: str) -> bool:
    """Whether some database could find that a value matches a condition."""
    return _TESTS[condition.operator](shown, condition.values)


def _equals_one(shown: str, values: Sequence[str]) -> bool:
    loose = _loosely(shown)
    return any(loose == _loosely(value) or _same_moment(shown, value) for value in values)


def _contains(test: Callable[[str, str], bool]) -> Callable[[str, Sequence[str]], bool]:
    def may_contain(shown: str, values: Sequence[str]) -> bool:
        # Of a reference such a condition is about the name, which is not what is stored.
        is_shown_otherwise = is_sys_id(shown) or not _WILDCARDS.isdisjoint(values[0])
        return is_shown_otherwise or test(_loosely(shown), _loosely(values[0]))

    return may_contain


def _sizes(test: Callable[[Any, Any], bool]) -> Callable[[str, Sequence[str]], bool]:
    def may_be(shown: str, values: Sequence[str]) -> bool:
        (value,) = values
        for form in (_NUMBER, _TIME):
            if form.fullmatch(shown) or form.fullmatch(value):
                return bool(form.fullmatch(shown) and form.fullmatch(value)) and test(*_keys(shown, value))
        return bool(shown)  # how texts are ordered is the database's to say

    return may_be


def _keys(shown: str, value: str) -> tuple[Any, Any]:
    if _NUMBER.fullmatch(shown):
        return float(shown), float(value)
    return _moment(shown), _moment(value)


def _loosely(text: str) -> str:
    """Return what any two texts have in common that a database may take for equal."""
    if _NUMBER.fullmatch(text):
        return str(float(text))
    if text.lower() in _BOOLEANS:
        return str(float(_BOOLEANS[text.lower()]))
    plain = unicodedata.normalize("NFKD", text).casefold()
    return "".join(part for part in plain if unicodedata.category(part)[0] not in "MZC")


def _moment(text: str) -> str:
    return text if " " in text else f"{text} 00:00:00"


def _same_moment(shown: str, value: str) -> bool:
    return bool(_TIME.fullmatch(shown) and _TIME.fullmatch(value)) and _moment(shown) == _moment(value)


_TESTS: Final[Mapping[str, Callable[[str, Sequence[str]], bool]]] = {
    "=": _equals_one,
    "IN": _equals_one,
    "!=": lambda shown, values: not shown or shown != values[0],
    "<": _sizes(operator.lt),
    "<=": _sizes(operator.le),
    ">": _sizes(operator.gt),
    ">=": _sizes(operator.ge),
    "LIKE": _contains(operator.contains),
    "STARTSWITH": _contains(str.startswith),
    "ENDSWITH": _contains(str.endswith),
    "NOT LIKE": lambda shown, values: values[0] not in shown or is_sys_id(shown),
    "ISEMPTY": lambda shown, _: not shown,
    # A journal shows no text where it has some.
    "ISNOTEMPTY": lambda _, __: True,
}
