"""Check results of Airflow's SQL check operators (``apache-airflow-providers-common-sql``).

From 2.0.0 on a task has ``check_results``; before, ``column_mapping`` and ``checks`` carry ``result`` and
``success`` once it ran. Where a check could not run there is only the exception. The words of the exceptions
are those of common-sql 2.4.0, ``operators/sql.py``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_servicenow_dq.anomalies import airflow_sql_shapes as shapes
from airflow_provider_servicenow_dq.anomalies.foreign import Foreign, option
from airflow_provider_servicenow_dq.anomalies.model import Anomaly, Kind, Pass, Report, Severity
from airflow_provider_servicenow_dq.anomalies.values import short_id

SOURCE = "airflow_sql"

_SEVERITIES = {"error": Severity.HIGH, "warn": Severity.MEDIUM, "info": Severity.LOW}
# What fits 64 bits; PostgreSQL sums into decimals, which are spelled out the same.
_WHOLE = re.compile(r"[0-9]{1,18}")
# How the operators begin when a check ran and failed; any other exception means that it could not run.
_RAN_AND_FAILED = ("Test failed.", "The following tests have failed", 'Threshold Check: "')


@dataclass(frozen=True, slots=True)
class _Task:
    """Where the results come from; what an operator does not know about itself comes from the options."""

    dataset: Foreign
    table: Foreign
    dag_id: str | None
    task_id: str | None
    partition_key: Foreign

    def check_id(self, name: str | None) -> str:
        """Return the identity of a check without a table: its task's, and its name where it has another."""
        # No Airflow id contains a slash, so the parts stay apart.
        parts = [self.dag_id, self.task_id, None if name == self.task_id else name]
        return short_id("/".join(part for part in parts if part))

    def home(self, place: Foreign) -> Foreign:
        """Return what stands for the dataset of a check at ``place``, which has no table."""
        named = self.dataset if self.dataset.value else self.table
        parts = [part for part in (self.dag_id, self.task_id) if part]
        return named if named.value else place.but(".".join(parts) or None)


def recognises(payload: object) -> bool:
    """Whether this is a check result, a failed task's callback data, a check mapping or an exception."""
    if isinstance(payload, BaseException):
        # Pandera's errors carry their results.
        return not hasattr(payload, "failure_cases")
    if shapes.is_result(payload):
        return True
    if not isinstance(payload, Mapping):
        return False
    return (
        shapes.is_failed_task(payload)
        or shapes.is_mapping_of_checks(payload)
        or shapes.is_column_mapping(payload)
    )


def read(
    payload: object,
    *,
    dataset: str | None = None,
    dag_id: str | None = None,
    task_id: str | None = None,
    partition_key: str | None = None,
) -> Report:
    """Read what a SQL check operator leaves behind.

    :param payload: A ``SQLCheckResult`` (object or dict) or a list of them; a dict with ``check_results``,
        ``column_mapping``, ``checks``, ``exception``, ``table``, ``dag_id``, ``task_id`` (what a failure
        callback sees); a bare ``column_mapping`` or ``checks`` of an operator that ran; an exception or its
        text.
    :param dataset: What the checks are about; beats their ``table``.
    :param dag_id: With ``task_id`` part of the check's identity where no table is known, and its dataset
        where none is given.
    :param task_id: See ``dag_id``.
    :param partition_key: For tasks that check one part of a table each, when each part is to have its own
        ticket.
    """
    top = Foreign(SOURCE, "", payload)
    task = _Task(
        option(SOURCE, "dataset", dataset),
        top.but(None),
        option(SOURCE, "dag_id", dag_id).text_or_none(),
        option(SOURCE, "task_id", task_id).text_or_none(),
        option(SOURCE, "partition_key", partition_key),
    )
    task.dataset.text_or_none()
    if isinstance(payload, (list, tuple)):
        return _results(top.each(), task)
    if shapes.is_result(payload):
        return _results([top], task)
    if isinstance(payload, (BaseException, str)):
        return Report(anomalies=[_from_exception(top, task)])
    if isinstance(payload, Mapping):
        if shapes.is_failed_task(payload):
            return _failed_task(top, task)
        if shapes.is_mapping_of_checks(payload):
            return _mapping(shapes.table_checks(top), task)
        if shapes.is_column_mapping(payload):
            return _mapping(shapes.column_checks(top), task)
    raise top.refuse("check results, a check mapping or an exception is due here")


def _failed_task(place: Foreign, given: _Task) -> Report:
    task = _Task(
        given.dataset,
        _name_at(place.at("table")),
        place.at("dag_id").text_or_none() or given.dag_id,
        place.at("task_id").text_or_none() or given.task_id,
        given.partition_key,
    )
    results = place.at("check_results").each()
    if results:
        report = _results(results, task)
    else:
        checks = [*shapes.column_checks(place.at("column_mapping")), *shapes.table_checks(place.at("checks"))]
        report = _mapping(checks, task)
    exception = place.at("exception")
    if exception.value is not None and not report.anomalies:
        failure = _from_exception(exception, task)
        return report.model_copy(update={"anomalies": [failure]})
    return report


