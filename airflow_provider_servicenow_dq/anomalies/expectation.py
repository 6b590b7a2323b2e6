"""What an expectation of Great Expectations asks: its arguments, as an identity and in words."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from airflow_provider_servicenow_dq.anomalies.foreign import Foreign, unique

if TYPE_CHECKING:
    from collections.abc import Mapping

_COLUMN_ARGUMENTS = ("column", "column_A", "column_B", "column_list", "column_set")


def arguments_of(kwargs: Foreign) -> dict[str, Any]:
    """Return what was asked, the same for every run and every form of the result."""
    # A batch is where it ran, not what was asked; null is GX's way to say "not given".
    given = {
        key: place.json() for key, place in kwargs.entries() if key != "batch_id" and place.value is not None
    }
    arguments: dict[str, Any] = json.loads(json.dumps(given, sort_keys=True), parse_float=_number)
    return arguments


def _number(text: str) -> int | float:
    # The same argument comes as 0 or as 0.0, depending on which form wrote it.
    number = float(text)
    return int(number) if number.is_integer() else number


def written(arguments: Mapping[str, Any]) -> str:
    """Return the arguments as part of an identity: different arguments are written differently."""
    return ", ".join(f"{key}={json.dumps(value, sort_keys=True)}" for key, value in arguments.items())


def expected(arguments: Mapping[str, Any]) -> str | None:
    """Return for people what was asked, without the columns."""
    asked = {key: value for key, value in arguments.items() if key not in _COLUMN_ARGUMENTS}
    texts = (
        f"{key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in asked.items()
    )
    return ", ".join(texts) or None


def columns_of(arguments: Mapping[str, Any]) -> list[str]:
    """Return the columns that the expectation is about."""
    named: list[Any] = []
    for key in _COLUMN_ARGUMENTS:
        value = arguments.get(key)
        named.extend(value if isinstance(value, list) else [value])
    return unique([name for name in named if isinstance(name, str)])
