"""Adapters that other packages bring, by entry points of the group :data:`GROUP`.

The entry point's name is the source; what it refers to is a module, or any object, with ``recognises`` and
``read`` as in :class:`~.adapter.Reading`. Their code is not ours: whatever it raises or returns becomes an
error that names it.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_servicenow_dq.anomalies.adapter import Adapter
from airflow_provider_servicenow_dq.anomalies.model import SOURCE_PATTERN, Anomaly, Report
from airflow_provider_servicenow_dq.anomalies.places import shown
from airflow_provider_servicenow_dq.anomalies.values import cut
from airflow_provider_servicenow_dq.exceptions import AnomalyFormatError

if TYPE_CHECKING:
    from collections.abc import Mapping

GROUP: Final = "airflow_provider_servicenow_dq.adapters"
#: Enough of what foreign code said to find the place.
_SAID: Final = 300

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Loaded:
    """What became of the entry points.

    :param usable: The adapters, by source.
    :param unusable: Why the others cannot be used, in words, by source.
    """

    usable: dict[str, Adapter]
    unusable: dict[str, str]


@cache
def offered(taken: frozenset[str]) -> Mapping[str, list[EntryPoint]]:
    """Return the entry points of all installed packages by source, without importing any.

    They are looked for once per process.

    :param taken: Names that no package may take; a warning says so of each that tries.
    """
    found: dict[str, list[EntryPoint]] = {}
    for point in entry_points(group=GROUP):
        if point.name in taken:
            _log.warning(
                "%s is ignored: the name %r is taken; give the entry point another one",
                _described(point),
                point.name,
            )
        elif not re.fullmatch(SOURCE_PATTERN, point.name):
            _log.warning(
                "%s is ignored: its name %r is no source, %s", _described(point), point.name, SOURCE_PATTERN
            )
        else:
            found.setdefault(point.name, []).append(point)
    return MappingProxyType(found)


@cache
def loaded(taken: frozenset[str]) -> Loaded:
    """Return the adapters behind :func:`offered`; their modules are imported once per process."""
    adapters = Loaded({}, {})
    for source, points in offered(taken).items():
        who = " and ".join(_described(point) for point in points)
        if len(points) > 1:
            adapters.unusable[source] = f"{who} have the same name {source!r}; remove one"
            continue
        try:
            adapter = _adapter(source, points[0])
        except Exception as error:  # noqa: BLE001 (importing foreign code may raise anything)
            adapters.unusable[source] = f"{who} cannot be loaded: {_words(error)}"
        else:
            guard = _Guard(source, who, adapter)
            adapters.usable[source] = replace(adapter, recognises=guard.recognises, read=guard.read)
    for reason in adapters.unusable.values():
        _log.warning("%s", reason)
    return adapters


def _adapter(source: str, point: EntryPoint) -> Adapter:
    reading = point.load()
    for name in ("recognises", "read"):
        if not callable(getattr(reading, name, None)):
            raise TypeError(f"it has no function {name}")
    return Adapter.of(source, reading)


@dataclass(frozen=True, slots=True)
class _Guard:
    """Stands between us and an adapter that is not ours."""

    source: str
    who: str
    adapter: Adapter

    def recognises(self, payload: object) -> bool:
        claims = self._call(self.adapter.recognises, payload)
        if not isinstance(claims, bool):
            raise self._refused(f"recognises must return true or false, not {shown(claims)}")
        return claims

    def read(self, payload: object, **options: Any) -> Report:
        report = self._call(self.adapter.read, payload, **options)
        if not isinstance(report, Report):
            raise self._refused(f"read must return a Report, not {shown(report)}")
        # A report can be made past its own checks.
        anomalies: list[Any] = report.anomalies
        for anomaly in anomalies:
            if not isinstance(anomaly, Anomaly) or anomaly.source != self.source:
                raise self._refused(f"each of its anomalies must be an Anomaly with source={self.source!r}")
        return report

    def _call(self, function: Any, *arguments: Any, **options: Any) -> Any:
        try:
            return function(*arguments, **options)
        except AnomalyFormatError:
            raise
        except Exception as error:
            raise self._refused(_words(error)) from error

    def _refused(self, reason: str) -> AnomalyFormatError:
        return AnomalyFormatError(self.source, "", f"{self.who}: {reason}")


def _described(point: EntryPoint) -> str:
    package = f"the package {point.dist.name} {point.dist.version}" if point.dist else "no package"
    return f"the adapter {point.value} of {package}"


def _words(error: Exception) -> str:
    try:
        said = " ".join(str(error).split())
    except Exception:  # noqa: BLE001 (also the text of a foreign error is foreign code)
        said = ""
    return cut(f"{type(error).__name__}: {said}" if said else type(error).__name__, _SAID)
