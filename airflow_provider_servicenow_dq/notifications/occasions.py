"""From what Airflow hands to a callback to what is wrong, or is right again, and who reports it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from airflow_provider_servicenow_dq.anomalies.model import Anomaly, Pass
from airflow_provider_servicenow_dq.desk.desk import Run
from airflow_provider_servicenow_dq.exceptions import ServiceNowConfigError
from airflow_provider_servicenow_dq.notifications import failures
from airflow_provider_servicenow_dq.notifications.failures import Place
from airflow_provider_servicenow_dq.notifications.outcome import Outcome, is_of_dag_run, outcome_of
from airflow_provider_servicenow_dq.notifications.results import results_of

log = logging.getLogger(__name__)

_FAILED: Final = "failed"
_SUCCESS: Final = "success"


@dataclass(frozen=True, slots=True)
class Occasion:
    """What one task instance, or a DAG run, has to report.

    :param about: Names it in the log.
    :param run: Who reports.
    :param anomalies: What is wrong.
    :param passes: What is well.
    :param title: Of the ticket, unless somebody has said otherwise.
    :param is_second_hand: The DAG reports for the task, which may have reported itself, and better.
    """

    about: str
    run: Run
    anomalies: Sequence[Anomaly] = ()
    passes: Sequence[Pass] = ()
    title: str | None = None
    is_second_hand: bool = False


def occasions_of(context: Mapping[str, Any], *, dataset: str | None) -> list[Occasion]:
    """Return what there is to report.

    :param context: Of a task's callback, a DAG's or a deadline's.
    :param dataset: What it is about, where the author of the DAG says so.
    :raises ServiceNowConfigError: If it names neither a task instance nor a DAG run.
    """
    if is_of_dag_run(context):
        return _of_dag_run(context, dataset)
    if context.get("ti") is not None:
        return [_of_task(context, dataset)]
    if isinstance(context.get("dag_run"), Mapping):
        return [_of_deadline(context, dataset)]
    raise ServiceNowConfigError(
        "Airflow handed over neither a task instance nor a DAG run, so there is nothing to report on"
    )


def _of_task(context: Mapping[str, Any], dataset: str | None) -> Occasion:
    ti = context["ti"]
    task = context.get("task") or getattr(ti, "task", None)
    place = Place.of_task(ti, task, context, dataset)
    report = results_of(ti, task, context.get("exception"), dataset=dataset, place=place.dataset)
    run = Run(place.dag_id, place.run_id, place.task_id, place.map_index)
    if outcome_of(context) is Outcome.SUCCESS:
        passes = [Pass.of(failures.of_task(place)), *(report.passes if report else ())]
        return Occasion(place.name, run, passes=passes)
    if report is not None and report.anomalies:
        known = {"detected_at": place.ended_at, "url": place.url}
        anomalies = [_completed(anomaly, known) for anomaly in report.anomalies]
        return Occasion(place.name, run, anomalies)
    return Occasion(place.name, run, [failures.of_task(place, context.get("exception"))])


def _completed(anomaly: Anomaly, known: Mapping[str, Any]) -> Anomaly:
    missing = {name: value for name, value in known.items() if getattr(anomaly, name) is None}
    return anomaly.model_copy(update=missing)


def _of_dag_run(context: Mapping[str, Any], dataset: str | None) -> list[Occasion]:
    dag_id, run_id = context["dag"].dag_id, context["run_id"]
    states = _task_states(context, dag_id, run_id)
    whole = Place.of_dag(dag_id, run_id, context, dataset)
    run = Run(dag_id, run_id)
    if outcome_of(context) is Outcome.SUCCESS:
        well = _places(states, _SUCCESS, context, dataset)
        passes = [Pass.of(failures.of_task(place)) for place in well]
        own = [Pass.of(failures.of_dag(whole)), Pass.of(failures.of_deadline(whole))]
        return [Occasion(whole.name, run, passes=[*own, *passes])]
    failed = _places(states, _FAILED, context, dataset)
    if not failed:
        words = f"Run {run_id} ended: {context['reason']}"
        return [Occasion(whole.name, run, [failures.of_dag(whole, words)], title="DAG failed: {dataset}")]
    return [
        Occasion(
            place.name,
            Run(dag_id, run_id, place.task_id, place.map_index),
            [failures.of_task(place)],
            is_second_hand=True,
        )
        for place in failed
    ]


def _places(
    states: Mapping[str, str], wanted: str, context: Mapping[str, Any], dataset: str | None
) -> list[Place]:
    """Return where the tasks of a state are, of mapped ones the first; those that the DAG still has."""
    places: dict[str, Place] = {}
    for name, state in states.items():
        place = _place(name, context, dataset) if state == wanted else None
        if place is not None:
            places.setdefault(place.task_id, place)
    return list(places.values())


def _place(name: str, context: Mapping[str, Any], dataset: str | None) -> Place | None:
    """Return where a task is, named as Airflow names those that are mapped: ``name_3`` is the fourth."""
    dag, ti = context["dag"], context.get("ti")
    task_id, map_index = name, -1
    if not dag.has_task(name):
        task_id, _, number = name.rpartition("_")
        if not (number.isdigit() and dag.has_task(task_id)):
            return None
        map_index = int(number)
    task = dag.get_task(task_id)
    if ti is not None and (ti.task_id, failures.map_index_of(ti)) == (task_id, map_index):
        return Place.of_task(ti, task, context, dataset)
    return Place.of_other_task(dag.dag_id, context["run_id"], task, map_index, context, dataset)


def _task_states(context: Mapping[str, Any], dag_id: str, run_id: str) -> dict[str, str]:
    """Return the states of a run's task instances; at least of the one that Airflow says decided it."""
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance  # noqa: PLC0415 (heavy, and only for DAGs)

    ti = context.get("ti")
    outcome = _SUCCESS if outcome_of(context) is Outcome.SUCCESS else _FAILED
    decided = (
        {} if ti is None or context["reason"] not in {"task_failure", _SUCCESS} else {_name_of(ti): outcome}
    )
    try:
        answer = RuntimeTaskInstance.get_task_states(dag_id=dag_id, run_ids=[run_id])
    except Exception as error:  # noqa: BLE001 (in some processes Airflow answers no such question, each in its way)
        log.info("Airflow does not tell the states of the other tasks of %s: %r", run_id, error)
        return decided
    return {
        name: str(getattr(state, "value", state)) for name, state in answer.get(run_id, {}).items()
    } or decided


def _name_of(ti: Any) -> str:
    index = failures.map_index_of(ti)
    return ti.task_id if index < 0 else f"{ti.task_id}_{index}"


def _of_deadline(context: Mapping[str, Any], dataset: str | None) -> Occasion:
    dag_run: Mapping[str, Any] = context["dag_run"]
    dag_id, run_id = dag_run["dag_id"], dag_run["dag_run_id"]
    place = Place.of_dag(dag_id, run_id, context, dataset)
    due = (context.get("deadline") or {}).get("deadline_time")
    words = f"Run {run_id} was not done by {due}" if due else f"Run {run_id} was not done in time"
    anomaly = failures.of_deadline(place, words, due)
    return Occasion(place.name, Run(dag_id, run_id), [anomaly], title="Deadline missed: {dataset}")
