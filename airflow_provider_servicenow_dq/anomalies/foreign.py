"""Reading what other tools wrote: each step knows where it is, so each refusal names the place.

Payloads come over XCom, from files and over HTTP. Nothing in them is trusted: not the shape, not the types,
not the size.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import ValidationError

from airflow_provider_servicenow_dq.anomalies.model import Anomaly, Pass
from airflow_provider_servicenow_dq.anomalies.places import joined, not_json, shown, step_to
from airflow_provider_servicenow_dq.anomalies.values import MAX_ENTRIES
from airflow_provider_servicenow_dq.exceptions import AnomalyFormatError

Wanted = TypeVar("Wanted")


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
        return Foreign(self.source, joined(self.path, step_to(key)), self.value.get(key))

    def but(self, value: Any) -> Foreign:
        """Return this place with what was made of its value, so that a refusal of that names this place."""
        return Foreign(self.source, self.path, value)

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
        return list(self.stream())

    def stream(self) -> Iterator[Foreign]:
        """Return the places of a list one by one: a list of rows may be long, and each place costs memory."""
        if self.value is None:
            return
        if not isinstance(self.value, (list, tuple)):
            raise self.refuse(f"a list is due here, not {shown(self.value)}")
        for index, item in enumerate(self.value):
            yield Foreign(self.source, f"{self.path}[{index}]", item)

    def text(self) -> str:
        """Return a text that must be there; an integer is spelled out."""
        text = self.text_or_none()
        if text is None or not text.strip():
            raise self.refuse(f"a text is due here, not {shown(self.value)}")
        return text

    def word(self) -> str:
        """Return a text that must be there, and that no tool writes as a number."""
        if not isinstance(self.value, str):
            raise self.refuse(f"a text is due here, not {shown(self.value)}")
        return self.text()

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

    def json(self) -> Any:
        """Return what is here, if JSON can say it and it is not nested deeper than any tool nests."""
        if fault := not_json(self.value):
            path, reason = fault
            raise AnomalyFormatError(self.source, joined(self.path, path), reason)
        return self.value

    def row_text(self, default: Callable[[Any], Any] | None = None) -> str:
        """Return a sample row as text.

        :param default: Makes something of values that JSON does not know; without it they are refused.
        """
        if isinstance(self.value, str):
            return self.value
        try:
            return json.dumps(self.value, ensure_ascii=False, default=default or _refuse_type)
        except (TypeError, ValueError, RecursionError) as error:
            raise self.refuse(f"is not JSON: {error}") from None

    def anomaly(self, **fields: Any) -> Anomaly:
        """Return the anomaly that this place describes.

        :param fields: Those of :class:`Anomaly`; ``None`` leaves one at its default. A place stands for its
            value: where that is refused, the error names the place.
        """
        given = {key: field.value if isinstance(field, Foreign) else field for key, field in fields.items()}
        try:
            return Anomaly.model_validate({key: value for key, value in given.items() if value is not None})
        except ValidationError as refusal:
            steps, reason = first_fault(refusal)
        origin = fields.get(str(steps[0])) if steps else None
        path = origin.path if isinstance(origin, Foreign) else self.path
        for step in steps[1:] if isinstance(origin, Foreign) else steps:
            path = joined(path, f"[{step}]" if isinstance(step, int) else step_to(step))
        raise AnomalyFormatError(self.source, path, reason)

    def passes(self, identity: Callable[..., Mapping[str, Any]], *args: Any, **options: Any) -> list[Pass]:
        """Return the pass that this place describes, or none where it does not say of which check.

        :param identity: Returns, for the other arguments, the fields of :class:`Anomaly` that tell the
            check's anomaly from others.
        """
        try:
            return [Pass.of(self.anomaly(**identity(*args, **options)))]
        except AnomalyFormatError:
            # Nothing is wrong with the data, so nobody is stopped; it just resolves nothing.
            return []


def first_fault(refusal: ValidationError) -> tuple[tuple[int | str, ...], str]:
    """Return the steps to the first thing that pydantic found wrong, and its words."""
    fault = refusal.errors(include_url=False, include_context=False, include_input=False)[0]
    return fault["loc"], fault["msg"].removeprefix("Value error, ")


def _refuse_type(value: Any) -> str:
    raise TypeError(f"{type(value).__name__} is not a JSON type")


def option(source: str, name: str, value: object) -> Foreign:
    """Return an option of an adapter as a place, so that a wrong one is refused like a wrong payload."""
    return Foreign(source, f"source_options.{name}", value)


def sample_count(source: str, samples: object) -> int:
    """Return how many rows of each anomaly the option ``samples`` asks for; true means all that fit."""
    if isinstance(samples, bool):
        return MAX_ENTRIES if samples else 0
    return min(option(source, "samples", samples).count() or 0, MAX_ENTRIES)


def unique(texts: Sequence[str | None]) -> list[str]:
    """Return the texts in order, each once, without the empty ones."""
    return list(dict.fromkeys(text for text in texts if text))
