"""The operator that delivers later what could not be delivered at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from airflow_provider_servicenow_dq.hooks.servicenow import ServiceNowHook
from airflow_provider_servicenow_dq.hooks.tasks import run_of
from airflow_provider_servicenow_dq.operators.running import failure, say_writes

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
    :param project: Deliver to the instance of this project instead. (templated)
    :param dry_run: Send nothing, write nothing down; log and return what would be sent.
    """

    template_fields: Sequence[str] = ("servicenow_conn_id", "project")
    ui_color = "#d3eadf"
    dry_run: bool  # type: ignore[assignment]  # nothing in Airflow 3 calls the method of this name

    def __init__(
        self,
        *,
        servicenow_conn_id: str | None = ServiceNowHook.default_conn_name,
        fail_on_dead: bool = True,
        project: str | None = None,
        dry_run: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.servicenow_conn_id = servicenow_conn_id
        self.fail_on_dead = fail_on_dead
        self.project = project
        self.dry_run = dry_run

    def execute(self, context: Context) -> dict[str, Any]:
        """Deliver, and return the counts."""
        from airflow_provider_servicenow_dq.hooks.clear import clear_outbox  # noqa: PLC0415 (loads SQLAlchemy)

        conn_id = self.servicenow_conn_id
        if self.project is not None:
            from airflow_provider_servicenow_dq.hooks.projects import choose  # noqa: PLC0415 (loads pydantic)

            chosen = choose(conn_id or ServiceNowHook.default_conn_name, self.project)
            conn_id = chosen.hook.servicenow_conn_id
        if self.dry_run:
            return self._rehearse(conn_id, context)
        cleared = clear_outbox(conn_id, run_of(context))
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

    def _rehearse(self, conn_id: str | None, context: Context) -> dict[str, Any]:
        from airflow_provider_servicenow_dq.desk.rehearsal import few_for_xcom  # noqa: PLC0415 (loads SQLAlchemy)
        from airflow_provider_servicenow_dq.hooks.clear import clear_outbox  # noqa: PLC0415 (as above)

        self.log.info("Dry run: what follows is tried out, and nothing is sent")
        cleared = clear_outbox(conn_id, run_of(context), dry_run=True)
        say_writes(cleared.writes)
        for cause in cleared.clearing.causes:
            self.log.warning("It would not be delivered: %s", cause)
        return {**cleared.counts(), "dry_run": True, "would_send": few_for_xcom(cleared.writes)}
