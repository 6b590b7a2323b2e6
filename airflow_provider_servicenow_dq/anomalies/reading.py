"""One door for all payloads: finds the adapter, and says so in words when there is none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_servicenow_dq.anomalies import adapters, custom
from airflow_provider_servicenow_dq.anomalies.adapters import AUTO, SOURCES
from airflow_provider_servicenow_dq.anomalies.model import Anomaly, Report
from airflow_provider_servicenow_dq.anomalies.places import joined, shown
from airflow_provider_servicenow_dq.exceptions import AnomalyFormatError

if TYPE_CHECKING:
    from airflow_provider_servicenow_dq.anomalies.adapter import Adapter

__all__ = ["AUTO", "SOURCES", "read_report"]

#: A list of payloads may hold payloads that are lists; nothing is nested deeper than that.
_MAX_DEPTH = 2


def read_report(payload: object, *, source: str = AUTO, options: Mapping[str, Any] | None = None) -> Report:
    """Read one payload or a list of payloads, and keep the order.

    A dict that is already an anomaly in our own words, dumps of :class:`Anomaly` included, keeps the
    ``source`` it names, whatever ``source`` is given.

    :param payload: What a tool reports; the forms are described by the adapters' ``read``.
    :param source: One of :data:`SOURCES`, the source of an adapter that a package brings
        (:mod:`~.entry_points`), or ``auto`` to recognise each payload by its shape.
    :param options: Keyword arguments of the adapters. Those that another adapter takes are let pass, because
        a list may hold payloads of several tools.
    """
    given = dict(options or {})
    if source != AUTO:
        adapters.named(source)
    for name in given:
        if not adapters.is_option(name):
            known = ", ".join(adapters.options())
            raise AnomalyFormatError(
                source, "source_options", f"{shown(name)} is not known; known are {known}"
            )
    return _read(payload, source, given, path="", depth=0)


def _read(payload: object, source: str, options: dict[str, Any], *, path: str, depth: int) -> Report:
    if isinstance(payload, (list, tuple)) and not adapters.is_one_payload(payload, source):
        if depth == _MAX_DEPTH:
            raise AnomalyFormatError(source, path, "lists are nested too deep")
        reports = [
            _read(item, source, options, path=f"{path}[{index}]", depth=depth + 1)
            for index, item in enumerate(payload)
        ]
        return Report(
            anomalies=[anomaly for report in reports for anomaly in report.anomalies],
            passed=sum(report.passed for report in reports),
            passes=[each for report in reports for each in report.passes],
            not_run=sum(report.not_run for report in reports),
        )
    try:
        adapter = _adapter_for(payload, source)
        wanted = {name: value for name, value in options.items() if name in adapter.options}
        return adapter.read(payload, **wanted)
    except AnomalyFormatError as refusal:
        # An option is no part of any payload of the list.
        place = refusal.path if refusal.path.startswith("source_options") else joined(path, refusal.path)
        raise AnomalyFormatError(refusal.source, place, refusal.reason) from None


def _adapter_for(payload: object, source: str) -> Adapter:
    if isinstance(payload, Anomaly):
        return adapters.named(custom.SOURCE)
    if isinstance(payload, Mapping):
        own = payload.get("source")
        if isinstance(own, str) and {"dataset", "check_name"} <= payload.keys():
            return adapters.named(custom.SOURCE)
        if source == AUTO and isinstance(own, str) and own in adapters.sources():
            return adapters.named(own)
    return adapters.recognised(payload) if source == AUTO else adapters.named(source)
