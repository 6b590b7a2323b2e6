"""Anomalies that Airflow itself is the source of: a task or a DAG run that failed, or was late."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from airflow.sdk.log import redact  # type: ignore[attr-defined]  # both versions have it there, unlisted

from airflow_provider_servicenow_dq.anomalies.model import Anomaly, Kind
from airflow_provider_servicenow_dq.anomalies.values import MAX_NAME, cut, short_id

if TYPE_CHECKING:
    from datetime import datetime

SOURCE: Final = "airflow"

#: Airflow's own default, which is nobody.
_NOBODY: Final = "airflow"


@dataclass(frozen=True, slots=True)
class Place:
    """Where something happened.

    :param dataset: What the task is about, else its DAG.
    :param task_id: Empty for a DAG run as a whole.
    :param tries: ``try 1 of 3``, where that is known.
    :param url: Of the log, where that is known.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    dataset: str
    tries: str = ""
    ended_at: datetime | None = None
    url: str | None = None
    owner: str | None = None
    tags: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Names it in the log."""
        if not self.task_id:
            return f"DAG {self.dag_id}"
        index = f" [{self.map_index}]" if self.map_index >= 0 else ""
        return f"task {self.dag_id}.{self.task_id}{index}"

    @classmethod
    def of_task(cls, ti: Any, task: Any, context: Mapping[str, Any], dataset: str | None) -> Self:
        """Return the place of a task instance that is at hand."""
        tries = getattr(ti, "try_number", None)
        most = getattr(ti, "max_tries", None)
        return cls(
            ti.dag_id,
            ti.run_id,
            ti.task_id,
            map_index_of(ti),
            dataset or _dataset_of(task, context) or ti.dag_id,
            f"try {tries}{f' of {most + 1}' if isinstance(most, int) else ''}" if tries else "",
            getattr(ti, "end_date", None),
            getattr(ti, "log_url", None),
            _owner_of(task),
            _tags_of(context),
        )

    @classmethod
    def of_other_task(
        cls,
        dag_id: str,
        run_id: str,
        task: Any,
        map_index: int,
        context: Mapping[str, Any],
        dataset: str | None,
    ) -> Self:
        """Return the place of a task instance of which only its state is known."""
        return cls(
            dag_id,
            run_id,
            task.task_id,
            map_index,
            dataset or _dataset_of(task, context) or dag_id,
            owner=_owner_of(task),
            tags=_tags_of(context),
        )

    @classmethod
    def of_dag(cls, dag_id: str, run_id: str, context: Mapping[str, Any], dataset: str | None) -> Self:
        """Return the place of a DAG run as a whole."""
        about = dataset or _named_param(context) or dag_id
        return cls(dag_id, run_id, "", -1, about, tags=_tags_of(context))


def of_task(place: Place, exception: object = None) -> Anomaly:
    """Return the failure of a task; the same problem in every run, try and mapped instance.

    :param exception: What it failed with, where that is known.
    """
    index = f", map index {place.map_index}" if place.map_index >= 0 else ""
    tries = f", {place.tries}" if place.tries else ""
    words = f"Run {place.run_id}{index}{tries}"
    if exception is not None:
        kind = f"{type(exception).__name__}: " if isinstance(exception, BaseException) else ""
        words = f"{words}. {kind}{exception}"
    # No Airflow id contains a slash, so the parts stay apart.
    check = short_id(f"{place.dag_id}/{place.task_id}")
    return _anomaly(place, check, place.task_id, words, kind=Kind.TASK_FAILED)


def of_dag(place: Place, words: str = "") -> Anomaly:
    """Return the failure of a DAG run of which no single task can be blamed."""
    return _anomaly(place, short_id(f"{place.dag_id}//run"), "DAG run", words, kind=Kind.TASK_FAILED)


def of_deadline(place: Place, words: str = "", due: object = None) -> Anomaly:
    """Return the anomaly of a DAG that was late.

    :param due: When it should have been done.
    """
    check = short_id(f"{place.dag_id}//deadline")
    return _anomaly(place, check, "Deadline", words, kind=Kind.FRESHNESS, detected_at=due)


def map_index_of(ti: Any) -> int:
    """Return the number of a mapped task instance, -1 for one that is not mapped."""
    index = getattr(ti, "map_index", -1)
    return index if isinstance(index, int) else -1


def _anomaly(place: Place, check_id: str, check_name: str, words: str, **fields: Any) -> Anomaly:
    given = {
        "source": SOURCE,
        "dataset": cut(place.dataset, MAX_NAME),
        "check_id": check_id,
        "check_name": check_name,
        "detected_at": place.ended_at,
        # Airflow masks what it knows to be secret in logs, and a ticket is read by more people than those.
        "message": redact(words) or None,
        "owner": place.owner,
        "tags": list(place.tags),
        "url": place.url,
        **fields,
    }
    return Anomaly.model_validate({name: value for name, value in given.items() if value is not None})


def _dataset_of(task: Any, context: Mapping[str, Any]) -> str | None:
    """Return what a task is about, as far as its DAG says so."""
    assets = [*_named(getattr(task, "outlets", ())), *_named(getattr(task, "inlets", ()))]
    table = getattr(task, "table", None)
    return _named_param(context) or next(iter(assets), None) or (table if _is_name(table) else None)


def _named(assets: object) -> list[str]:
    listed = assets if isinstance(assets, (list, tuple)) else []
    names = (getattr(asset, "name", None) or getattr(asset, "uri", None) for asset in listed)
    return [str(name) for name in names if _is_name(name)]


def _named_param(context: Mapping[str, Any]) -> str | None:
    params = context.get("params")
    value = params.get("dataset") if isinstance(params, Mapping) else None
    return value if _is_name(value) else None


def _is_name(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _owner_of(task: Any) -> str | None:
    owner = getattr(task, "owner", None)
    return owner if isinstance(owner, str) and owner and owner != _NOBODY else None


def _tags_of(context: Mapping[str, Any]) -> tuple[str, ...]:
    tags = getattr(context.get("dag"), "tags", None)
    return tuple(sorted(map(str, tags))) if isinstance(tags, (set, frozenset, list, tuple)) else ()
