"""The extras of a connection as their types: a form writes nulls, a URI gives nothing but texts."""

from __future__ import annotations

import difflib
import logging
from typing import TYPE_CHECKING, Any

from airflow_provider_servicenow_dq.exceptions import ServiceNowConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from collections.abc import Set as AbstractSet

log = logging.getLogger(__name__)

#: Read elsewhere, out of the same connection.
_OTHERS_KEYS = {"projects", "webhook_secret"}
_WORDS = {True: {"true", "yes", "on", "1"}, False: {"false", "no", "off", "0"}}


def read_extras(extra: Mapping[str, Any], known: AbstractSet[str]) -> dict[str, Any]:
    """Return the known extras that are set; nulls and blank texts are not.

    :raises ServiceNowConfigError: If a value is of no use as what it should be; never shows it.
    """
    given = {key: value for key, value in extra.items() if key in known and _is_set(value)}
    return {key: _read(key, value) for key, value in given.items()}


def warn_of_unknown_extras(conn_id: str, extra: Mapping[str, Any], known: AbstractSet[str]) -> None:
    """Warn of extras that nobody reads, each with the name that it may be meant to have."""
    names = sorted(known | _OTHERS_KEYS)
    for key in (key for key, value in extra.items() if _is_set(value) and key not in names):
        nearest = difflib.get_close_matches(key, names, n=1)
        hint = f"; did you mean {nearest[0]!r}?" if nearest else f"; known are {', '.join(names)}"
        log.warning("Connection %r: unknown extra %r is ignored%s", conn_id, key, hint)


def _is_set(value: Any) -> bool:
    return value is not None and not (isinstance(value, str) and not value.strip())


def _read_text(key: str, value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise ServiceNowConfigError(f"extra {key!r} must be text")
    return value.strip()


def _read_number(key: str, value: Any) -> float:
    if not isinstance(value, bool):
        try:
            return float(value)
        except (TypeError, ValueError, OverflowError):
            pass
    raise ServiceNowConfigError(f"extra {key!r} must be a number")


def _read_integer(key: str, value: Any) -> int:
    number = _read_number(key, value)
    if not number.is_integer():
        raise ServiceNowConfigError(f"extra {key!r} must be a whole number")
    return int(number)


def _read_verify(key: str, value: Any) -> bool | str:
    if isinstance(value, bool):
        return value
    word = _read_text(key, value)
    return next((meaning for meaning, words in _WORDS.items() if word.lower() in words), word)


def _read_key(key: str, value: Any) -> str:
    # A PEM holds no backslash: one in it is a line break that did not survive an environment variable.
    return _read_text(key, value).replace("\\r", "").replace("\\n", "\n")


_READERS: dict[str, Callable[[str, Any], Any]] = {
    "verify": _read_verify,
    "timeout_s": _read_number,
    "max_concurrency": _read_integer,
    "batch_size": _read_integer,
    "jwt_private_key": _read_key,
}


def _read(key: str, value: Any) -> Any:
    reader: Callable[[str, Any], Any] = _READERS.get(key, _read_text)
    return reader(key, value)
