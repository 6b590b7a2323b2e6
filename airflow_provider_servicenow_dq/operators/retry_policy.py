"""When Airflow retries a task that ServiceNow turned away. Needs Airflow 3.3: see ``retries``."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk import RetryDecision, RetryPolicy

from airflow_provider_servicenow_dq.exceptions import (
    AmbiguousNameError,
    AnomalyFormatError,
    AuthenticationError,
    DeliveryRefusedError,
    RefusedError,
    ServiceNowConfigError,
    ServiceNowError,
    UnsafeQueryError,
)

if TYPE_CHECKING:
    from airflow.sdk import Context

#: A retry meets what the first try met. A wrong password that is tried again may lock the account.
_POINTLESS: Final = (
    AmbiguousNameError,
    AnomalyFormatError,
    AuthenticationError,
    DeliveryRefusedError,
    ServiceNowConfigError,
    UnsafeQueryError,
)
#: Instances count in whole seconds.
_SECOND: Final = 1.0


class ServiceNowRetryPolicy(RetryPolicy):
    """Retry when the instance allows it, not at all where that is pointless, else as the task says."""

    def evaluate(
        self,
        exception: BaseException,
        try_number: int,  # noqa: ARG002 (Airflow's signature)
        max_tries: int,  # noqa: ARG002 (Airflow's signature)
        context: Context | None = None,  # noqa: ARG002 (Airflow's signature)
    ) -> RetryDecision:
        """Decide by what ServiceNow said, also where it is only the cause of what the task raised."""
        error = _servicenow_error(exception)
        if error is None:
            return RetryDecision.default()
        # A refusal of no kind of its own is about the request itself: 400, 405, 406, 415.
        if isinstance(error, _POINTLESS) or type(error) is RefusedError:
            return RetryDecision.fail(reason=f"A retry would meet the same: {error}")
        wait = getattr(error, "retry_after", None)
        if not wait:
            return RetryDecision.default()
        delay = timedelta(seconds=wait + _SECOND)
        return RetryDecision.retry(delay=delay, reason=f"ServiceNow asks to wait {wait:.0f} s: {error}")

    def serialize(self) -> dict[str, Any]:
        """Return what makes the policy again: it has no settings."""
        return {"__type": type(self).__name__}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> ServiceNowRetryPolicy:  # noqa: ARG003 (Airflow's signature)
        """Make the policy again."""
        return cls()


def _servicenow_error(exception: BaseException) -> ServiceNowError | None:
    """Return the first error of ours among an exception and what it was raised from."""
    error: BaseException | None = exception
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, ServiceNowError):
            return error
        seen.add(id(error))
        error = error.__cause__
    return None
