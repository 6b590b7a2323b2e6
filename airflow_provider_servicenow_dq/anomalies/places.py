"""Where something is in a payload, and what is there, in words that fit into an error message."""

from __future__ import annotations

import json
import math
import re
import reprlib
from collections.abc import Iterable, Mapping
from typing import Any, Final

#: No tool nests what we read deeper; JSON's own parser gives up at about 1,000.
MAX_NESTING: Final = 64

# A longer path tells no more, and a payload can make it as long as it likes.
_MAX_PATH = 400
_MORE = "…"
_PLAIN_STEP = re.compile(r"[\w$-]{1,80}|\[\d+\]")
_LONGEST_STEP = 60
# Python refuses to write integers of more than 4,300 digits.
_MAX_BITS = 4096
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{},]', re.DOTALL)


def shown(value: object) -> str:
    """Return ``value`` in a few words, for an error message."""
    if isinstance(value, Mapping):
        return f"an object with {', '.join(_brief(key) for key in list(value)[:8]) or 'no keys'}"
    if isinstance(value, (list, tuple)):
        return f"a list of {len(value)}"
    return "nothing" if value is None else f"{type(value).__name__} {_brief(value)}"


def _brief(value: object) -> str:
    try:
        return reprlib.repr(value)
    except ValueError:
        # Python refuses to spell out integers of more than 4300 digits.
        return "of many digits"


def joined(path: str, step: str) -> str:
    """Return the path of a place under ``path``; ``step`` is a path from there, or ``[index]``."""
    if path.endswith(_MORE) or not step:
        return path
    whole = f"{path}{step}" if not path or step.startswith("[") else f"{path}.{step}"
    return whole if len(whole) <= _MAX_PATH else whole[: _MAX_PATH - 1] + _MORE


def step_to(key: str) -> str:
    """Return the step to a key: the key itself, or as ``["…"]`` where it would be mistaken or is long."""
    if _PLAIN_STEP.fullmatch(key) and not key.startswith("["):
        return key
    brief = key if len(key) <= _LONGEST_STEP else f"{key[:_LONGEST_STEP]}{_MORE}"
    return f"[{json.dumps(brief)}]"


def not_json(value: object, depth: int = 0) -> tuple[str, str] | None:
    """Return the path and the words of the first thing that JSON cannot say, ``None`` if there is none.

    Numbers must be finite and keys must be text; nothing may be nested deeper than :data:`MAX_NESTING`.
    """
    if not isinstance(value, (Mapping, list, tuple)):
        reason = _not_scalar(value)
        return ("", reason) if reason else None
    if depth == MAX_NESTING:
        return "", f"is nested deeper than {MAX_NESTING} levels"
    steps: Iterable[tuple[Any, Any]] = value.items() if isinstance(value, Mapping) else enumerate(value)
    for step, item in steps:
        if isinstance(value, Mapping) and not isinstance(step, str):
            return "", f"keys are text, not {shown(step)}"
        if fault := not_json(item, depth + 1):
            path, reason = fault
            return joined(step_to(step) if isinstance(step, str) else f"[{step}]", path), reason
    return None


def _not_scalar(value: object) -> str | None:
    if isinstance(value, float):
        return None if math.isfinite(value) else f"{value} is no number of JSON"
    if isinstance(value, int):
        return "a number of so many digits is not read" if value.bit_length() > _MAX_BITS else None
    return None if value is None or isinstance(value, str) else f"{shown(value)} is not JSON"


def too_deep(text: str) -> str:
    """Return the path at which a JSON text is nested deeper than :data:`MAX_NESTING`, empty if it is not."""
    path: list[str | int] = []
    for found in _TOKEN.finditer(text):
        mark = found[0]
        if mark in "[{":
            path.append(0 if mark == "[" else "")
            if len(path) > MAX_NESTING:
                return _written(path[:-1])
        elif mark in "]}":
            del path[-1:]
        elif mark == ",":
            if path and isinstance(path[-1], int):
                path[-1] += 1
        elif path and isinstance(path[-1], str):
            # A key or a value; what nests is preceded by its key.
            path[-1] = mark
    return ""


def _written(path: Iterable[str | int]) -> str:
    whole = ""
    for step in path:
        if isinstance(step, int):
            whole = joined(whole, f"[{step}]")
        else:
            try:
                key = json.loads(step)
            except ValueError:
                key = step
            whole = joined(whole, step_to(key))
    return whole
