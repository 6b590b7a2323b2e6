"""The check results that a task has left behind, in whatever way its operator does so."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_servicenow_dq.anomalies import airflow_sql
from airflow_provider_servicenow_dq.anomalies.reading import AUTO, read_report
from airflow_provider_servicenow_dq.exceptions import AnomalyFormatError
from airflow_provider_servicenow_dq.notifications.failures import map_index_of

if TYPE_CHECKING:
    from airflow_provider_servicenow_dq.anomalies.model import Report

log = logging.getLogger(__name__)

#: Where the SQL check operators of ``apache-airflow-providers-common-sql`` keep what they found.
_RESULTS: Final = "check_results"
_MAPPINGS: Final = ("column_mapping", "checks")


def results_of(ti: Any, task: Any, exception: object, *, dataset: str | None, place: str) -> Report | None:
    """Return what a task has checked; None if it left no results that are known by their shape.

    :param dataset: What the checks are about, where the author of the DAG says so.
    :param place: Stands in for tools that do not say it either.
    """
    payload = _of_sql_checks(ti, task)
    if payload is not None:
        return _read(payload, dataset, source=airflow_sql.SOURCE)
    report = None
    if isinstance(exception, BaseException) and not airflow_sql.recognises(exception):
        report = _read(exception, dataset) or _read(exception, place)
    if report is None and isinstance(returned := _returned_by(ti), (Mapping, list)):
        report = _read(returned, dataset) or _read(returned, place)
    return report


def _of_sql_checks(ti: Any, task: Any) -> dict[str, Any] | None:
    table = getattr(task, "table", None)
    known = {"dag_id": ti.dag_id, "task_id": ti.task_id, "table": table if isinstance(table, str) else None}
    results = getattr(task, _RESULTS, None)
    if isinstance(results, (list, tuple)) and results:
        return {**known, _RESULTS: list(results)}
    mappings = {name: getattr(task, name, None) for name in _MAPPINGS}
    ran = {name: checks for name, checks in mappings.items() if isinstance(checks, Mapping) and _ran(checks)}
    return {**known, **ran} if ran else None


def _ran(checks: Mapping[Any, Any]) -> bool:
    """Whether checks have run: those of a table, or those of its columns by column."""
    values = [check for check in checks.values() if isinstance(check, Mapping)]
    return any("success" in check or _ran(check) for check in values)


def _returned_by(ti: Any) -> object:
    """Return what the task has pushed before it ended; the operators of GX do so before they fail."""
    if not hasattr(ti, "xcom_pull"):
        return None
    try:
        index = map_index_of(ti)
        mapped = {"map_indexes": index} if index >= 0 else {}
        return ti.xcom_pull(task_ids=ti.task_id, key="return_value", **mapped)
    except Exception as error:  # noqa: BLE001 (where XComs cannot be had, the failure itself is still to be told)
        log.info("What %s returned cannot be read: %r", ti.task_id, error)
        return None


def _read(payload: object, dataset: str | None, *, source: str = AUTO) -> Report | None:
    try:
        return read_report(payload, source=source, options={"dataset": dataset} if dataset else {})
    except AnomalyFormatError as refusal:
        log.info("No check results: %s", refusal)
    except Exception:  # a fault in a tool's results must not keep the failure itself from being told
        log.exception("These check results cannot be read")
    return None
