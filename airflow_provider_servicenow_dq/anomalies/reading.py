"""One door for all payloads: finds the adapter, and says so in words when there is none."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from airflow_provider_servicenow_dq.anomalies import airflow_sql, custom, dbt, great_expectations, qualytics
from airflow_provider_servicenow_dq.anomalies.foreign import joined, shown
from airflow_provider_servicenow_dq.anomalies.model import Anomaly, Report
from airflow_provider_servicenow_dq.exceptions import AnomalyFormatError

AUTO = "auto"
#: A list of payloads may hold payloads that are lists; nothing is nested deeper than that.
_MAX_DEPTH = 2


class _Adapter(Protocol):
    """What a module must have to be an adapter."""

    SOURCE: str

    def recognises(self, payload: object) -> bool:
        """Whether the payload has a form of this source."""

    @property
    def read(self) -> Callable[..., Report]:
        """Reads a payload; its keyword-only parameters are the adapter's options."""


# Our own form comes first: it is recognised by names that no tool's payload has at its top.
_IN_ORDER: tuple[_Adapter, ...] = (custom, airflow_sql, dbt, great_expectations, qualytics)
_ADAPTERS = {adapter.SOURCE: adapter for adapter in _IN_ORDER}
_OPTIONS = {
    source: [
        parameter.name
        for parameter in inspect.signature(adapter.read).parameters.values()
        if parameter.kind is parameter.KEYWORD_ONLY
    ]
    for source, adapter in _ADAPTERS.items()
}
#: Sources that :func:`read_report` has an adapter for.
SOURCES = tuple(_ADAPTERS)


def read_report(payload: object, *, source: str = AUTO, options: Mapping[str, Any] | None = None) -> Report:
    """Read one payload or a list of payloads, and keep the order.

    A dict that is already an anomaly in our own words, dumps of :class:`Anomaly` included, keeps the
    ``source`` it names, whatever ``source`` is given.

    :param payload: What a tool reports; the forms are described by the adapters' ``read``.
    :param source: One of :data:`SOURCES`, or ``auto`` to recognise it by its shape.
    :param options: Keyword arguments of the adapters. Those that another adapter takes are let pass, because
        a list may hold payloads of several tools.
    """
    if source != AUTO and source not in _ADAPTERS:
        raise AnomalyFormatError(source, "source", f"is not known; known are {AUTO}, {', '.join(SOURCES)}")
    given = dict(options or {})
    known = {name for names in _OPTIONS.values() for name in names}
    for name in given:
        if name not in known:
            raise AnomalyFormatError(
                source, "source_options", f"{shown(name)} is not known; known are {', '.join(sorted(known))}"
            )
    return _read(payload, source, given, path="", depth=0)


def _read(payload: object, source: str, options: dict[str, Any], *, path: str, depth: int) -> Report:
    if isinstance(payload, (list, tuple)):
        if depth == _MAX_DEPTH:
            raise AnomalyFormatError(source, path, "lists are nested too deep")
        reports = [
            _read(item, source, options, path=f"{path}[{index}]", depth=depth + 1)
            for index, item in enumerate(payload)
        ]
        return Report(
            anomalies=[anomaly for report in reports for anomaly in report.anomalies],
            passed=sum(report.passed for report in reports),
            not_run=sum(report.not_run for report in reports),
        )
    try:
        adapter = _adapter_for(payload, source)
        wanted = {name: value for name, value in options.items() if name in _OPTIONS[adapter.SOURCE]}
        return adapter.read(payload, **wanted)
    except AnomalyFormatError as refusal:
        raise AnomalyFormatError(refusal.source, joined(path, refusal.path), refusal.reason) from None


def _adapter_for(payload: object, source: str) -> _Adapter:
    if isinstance(payload, Anomaly):
        return custom
    if isinstance(payload, Mapping):
        own = payload.get("source")
        if isinstance(own, str) and {"dataset", "check_name"} <= payload.keys():
            return custom
        if source == AUTO and isinstance(own, str) and own in _ADAPTERS:
            return _ADAPTERS[own]
    if source != AUTO:
        return _ADAPTERS[source]
    for adapter in _ADAPTERS.values():
        if adapter.recognises(payload):
            return adapter
    raise AnomalyFormatError(AUTO, "", _unrecognised(payload))


def _unrecognised(payload: object) -> str:
    reason = f"{shown(payload)} is the payload of no known source; known are {', '.join(SOURCES)}"
    if isinstance(payload, str):
        return f"{reason}. A text can be many things: name the source, or pass the object instead of its text"
    return reason
