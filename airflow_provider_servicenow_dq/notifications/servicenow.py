"""A notifier that opens tickets for what fails in Airflow, and resolves them when it is well again."""

from __future__ import annotations

import asyncio
import copy
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook, BaseNotifier

from airflow_provider_servicenow_dq.hooks.servicenow import ServiceNowHook
from airflow_provider_servicenow_dq.notifications.outcome import Outcome, outcome_of
from airflow_provider_servicenow_dq.notifications.patience import Patience

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import jinja2
    from airflow.sdk import DAG, Connection, Context

    from airflow_provider_servicenow_dq.notifications.errand import Errand


class ServiceNowNotifier(BaseNotifier):
    """Open a ticket for what failed, exactly once, whoever calls and how often.

    For ``on_failure_callback`` of a task or a DAG, for ``on_success_callback`` with ``resolve_on_success``,
    and for deadline alerts. Where the failed task has check results (Airflow's SQL checks, Pandera, or a
    return value that is known by its shape), each failed check is an anomaly; else the failure of the task
    is one, the same for as long as DAG, task and dataset are. Tickets are those of
    ``ServiceNowCreateIncidentOperator``, under the rules of the project.

    Everything is written to the store first. Then ServiceNow is tried for ten seconds in all; what it has not
    taken by then waits in the store, and the ``servicenow_sync`` DAG, or any
    task with ``ServiceNowDeliverOperator``, delivers it. Where that cannot be, as with a SQLite store and
    tasks on several machines, the notifier raises, which Airflow logs.

    :param servicenow_conn_id: The Airflow connection to use, unless the project names one. (templated)
    :param project: The rules: id or key of a project; by default the built-in ones. (templated)
    :param short_description: One line on what is wrong; may hold ``{check_name}``, ``{dataset}`` and the
        other fields of an anomaly. (templated)
    :param description: Stands above the details; as above. (templated)
    :param severity: Of the anomalies, ``critical`` to ``info``; by default what the check says, and
        ``medium`` for a task that failed. (templated)
    :param resolve_on_success: Whether a success resolves the ticket, under the conditions of
        ``ServiceNowPushStatusOperator``: at once, or after the project's ``resolve_after`` successes.
    :param additional_fields: Every other column of a new ticket. (templated)
    :param dataset: What the task is about; by default the DAG param of this name, the task's first outlet,
        its first inlet, its ``table``, else the DAG. (templated)
    """

    template_fields: Sequence[str] = (
        "servicenow_conn_id",
        "project",
        "short_description",
        "description",
        "severity",
        "additional_fields",
        "dataset",
    )

    def __init__(
        self,
        *,
        servicenow_conn_id: str = ServiceNowHook.default_conn_name,
        project: str | None = None,
        short_description: str | None = None,
        description: str | None = None,
        severity: str | None = None,
        resolve_on_success: bool = False,
        additional_fields: Mapping[str, Any] | None = None,
        dataset: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.servicenow_conn_id = servicenow_conn_id
        self.project = project
        self.short_description = short_description
        self.description = description
        self.severity = severity
        self.resolve_on_success = resolve_on_success
        self.additional_fields = additional_fields
        self.dataset = dataset

    def __call__(self, *args: Any) -> None:
        """Notify; Airflow renders the templates in place, and one notifier may serve many tasks."""
        BaseNotifier.__call__(copy.copy(self), *args)

    def get_template_env(self, dag: DAG | None = None) -> jinja2.Environment:
        """Return the environment of the DAG's templates.

        ``dag.test`` calls a DAG's own callbacks with the DAG as the scheduler knows it, which has none.
        """
        return super().get_template_env(dag if hasattr(dag, "get_template_env") else None)

    def notify(self, context: Context) -> None:
        """Write down what the context tells, and deliver it within ten seconds.

        :raises ServiceNowError: If nobody is going to deliver it; says what is lost.
        """
        if self._is_idle(context):
            return
        patience = Patience()
        from airflow_provider_servicenow_dq.notifications.errand import Errand  # noqa: PLC0415 (loads SQLAlchemy)

        errand = Errand.of(self, context, BaseHook.get_connection)
        delivery = errand.start()
        delivery.finished.wait(patience.left())
        errand.conclude(delivery)

    async def async_notify(self, context: Context) -> None:
        """Do the same beside the event loop, where only the connections are looked up.

        :raises ServiceNowError: As :meth:`notify`.
        """
        if self._is_idle(context):
            return
        patience = Patience()
        loop = asyncio.get_running_loop()

        def find_connection(conn_id: str) -> Connection:
            return asyncio.run_coroutine_threadsafe(BaseHook.aget_connection(conn_id), loop).result()

        def prepared() -> Errand:
            # Loading it takes a while, and the loop belongs to others.
            from airflow_provider_servicenow_dq.notifications.errand import Errand  # noqa: PLC0415 (loads SQLAlchemy)

            return Errand.of(self, context, find_connection)

        errand = await asyncio.to_thread(prepared)
        delivery = errand.start()
        await asyncio.to_thread(delivery.finished.wait, patience.left())
        errand.conclude(delivery)

    def _is_idle(self, context: Context) -> bool:
        """Whether there is surely nothing to do, which most calls for successes are."""
        outcome = outcome_of(context)
        return outcome is Outcome.NEITHER or (outcome is Outcome.SUCCESS and not self.resolve_on_success)


send_servicenow_notification = ServiceNowNotifier
