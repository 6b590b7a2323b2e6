"""Columns of a ticket as projects and operators give them: any value that has an obvious text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator


def column_text(value: Any) -> str:
    """Return the value as the Table API takes it: ``true``, ``3``, ``one,two``."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ",".join(column_text(part) for part in value)
    return str(value)


def _texts(values: Any) -> Any:
    if not isinstance(values, Mapping):
        return values
    for name, value in values.items():
        if value is None or isinstance(value, Mapping):
            raise ValueError(f"{name} must be a text, a number, true or false, or a list of them")
    return {name: column_text(value) for name, value in values.items()}


#: Columns by name; numbers, booleans and lists are spelled out.
Columns = Annotated[Mapping[str, str], BeforeValidator(_texts)]
