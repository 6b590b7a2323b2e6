"""The operator that delivers later what could not be delivered at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from airflow_provider_servicenow_dq.hooks.servicenow import ServiceNowHook
from airflow_provider_servicenow_dq.operators.running import failure, run_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context


class ServiceNowDeliverOperator(BaseOperator):
    """Deliver what waits in the outbox, whoever recorded it, and return how much is delivered and left.

    For a small DAG of its own, scheduled every few minutes: it delivers what other tasks have recorded and
    could not send within their retries. The counts are pushed to XCom even when the task fails. It fails so
    that it is retried when something could not be delivered now, and for good when there are dead letters:
    what ServiceNow refused, to be replayed or discarded with ``servicenow-dq outbox``.

    It needs a store that all workers share.

    :param servicenow_conn_id: The Airflow connection whose instance it delivers to; None for every instance
        that the store has entries for, each by the connection that last worked with it. (templated)
    :param fail_on_dead: Whether dead letters fail the task.
    """

    template_fields: Sequence[str] = ("servicenow_conn_id",)
    ui_color = "#d3eadf"

    def __init__(
        self,
        *,
        servicenow_conn_id: str | None = ServiceNowHook.default_conn_name,
        fail_on_dead: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.servicenow_conn_id = servicenow_conn_id
        self.fail_on_dead = fail_on_dead

    def execute(self, context: Context) -> dict[str, Any]:
        """Deliver, and return the counts."""
        from airflow_provider_servicenow_dq.hooks.clear import clear_outbox  # noqa: PLC0415 (loads SQLAlchemy)

        cleared = clear_outbox(self.servicenow_conn_id, run_of(context))
        causes = list(cleared.clearing.causes)
        if words := cleared.dead_words():
            self.log.warning(words)
            causes = [words, *causes] if self.fail_on_dead else causes
        if causes:
            if "ti" in context:
                context["ti"].xcom_push(key="return_value", value=cleared.counts())
            wait = cleared.clearing.retry_after
            raise failure(causes, refused=cleared.clearing.refused, retry_after=wait)
        return cleared.counts()