def _results(places: Iterable[Foreign], task: _Task) -> Report:
    anomalies = []
    passes: list[Pass] = []
    passed = 0
    for place in places:
        result = shapes.as_dict(place)
        if result.at("success").flag():
            passed += 1
            passes += result.passes(_identity_of_result, result, task)
        else:
            anomalies.append(_from_result(result, task))
    return Report(anomalies=anomalies, passed=passed, passes=passes)


def _from_result(place: Foreign, task: _Task) -> Anomaly:
    name = place.at("name").text()
    actual, expected = place.at("actual").scalar_text(), place.at("expected").scalar_text()
    nulls = actual if place.at("check_type").value == "not_null" else None
    severity = place.at("severity")
    return _anomaly(
        place,
        task,
        table=_table_of(place, task),
        name=place.at("name").but(name),
        columns=[column for column in [place.at("column").text_or_none()] if column],
        severity=Severity.HIGH if severity.value is None else severity.chosen(_SEVERITIES),
        failed_count=int(nulls) if nulls is not None and _WHOLE.fullmatch(nulls) else None,
        observed=actual,
        expected=expected,
        message=_sentence(place.at("content").text_or_none() or name, expected, actual),
    )


def _mapping(checks: Iterable[tuple[str, str | None, Foreign]], task: _Task) -> Report:
    anomalies = []
    passes: list[Pass] = []
    passed = not_run = 0
    for name, column, check in checks:
        success = check.at("success")
        if success.value is None:
            not_run += 1
        elif success.flag():
            passed += 1
            passes += check.passes(
                _identity, check, task, table=_table_of_mapping(task), name=check.but(name)
            )
        else:
            anomalies.append(_from_check(name, column, check, task))
    return Report(anomalies=anomalies, passed=passed, passes=passes, not_run=not_run)


def _from_check(name: str, column: str | None, check: Foreign, task: _Task) -> Anomaly:
    result = check.at("result")
    statement = check.at("check_statement").text_or_none()
    expected = statement or shapes.wanted(check)
    counts_nulls = name.endswith(".null_check") and check.at("equal_to").value == 0
    return _anomaly(
        check,
        task,
        table=_table_of_mapping(task),
        name=check.but(name),
        columns=[column] if column else [],
        severity=Severity.HIGH,
        failed_count=result.count() if counts_nulls else None,
        observed=result.scalar_text(),
        expected=expected,
        message=_sentence(statement or name, None if statement else expected, result.scalar_text()),
    )


def _from_exception(place: Foreign, task: _Task) -> Anomaly:
    failure = place.value
    words = str(failure) if isinstance(failure, BaseException) else place.text()
    kind = Kind.CHECK_FAILED if words.startswith(_RAN_AND_FAILED) else Kind.CHECK_ERROR
    if isinstance(failure, BaseException):
        words = f"{type(failure).__name__}: {words}"
    return _anomaly(
        place,
        task,
        table=place.but(None),
        name=place.but(task.task_id or "sql check"),
        kind=kind,
        severity=Severity.HIGH,
        message=words,
    )


def _anomaly(place: Foreign, task: _Task, *, table: Foreign, name: Foreign, **fields: Any) -> Anomaly:
    identity = _identity(place, task, table=table, name=name)
    if not identity["dataset"].value:
        raise place.refuse("no table is named here: give the option dataset, or dag_id and task_id")
    return place.anomaly(
        **identity,
        failed_unit="rows" if fields.get("failed_count") is not None else None,
        **fields,
    )


def _identity_of_result(result: Foreign, task: _Task) -> dict[str, Any]:
    name = result.at("name")
    return _identity(result, task, table=_table_of(result, task), name=name.but(name.text()))


def _identity(place: Foreign, task: _Task, *, table: Foreign, name: Foreign) -> dict[str, Any]:
    """Return what tells this check from others, failed or not."""
    named = task.dataset if task.dataset.value else table
    return {
        "source": SOURCE,
        "dataset": named if table.value else task.home(place),
        "check_id": name.but(short_id(name.value) if table.value else task.check_id(name.value)),
        "check_name": name,
        "partition_key": task.partition_key,
    }


def _table_of(result: Foreign, task: _Task) -> Foreign:
    table = _name_at(result.at("table"))
    return table if table.value else task.table


def _table_of_mapping(task: _Task) -> Foreign:
    # An operator that has a mapping has a table, so that here the dataset stands for it.
    return task.table if task.table.value else task.dataset


def _name_at(place: Foreign) -> Foreign:
    return place.but(place.text_or_none())


def _sentence(check: str, expected: str | None, actual: str | None) -> str:
    wanted = f" expected {expected}," if expected else ""
    return f"{check}:{wanted} got {'nothing' if actual is None else actual}"
