"""Asking Airflow in which runs a task has succeeded."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

log = logging.getLogger(__name__)

_SUCCESS = "success"


def asking(ti: Any) -> Callable[[Sequence[str]], Mapping[str, bool] | None]:
    """Return what tells of runs whether a task succeeded in them.

    :param ti: The task instance that asks about its own task; None outside of a DAG.
    """

    def succeeded(runs: Sequence[str]) -> Mapping[str, bool] | None:
        if not hasattr(ti, "get_task_states"):
            return None
        index = ti.map_index if ti.map_index is not None and ti.map_index > -1 else None
        try:
            states = ti.get_task_states(
                dag_id=ti.dag_id, map_index=index, task_ids=[ti.task_id], run_ids=list(runs)
            )
        except Exception as error:  # noqa: BLE001  # whatever stands between us and Airflow: the task goes on
            log.info("Airflow does not tell which runs succeeded (%s): what they returned counts", error)
            return None
        name = ti.task_id if index is None else f"{ti.task_id}_{index}"
        return {run: each[name] == _SUCCESS for run, each in states.items() if name in each}

    return succeeded
