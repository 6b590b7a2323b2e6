"""Retrying a task when ServiceNow allows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk.exceptions import AirflowOptionalProviderFeatureException

if TYPE_CHECKING:
    from airflow.sdk import RetryPolicy


def servicenow_retry_policy() -> RetryPolicy:
    """Return the ``retry_policy`` for tasks that talk to ServiceNow, operators and ``@task`` alike.

    Where the instance says when it may be asked again (a rate limit, of an hour at most), the task is
    retried then, whatever its ``retry_delay``. Where a retry would meet the same (a wrong password, a
    connection that cannot work), it fails at once. Everything else is retried as the task says, and
    ``retries`` bounds it all.

    :raises AirflowOptionalProviderFeatureException: Before Airflow 3.3, whose tasks take no ``retry_policy``.
        There the error of a task says when to try again, as ``retry_after`` and in words.
    """
    try:
        from airflow_provider_servicenow_dq.operators.retry_policy import (  # noqa: PLC0415 (Airflow 3.3 only)
            ServiceNowRetryPolicy,
        )
    except ImportError:
        pass
    else:
        return ServiceNowRetryPolicy()
    raise AirflowOptionalProviderFeatureException(
        "servicenow_retry_policy() needs Airflow 3.3: leave retry_policy out, and give the task retries and "
        "a retry_delay"
    )
