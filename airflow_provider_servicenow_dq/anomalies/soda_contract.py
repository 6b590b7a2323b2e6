"""Contract verifications of Soda Core 4, seen with 4.28.0.

It has no JSON form of its own: its objects are read through their attributes, and dicts of those likewise.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_servicenow_dq.anomalies.foreign import Foreign, unique
from airflow_provider_servicenow_dq.anomalies.model import Anomaly, Kind, Pass, Report, Severity
from airflow_provider_servicenow_dq.anomalies.values import MAX_NAME, cut, short_id

if TYPE_CHECKING:
    from airflow_provider_servicenow_dq.anomalies.soda_attributes import Asked

_PASSED: Final = "passed"
_NOT_RUN: Final = "not run"
_OUTCOMES: Final[Mapping[str, str | Severity]] = {
    "passed": _PASSED,
    "failed": Severity.HIGH,
    "warn": Severity.MEDIUM,
    "not_evaluated": _NOT_RUN,
    "excluded": _NOT_RUN,
}
_KINDS: Final = {"freshness": Kind.FRESHNESS, "schema": Kind.SCHEMA}
# What the rows are called that a check of this type counts.
_COUNTS: Final = {
    "duplicate": "duplicate_count",
    "failed_rows": "failed_rows_count",
    "invalid": "invalid_count",
    "missing": "missing_count",
}
_LIMITS: Final = {
    "must_be": "must be",
    "must_not_be": "must not be",
    "must_be_greater_than": "must be greater than",
    "must_be_greater_than_or_equal": "must be greater than or equal",
    "must_be_less_than": "must be less than",
    "must_be_less_than_or_equal": "must be less than or equal",
}
_COLLECTIONS: Final = ("check_collection", "contract")
_SESSIONS: Final = ("results", "contract_verification_results")


def is_contract(payload: object) -> bool:
    """Whether this is the result of one contract."""
    return has_checks(payload) and any(key in _fields(payload) for key in _COLLECTIONS)


def is_session(payload: object) -> bool:
    """Whether this is the result of a session, which may hold those of several contracts."""
    fields = _fields(payload)
    results = next((fields[key] for key in _SESSIONS if key in fields), None)
    if isinstance(results, (list, tuple)) and results:
        return is_contract(results[0])
    # A session without any contract is known by the log that it keeps.
    return results is not None and "session_log_records" in fields


def has_checks(payload: object) -> bool:
    """Whether this has the results of checks, as that of a contract has."""
    return "check_results" in _fields(payload)


def has_contracts(payload: object) -> bool:
    """Whether this has the results of something, as that of a session has."""
    return any(key in _fields(payload) for key in _SESSIONS)


def read_session(session: Foreign, asked: Asked) -> Report:
    """Read the result of a session."""
    opened = _opened(session)
    key = next(key for key in _SESSIONS if key in opened.value)
    contracts = opened.at(key).each()
    reports = [read_contract(place, asked) for place in contracts]
    anomalies = [anomaly for report in reports for anomaly in report.anomalies]
    if words := _said(opened.at("session_log_records")):
        if not contracts and not asked.dataset.value:
            raise session.refuse(f"broke off before its first contract ({words}): give the option dataset")
        dataset = _contract_dataset(_opened(contracts[0]), asked) if contracts else asked.dataset
        anomalies.append(_error(session, dataset, "session", None, words))
    return Report(
        anomalies=anomalies,
        passed=sum(report.passed for report in reports),
        passes=[each for report in reports for each in report.passes],
        not_run=sum(report.not_run for report in reports),
    )


def read_contract(place: Foreign, asked: Asked) -> Report:
    """Read the result of one contract."""
    contract = _opened(place)
    dataset = _contract_dataset(contract, asked)
    detected_at = contract.at("data_timestamp")
    if detected_at.value is None:
        detected_at = contract.at("started_timestamp")

    if contract.at("check_results").value is None:
        raise contract.at("check_results").refuse("the list of results is due here")
    anomalies = []
    passes: list[Pass] = []
    passed = not_run = 0
    for result in map(_opened, contract.at("check_results").each()):
        outcome = _name(result.at("outcome")).chosen(_OUTCOMES)
        if isinstance(outcome, Severity):
            anomalies.append(_anomaly(result, dataset, detected_at, asked, outcome))
        elif outcome == _PASSED:
            passed += 1
            passes += result.passes(_identity, result, dataset, detected_at)
        else:
            not_run += 1
    if _name(contract.at("status")).value == "ERROR" or contract.at("error").value is not None:
        words = "\n".join(unique([_words(contract.at("error")), _said(contract.at("log_records"))]))
        anomalies.append(_error(place, dataset, "contract", detected_at, words))
    return Report(anomalies=anomalies, passed=passed, passes=passes, not_run=not_run)


def _anomaly(
    result: Foreign, dataset: Foreign, detected_at: Foreign, asked: Asked, severity: Severity
) -> Anomaly:
    check = _opened(result.at("check"))
    kind = check.at("type").text_or_none() or ""
    measured = result.at("diagnostic_metric_values")
    failed = measured.maybe(_COUNTS.get(kind, "")).count()
    return result.anomaly(
        **_identity(result, dataset, detected_at),
        kind=_KINDS.get(kind, Kind.CHECK_FAILED),
        type=check.at("type"),
        columns=unique([check.at("column_name").text_or_none()]),
        failed_count=failed,
        total_count=None if failed is None else measured.maybe("check_rows_tested").count(),
        failed_unit=None if failed is None else "rows",
        observed=result.at("threshold_value").scalar_text(),
        expected=_expected(check, severity),
        message=_path(check),
        **asked.fields(check.at("attributes").entries(), otherwise=severity),
    )


def _identity(result: Foreign, dataset: Foreign, detected_at: Foreign) -> dict[str, Any]:
    """Return what tells this check from others and this run from others, failed or not."""
    check = _opened(result.at("check"))
    path = _path(check)
    identity = check.at("identity").text_or_none() or path
    if not identity:
        raise check.refuse("neither identity nor check_path says which check this is")
    kind = check.at("type").text_or_none()
    name = _titled(
        check.at("name").text_or_none() or kind or path or "", check.at("column_name").text_or_none()
    )
    return {
        "source": result.source,
        "dataset": dataset,
        "check_id": check.but(short_id(identity)),
        "check_name": check.at("name").but(cut(name, MAX_NAME)),
        "detected_at": detected_at,
    }


def _path(check: Foreign) -> str | None:
    return check.at("check_path").text_or_none() or check.at("relative_path").text_or_none()


def _titled(name: str, column: str | None) -> str:
    # The names that Soda gives are the same for every column.
    return name if not column or column in name else f"{name} ({column})"


def _contract_dataset(contract: Foreign, asked: Asked) -> Foreign:
    collections = [contract.at(key) for key in _COLLECTIONS]
    collection = _opened(next((place for place in collections if place.value is not None), collections[0]))
    prefix = [part.text_or_none() for part in collection.maybe("dataset_prefix").each()]
    first, last = (collection.maybe(key).text_or_none() for key in ("data_source_name", "dataset_name"))
    return asked.named(collection, first, *prefix, last)


def _expected(check: Foreign, severity: Severity) -> str | None:
    warned = severity is Severity.MEDIUM and check.at("warn_threshold").value is not None
    threshold = _opened(check.at("warn_threshold" if warned else "threshold"))
    limits = [
        f"{words} {threshold.at(key).scalar_text()}"
        for key, words in _LIMITS.items()
        if threshold.maybe(key).value is not None
    ]
    return " and ".join(limits) or None


def _error(
    place: Foreign, dataset: Foreign, what: str, detected_at: Foreign | None, words: str | None
) -> Anomaly:
    return place.anomaly(
        source=place.source,
        dataset=dataset,
        check_id=f"{what} verification",
        check_name=f"Soda {what} verification",
        kind=Kind.CHECK_ERROR,
        severity=Severity.HIGH,
        detected_at=detected_at,
        message=words or None,
    )


def _said(records: Foreign) -> str | None:
    """Return what was logged as an error; a dict of attributes may have left the log out."""
    said = []
    for place in records.each():
        if isinstance(place.value, logging.LogRecord) and place.value.levelno >= logging.ERROR:
            said.append(place.value.getMessage())
    return "\n".join(unique(said)) or None


def _words(error: Foreign) -> str | None:
    if isinstance(error.value, BaseException):
        return f"{type(error.value).__name__}: {error.value}"
    return error.text_or_none()


def _name(place: Foreign) -> Foreign:
    """Return the name of an enumeration's member, which ``str()`` writes behind the enumeration's."""
    if isinstance(place.value, Enum):
        return place.but(place.value.name)
    return place.but(place.value.rpartition(".")[2]) if isinstance(place.value, str) else place


def _opened(place: Foreign) -> Foreign:
    """Return the place with an object's attributes for the object."""
    if place.value is None or isinstance(place.value, Mapping):
        return place
    return place.but(_fields(place.value) or place.value)


def _fields(value: object) -> Mapping[Any, Any]:
    if isinstance(value, Mapping):
        return value
    return vars(value) if type(value).__module__.startswith("soda") and hasattr(value, "__dict__") else {}
