"""Reading what other tools wrote: each step knows where it is, so each refusal names the place.

Payloads come over XCom, from files and over HTTP. Nothing in them is trusted: not the shape, not the types,
not the size.
"""

from __future__ import annotations

import json
import reprlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from airflow_provider_servicenow_dq.anomalies.model import Anomaly
from airflow_provider_servicenow_dq.exceptions import AnomalyFormatError

Wanted = TypeVar("Wanted")


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
    """Return the path of a place under ``path``; ``step`` is a key or ``[index]``."""
    return f"{path}{step}" if not path or not step or step.startswith("[") else f"{path}.{step}"


@dataclass(frozen=True, slots=True)
class Foreign:
    """One place in a payload.

    :param source: Name of the adapter that is reading.
    :param path: Where in the payload, e.g. ``results[3].status``.
    :param value: What is there; ``None`` also where nothing is.
    """

    source: str
    path: str
    value: Any

    def refuse(self, reason: str) -> AnomalyFormatError:
        """Return the error that says what is wrong here."""
        return AnomalyFormatError(self.source, self.path, reason)

    def at(self, key: str) -> Foreign:
        """Return the place under a key; this one must be an object."""
        if not isinstance(self.value, Mapping):
            raise self.refuse(f"an object is due here, not {shown(self.value)}")
        return Foreign(self.source, joined(self.path, key), self.value.get(key))

    def maybe(self, key: str) -> Foreign:
        """Return the place under a key, where this one may be null or missing."""
        return self if self.value is None else self.at(key)

    def entries(self) -> Iterator[tuple[str, Foreign]]:
        """Return the keys of an object, each with its place; nothing where it is null or missing."""
        if self.value is None:
            return
        if not isinstance(self.value, Mapping):
            raise self.refuse(f"an object is due here, not {shown(self.value)}")
        for key in self.value:
            if not isinstance(key, str):
                raise self.refuse(f"keys are text, not {shown(key)}")
            yield key, self.at(key)

    def each(self) -> list[Foreign]:
        """Return the places of a list, none where it is null or missing."""
        if self.value is None:
            return []
        if not isinstance(self.value, (list, tuple)):
            raise self.refuse(f"a list is due here, not {shown(self.value)}")
        return [Foreign(self.source, f"{self.path}[{i}]", item) for i, item in enumerate(self.value)]

    def text(self) -> str:
        """Return a text that must be there; an integer is spelled out."""
        text = self.text_or_none()
        if text is None or not text.strip():
            raise self.refuse(f"a text is due here, not {shown(self.value)}")
        return text

    def text_or_none(self) -> str | None:
        """Return a text, or ``None`` where it is null or missing."""
        # The bound keeps clear of Python's own limit on spelling out integers, which raises ValueError.
        if isinstance(self.value, int) and not isinstance(self.value, bool) and abs(self.value) < 2**63:
            return str(self.value)
        if self.value is None or isinstance(self.value, str):
            return self.value
        raise self.refuse(f"a text is due here, not {shown(self.value)}")

    def scalar_text(self) -> str | None:
        """Return a number, truth value or text as text; of a list only the size, as it may hold rows."""
        if isinstance(self.value, (list, tuple, Mapping)):
            return f"{len(self.value)} values"
        if isinstance(self.value, (bool, float)):
            return str(self.value)
        return self.text_or_none()

    def flag(self) -> bool:
        """Return a truth value that must be there."""
        if not isinstance(self.value, bool):
            raise self.refuse(f"true or false is due here, not {shown(self.value)}")
        return self.value

    def count(self) -> int | None:
        """Return a whole number from 0, or ``None`` where it is null or missing."""
        if self.value is None:
            return None
        if isinstance(self.value, float) and self.value.is_integer():
            return Foreign(self.source, self.path, int(self.value)).count()
        if isinstance(self.value, bool) or not isinstance(self.value, int) or not 0 <= self.value < 2**63:
            raise self.refuse(f"a count is due here, not {shown(self.value)}")
        return self.value

    def chosen(self, meanings: Mapping[str, Wanted]) -> Wanted:
        """Return what the word here means; an unknown word is refused with the known ones."""
        word = self.text().lower()
        if word not in meanings:
            raise self.refuse(f"{shown(self.value)} is none of {', '.join(meanings)}")
        return meanings[word]

    def anomaly(self, **fields: Any) -> Anomaly:
        """Return the anomaly that this place describes; ``None`` leaves a field at its default."""
        try:
            return Anomaly.model_validate({key: value for key, value in fields.items() if value is not None})
        except ValidationError as refusal:
            path, reason = first_fault(refusal)
        raise AnomalyFormatError(self.source, joined(self.path, path), reason)


def first_fault(refusal: ValidationError) -> tuple[str, str]:
    """Return the place and the words of the first thing that pydantic found wrong."""
    fault = refusal.errors(include_url=False, include_context=False, include_input=False)[0]
    path = ""
    for step in fault["loc"]:
        path = joined(path, f"[{step}]" if isinstance(step, int) else step)
    return path, fault["msg"].removeprefix("Value error, ")


def load_json(source: str, text: str) -> Any:
    """Return what a JSON text holds."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise AnomalyFormatError(source, "", f"is not JSON: {error}") from None


def load_json_file(source: str, path: str | Path) -> Any:
    """Return what a JSON file holds."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise AnomalyFormatError(
            source, reprlib.repr(str(path)), f"cannot be read as a file: {reason}"
        ) from None
    return load_json(source, text)


def unique(texts: Sequence[str | None]) -> list[str]:
    """Return the texts in order, each once, without the empty ones."""
    return list(dict.fromkeys(text for text in texts if text))
