"""Which columns a project's tickets get, by what the anomaly is about: the first route that matches."""

from __future__ import annotations

import fnmatch
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

from airflow_provider_servicenow_dq.anomalies.model import Severity
from airflow_provider_servicenow_dq.anomalies.values import AnyCase
from airflow_provider_servicenow_dq.projects.columns import Columns

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_servicenow_dq.anomalies.model import Anomaly

#: Begins a pattern that is a regular expression.
_REGEX: Final = "regex:"


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    text = pattern.removeprefix(_REGEX) if pattern.startswith(_REGEX) else fnmatch.translate(pattern)
    # Tools write the same table as ORDERS and as orders.
    return re.compile(text, re.IGNORECASE)


def _checked(patterns: tuple[str, ...]) -> tuple[str, ...]:
    for pattern in patterns:
        try:
            _compiled(pattern)
        except re.error as error:
            raise ValueError(f"{pattern!r} is no regular expression: {error}") from None
    return patterns


def _listed(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else (value,)


#: One pattern or several, of which one must match: ``sales.*`` as in file names, or ``regex:`` and a regular
#: expression for the whole text. Upper and lower case are the same.
_Patterns = Annotated[tuple[str, ...], AfterValidator(_checked), BeforeValidator(_listed)]
_Severities = Annotated[tuple[Annotated[Severity, AnyCase], ...], BeforeValidator(_listed)]


class Match(BaseModel):
    """What an anomaly must be like: everything that is named must fit; nothing named fits all.

    :param dataset: Patterns for its dataset.
    :param source: Patterns for the tool that found it.
    :param tags: Patterns of which one must match one of its tags.
    :param severity: Severities.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)

    dataset: _Patterns | None = None
    source: _Patterns | None = None
    tags: _Patterns | None = None
    severity: _Severities | None = None

    def fits(self, anomaly: Anomaly) -> bool:
        """Whether an anomaly is like that."""
        return (
            _fits(self.dataset, [anomaly.dataset])
            and _fits(self.source, [anomaly.source])
            and _fits(self.tags, anomaly.tags)
            and (self.severity is None or anomaly.severity in self.severity)
        )


class Route(BaseModel):
    """Columns for the tickets of some anomalies."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    match: Match = Match()
    fields: Columns


def first_fitting(routes: Iterable[Route], anomaly: Anomaly) -> Route | None:
    """Return the first route for an anomaly, if there is one."""
    return next((route for route in routes if route.match.fits(anomaly)), None)


def _fits(patterns: tuple[str, ...] | None, texts: Iterable[str]) -> bool:
    if patterns is None:
        return True
    return any(_compiled(pattern).fullmatch(text) for text in texts for pattern in patterns)
