"""Scan results of Soda Core 3, seen with 3.5.6.

One check that cannot run empties the whole scan: ``checks`` is empty then, ``hasErrors`` is true, and nothing
is known about any of the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_servicenow_dq.anomalies.foreign import Foreign, unique
from airflow_provider_servicenow_dq.anomalies.model import Anomaly, Kind, Pass, Report, Severity
from airflow_provider_servicenow_dq.anomalies.values import MAX_NAME, cut, short_id

if TYPE_CHECKING:
    from airflow_provider_servicenow_dq.anomalies.soda_attributes import Asked

_DEFAULTS: Final = {"fail": Severity.HIGH, "warn": Severity.MEDIUM}
_OUTCOMES: Final = {**_DEFAULTS, "pass": None}
_SIGNS: Final = {
    "greaterThan": ">",
    "greaterThanOrEqual": ">=",
    "lessThan": "<",
    "lessThanOrEqual": "<=",
}
# Version 3 counts the values that occur more than once, not the rows that hold them.
_UNITS: Final = {
    "duplicate_count": "groups",
    "failed rows": "rows",
    "invalid_count": "rows",
    "missing_count": "rows",
    "reference": "rows",
}
_TRACEBACK: Final = "Traceback (most recent call last):"


def is_scan(payload: object) -> bool:
    """Whether this is the document of a scan."""
    return (
        isinstance(payload, Mapping)
        and {"definitionName", "scanStartTimestamp"} <= payload.keys()
        and isinstance(payload.get("checks"), (list, tuple))
    )


def read(scan: Foreign, asked: Asked) -> Report:
    """Read a scan; what it could not do is added to what its checks found."""
    metrics = {
        metric.at("identity").text_or_none(): metric.at("metricName").text_or_none()
        for metric in scan.at("metrics").each()
    }
    anomalies = []
    passes: list[Pass] = []
    passed = not_run = 0
    for check in [*scan.at("checks").each(), *scan.at("automatedMonitoringChecks").each()]:
        outcome = check.at("outcome")
        severity = None if outcome.value is None else outcome.chosen(_OUTCOMES)
        if outcome.value is None:
            not_run += 1
        elif severity is None:
            passed += 1
            passes += check.passes(_identity, scan, check, asked)
        else:
            anomalies.append(_anomaly(scan, check, metrics, asked, severity))
    found = [*anomalies, *_errors(scan, asked)]
    return Report(anomalies=found, passed=passed, passes=passes, not_run=not_run)


def _anomaly(
    scan: Foreign, check: Foreign, metrics: Mapping[str | None, str | None], asked: Asked, severity: Severity
) -> Anomaly:
    attributes = [
        (attribute.at("name").text(), attribute.at("value"))
        for attribute in check.at("resourceAttributes").each()
    ]
    metric = next((metrics.get(place.text()) for place in check.at("metrics").each()), None)
    found = check.at("diagnostics")
    schema = _schema_events(found)
    return check.anomaly(
        **_identity(scan, check, asked),
        kind=_kind(check, found, metric),
        type=check.at("type"),
        columns=unique([check.at("column").text_or_none(), *schema]),
        observed=_observed(found),
        expected=_expected(found, check.at("outcome").text()),
        message="\n".join([*_reasons(check), *schema.values()]) or None,
        **_counted(found, metric),
        **asked.fields(attributes, otherwise=severity),
    )


def _identity(scan: Foreign, check: Foreign, asked: Asked) -> dict[str, Any]:
    """Return what tells this check from others and this scan from others, failed or not."""
    own_id = check.at("source_identity").text_or_none() or check.at("identities").maybe("v4").text_or_none()
    return {
        "source": scan.source,
        "dataset": _dataset(check, asked),
        # Soda's own changes with the threshold; one that the user has given does not.
        "check_id": check.at("identity").but(short_id(own_id or check.at("identity").text())),
        "check_name": check.at("name").but(cut(check.at("name").text(), MAX_NAME)),
        "detected_at": scan.at("dataTimestamp"),
    }


def _dataset(place: Foreign, asked: Asked) -> Foreign:
    return asked.named(place, *(place.at(key).text_or_none() for key in ("dataSource", "table")))


def _kind(check: Foreign, found: Foreign, metric: str | None) -> Kind:
    if metric == "schema":
        return Kind.SCHEMA
    if found.maybe("measure").value == "time":
        return Kind.FRESHNESS
    return Kind.DRIFT if check.at("type").value == "anomalyDetection" else Kind.CHECK_FAILED


def _schema_events(found: Foreign) -> dict[str, str]:
    """Return what is wrong with each column, in words."""
    events = {}
    for place in found.maybe("missing_column_names").each():
        events[place.text()] = f"{place.text()} is missing"
    for place in found.maybe("present_column_names").each():
        events[place.text()] = f"{place.text()} must not be there"
    for column, place in found.maybe("column_type_mismatches").entries():
        types = [place.at(key).text_or_none() for key in ("actual_type", "expected_type")]
        events[column] = "{} is {}, expected {}".format(column, *types)
    return events


def _reasons(check: Foreign) -> list[str]:
    reasons = [reason.at("message").text_or_none() for reason in check.at("outcomeReasons").each()]
    return unique(reasons)


def _counted(found: Foreign, metric: str | None) -> dict[str, Any]:
    """Return how much failed; the value itself may be a percentage, an average or a time."""
    unit = _UNITS.get(metric or "", "rows")
    for block in found.maybe("blocks").each():
        if block.maybe("totalFailingRows").value is not None:
            return {"failed_count": block.at("totalFailingRows").count(), "failed_unit": unit}
    if metric not in _UNITS or found.maybe("value").value is None:
        return {}
    return {"failed_count": found.at("value").count(), "failed_unit": unit}


def _observed(found: Foreign) -> str | None:
    for key in ("freshness", "value", "valueLabel"):
        if found.maybe(key).value is not None:
            return found.at(key).scalar_text()
    return None


def _expected(found: Foreign, outcome: str) -> str | None:
    limits = []
    for name, place in found.maybe(outcome).entries():
        if name in _SIGNS:
            limits.append(f"{_SIGNS[name]} {_number(place)}")
    return f"{outcome}s when {' or '.join(limits)}" if limits else None


def _number(place: Foreign) -> str:
    # Version 3 writes every threshold as a float.
    return (place.scalar_text() or "").removesuffix(".0")


def _errors(scan: Foreign, asked: Asked) -> list[Anomaly]:
    """Return one anomaly for each table that a query failed on, else one for the scan."""
    if scan.at("hasErrors").value is not True:
        return []
    failed: dict[str, tuple[Foreign, list[str]]] = {}
    for query in scan.at("queries").each():
        if exception := query.at("exception").text_or_none():
            dataset = _dataset(query, asked)
            failed.setdefault(dataset.value, (dataset, []))[1].append(_said(exception))
    if not failed:
        source = scan.at("defaultDataSource")
        home = asked.named(source, asked.dataset.value or source.text_or_none())
        failed[home.value] = home, _logged(scan.at("logs").each())
    return [_error(scan, dataset, unique(messages)) for dataset, messages in failed.values()]


def _error(scan: Foreign, dataset: Foreign, messages: list[str]) -> Anomaly:
    definition = scan.at("definitionName")
    name = definition.text_or_none() or ""
    return scan.anomaly(
        source=scan.source,
        dataset=dataset,
        check_id=definition.but(short_id(f"scan {name}".strip())),
        check_name=definition.but(cut(f"Soda scan {name}".strip(), MAX_NAME)),
        kind=Kind.CHECK_ERROR,
        severity=Severity.HIGH,
        detected_at=scan.at("dataTimestamp"),
        message="\n".join(messages) or None,
    )


def _said(exception: str) -> str:
    """Return what an exception says, without the way there."""
    lines = exception.rpartition(_TRACEBACK)[2].strip("\n").splitlines()
    while lines and lines[0].startswith(" "):
        lines.pop(0)
    return "\n".join(lines).strip() or exception


def _logged(entries: Iterable[Foreign]) -> list[str]:
    messages = [
        entry.at("message").text_or_none()
        for entry in entries
        if str(entry.at("level").value).upper() == "ERROR"
    ]
    return unique(messages)
