"""What the operators share: what a task leaves behind, and how it fails."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_servicenow_dq.exceptions import DeliveryPendingError, DeliveryRefusedError
from airflow_provider_servicenow_dq.links.servicenow import URL_KEY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from airflow.sdk import Context

    from airflow_provider_servicenow_dq.desk.rehearsal import Write

log = logging.getLogger(__name__)

#: Causes that an error names, as many as a log line bears.
_NAMED: Final = 10


def leave_address(context: Context, results: Iterable[Mapping[str, Any]]) -> None:
    """Leave the address of the first ticket where the task's link finds it."""
    address = next((result["ticket"]["url"] for result in results if result["ticket"]), None)
    if address and "ti" in context:
        context["ti"].xcom_push(key=URL_KEY, value=address)


def failure(causes: Sequence[str], *, refused: bool, retry_after: float | None) -> Exception:
    """Return what a task fails with.

    :param refused: Nothing that failed could go better on a retry, so it fails for good.
    """
    words = "; ".join(causes[:_NAMED])
    if len(causes) > _NAMED:
        words += f"; and {len(causes) - _NAMED} more"
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
