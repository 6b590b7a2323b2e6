"""What users say about a check beside it, in both versions of Soda: severity, owner, words of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_servicenow_dq.anomalies.model import Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from airflow_provider_servicenow_dq.anomalies.foreign import Foreign

_OWN_FIELDS: Final = ("severity", "owner")


@dataclass(frozen=True, slots=True)
class Asked:
    """What the caller wants.

    :param dataset: Stands in where the payload names none.
    :param severities: Meaning of each word of a severity attribute, in lower case.
    """

    dataset: Foreign
    severities: Mapping[str, Severity]

    @classmethod
    def of(cls, dataset: Foreign, severities: Foreign) -> Asked:
        """Return what the options say."""
        dataset.text_or_none()
        known = {severity.value: severity for severity in Severity}
        given = {word.lower(): meaning.chosen(known) for word, meaning in severities.entries()}
        return cls(dataset, {**known, **given})

    def named(self, place: Foreign, *parts: str | None) -> Foreign:
        """Return the dataset of these names at ``place``, or the one that stands in for it."""
        if name := ".".join(part for part in parts if part):
            return place.but(name)
        if not self.dataset.value:
            raise place.refuse("does not say what was checked: give the option dataset")
        return self.dataset

    def fields(self, attributes: Iterable[tuple[str, Foreign]], *, otherwise: Severity) -> dict[str, Any]:
        """Return severity, owner and tags as a check's attributes say them.

        :param otherwise: The severity where the check says none, or one that nobody has explained.
        """
        values = {name.lower(): place for name, place in attributes}
        severity, owner = (values[name].scalar_text() if name in values else None for name in _OWN_FIELDS)
        return {
            "severity": self.severities.get((severity or "").lower(), otherwise),
            "owner": owner or None,
            "tags": [tag for name, place in values.items() for tag in _tags(name, place)],
        }


def _tags(name: str, place: Foreign) -> Iterator[str]:
    if name in _OWN_FIELDS:
        return
    for item in place.each() if isinstance(place.value, (list, tuple)) else [place]:
        if (text := item.scalar_text()) is not None:
            yield f"{name}:{text}"
