"""What the operators share: whose task instance it is, and how a task fails."""

from __future__ import annotations

import json
import logging
import uuid
from typing import TYPE_CHECKING

from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_servicenow_dq.exceptions import DeliveryPendingError, DeliveryRefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from airflow.sdk import Context

    from airflow_provider_servicenow_dq.desk.desk import Run
    from airflow_provider_servicenow_dq.desk.rehearsal import Write

log = logging.getLogger(__name__)


def run_of(context: Context) -> Run:
    """Return who runs; outside a DAG nobody, and nobody else."""
    from airflow_provider_servicenow_dq.desk.desk import Run  # noqa: PLC0415 (loads SQLAlchemy)

    if "ti" not in context:
        return Run(unique=uuid.uuid4().hex)
    ti = context["ti"]
    return Run(ti.dag_id, ti.run_id, ti.task_id, -1 if ti.map_index is None else ti.map_index)


def failure(causes: Sequence[str], *, refused: bool, retry_after: float | None) -> Exception:
    """Return what a task fails with.

    :param refused: Nothing that failed could go better on a retry, so it fails for good.
    """
    words = "; ".join(causes[:10])
    if len(causes) > 10:  # noqa: PLR2004 (as many as a log line bears)
        words += f"; and {len(causes) - 10} more"
    if refused:
        return AirflowFailException(str(DeliveryRefusedError(f"Refused for good. {words}")))
    return DeliveryPendingError(
        f"Not everything is delivered; a retry goes on from here. {words}", retry_after
    )


def longest_wait(errors: Iterable[Exception]) -> float | None:
    """Return the longest of the waits that errors name, in seconds."""
    return max((wait for error in errors if (wait := getattr(error, "retry_after", None))), default=None)


def say_writes(writes: Sequence[Write]) -> None:
    """Log what a dry run would send, whole."""
    for write in writes:
        values = json.dumps(dict(write.values), indent=2, ensure_ascii=False)
        log.info("Would send %s %s %s: %s", write.method, write.table, write.number, values)
    log.info("Would send %s requests", len(writes))
