"""The failure cases of Pandera, one by one, whatever form they come in."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from airflow_provider_servicenow_dq.anomalies.foreign import Foreign
from airflow_provider_servicenow_dq.anomalies.places import shown

_COLUMNS: Final = ("schema_context", "column", "check", "check_number", "failure_case", "index")
_REQUIRED: Final = {"check", "failure_case"}
_CATEGORIES: Final = {"SCHEMA", "DATA", "DTYPE_COERCION"}


def is_case(value: object) -> bool:
    """Whether this is one row of the failure cases."""
    return isinstance(value, Mapping) and value.keys() >= _REQUIRED and not is_table(value)


def is_table(value: object) -> bool:
    """Whether these are the failure cases by column, as ``to_json()`` and ``to_dict()`` write them."""
    return (
        isinstance(value, Mapping)
        and value.keys() >= _REQUIRED
        and all(isinstance(value[name], (Mapping, list, tuple)) for name in _REQUIRED)
    )


def is_frame(value: object) -> bool:
    """Whether this is a frame of failure cases, of pandas, Polars or another library."""
    names = getattr(value, "columns", None)
    return (
        not isinstance(value, Mapping)
        and isinstance(names, Iterable)
        and {name for name in names if isinstance(name, str)} >= _REQUIRED
    )


def is_message(value: object) -> bool:
    """Whether this is ``SchemaErrors.message``: what failed by category and reason."""
    return (
        isinstance(value, Mapping)
        and bool(value)
        and all(isinstance(category, str) and category in _CATEGORIES for category in value)
    )


def missing(value: object) -> bool:
    """Whether there is nothing: frames have NaN for it."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def cases(place: Foreign) -> Iterator[Foreign]:
    """Return the rows one by one, each an object with a part of the columns; no two are held at a time.

    Rows of a message have no ``failure_case``, but the ``reason`` for which they are listed.
    """
    value = place.value
    if is_frame(value):
        yield from _of_columns(place, {name: value[name] for name in value.columns if name in _COLUMNS})
    elif is_table(value):
        columns = {name: value[name] for name in _COLUMNS if value.get(name) is not None}
        for name, column in columns.items():
            if not isinstance(column, (Mapping, list, tuple)):
                raise place.at(name).refuse(f"a list is due here, not {shown(column)}")
        values = (column.values() if isinstance(column, Mapping) else column for column in columns.values())
        yield from _of_columns(place, dict(zip(columns, values, strict=True)))
    elif is_message(value):
        yield from _of_message(place)
    else:
        for row in [place] if isinstance(value, Mapping) else place.stream():
            if not is_case(row.value):
                raise row.refuse(f"a failure case is due here, not {shown(row.value)}")
            yield row


def _of_columns(place: Foreign, columns: Mapping[str, Iterable[Any]]) -> Iterator[Foreign]:
    try:
        for number, row in enumerate(zip(*columns.values(), strict=True)):
            yield Foreign(place.source, f"{place.path}[{number}]", dict(zip(columns, row, strict=True)))
    except (TypeError, ValueError):
        raise place.refuse("its columns cannot be read row by row") from None


def _of_message(place: Foreign) -> Iterator[Foreign]:
    for _, category in place.entries():
        for reason, entries in category.entries():
            for entry in entries.stream():
                if not isinstance(entry.value, Mapping):
                    raise entry.refuse(f"an object is due here, not {shown(entry.value)}")
                yield entry.but({**entry.value, "reason": reason})
