"""The sensor that waits for tickets."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk import BaseSensorOperator, conf, timezone
from airflow.sdk.bases.sensor import PokeReturnValue
from airflow.sdk.exceptions import AirflowFailException, AirflowRescheduleException

from airflow_provider_servicenow_dq.exceptions import ServiceNowError, StoreError
from airflow_provider_servicenow_dq.hooks.servicenow import ServiceNowHook
from airflow_provider_servicenow_dq.links.servicenow import URL_KEY, ServiceNowRecordLink

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.sdk import Context

    from airflow_provider_servicenow_dq.sensors.looks import Looks

#: Nobody looks more often, in seconds.
SHORTEST_POLL_S: Final = 5.0


class ServiceNowIncidentStateSensor(BaseSensorOperator):
    """Wait until tickets are resolved or closed, or in whatever states are given.

    A look is one request for a hundred tickets. While the instance cannot be reached the sensor waits on,
    until its own ``timeout``; a login that is refused, and a ticket in a failure state, fail the task at
    once, without a retry. So does a ticket that three looks in a row have not shown. With ``deferrable`` it
    looks once, and a trigger goes on without a worker.

    It returns the tickets as they were seen last, each in the shape of the seed's ``ticket`` without its
    description, with ``schema_version``, ``table`` and the raw ``state``.

    :param incident: What to wait for, one or a list: numbers, sys_ids, addresses of records of this instance,
        or the results of an operator that opens or links tickets (those that have no ticket are left out).
        (templated)
    :param anomalies: Payload whose anomalies' tickets to wait for, one or a list; all tickets that they are
        linked to. (templated)
    :param source: What wrote the payload; by default it is recognised. (templated)
    :param source_options: Hints for its adapter. (templated)
    :param target_states: States to wait for. Of incidents by label (``resolved``, ``in_progress``) or value;
        of other tables by value, or by the statuses that the project says its states stand for. (templated)
    :param failure_states: States that fail the task; the same. (templated)
    :param wait_for: ``all`` tickets or ``any``. With ``any`` the task fails when none is left that could get
        there.
    :param without_ticket: What an anomaly does that has no ticket: ``fail`` the task, for nobody can say that
        its problem is solved, or ``ignore``.
    :param deferrable: Wait in the triggerer; by default as ``[operators] default_deferrable`` says.
    :param project: The rules: id or key of a project; by default the built-in ones. (templated)
    :param servicenow_conn_id: The Airflow connection to use, unless the project names one. (templated)
    """

    template_fields: Sequence[str] = (
        "incident",
        "anomalies",
        "source",
        "source_options",
        "target_states",
        "failure_states",
        "project",
        "servicenow_conn_id",
    )
    operator_extra_links = (ServiceNowRecordLink(),)
    ui_color = "#d3eadf"

    _looks: Looks | None = None

    def __init__(
        self,
        *,
        incident: Any = None,
        anomalies: Any = None,
        source: str = "auto",
        source_options: Mapping[str, Any] | None = None,
        target_states: Sequence[str] = ("resolved", "closed"),
        failure_states: Sequence[str] = ("canceled",),
        wait_for: str = "all",
        without_ticket: str = "fail",
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        project: str | None = None,
        servicenow_conn_id: str = ServiceNowHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.incident = incident
        self.anomalies = anomalies
        self.source = source
        self.source_options = source_options
        self.target_states = target_states
        self.failure_states = failure_states
        self.wait_for = wait_for
        self.without_ticket = without_ticket
        self.deferrable = deferrable
        self.project = project
        self.servicenow_conn_id = servicenow_conn_id

    def execute(self, context: Context) -> Any:
        """Wait, and return the tickets as they were seen last."""
        # What an earlier try in this process has seen is no memory of this one.
        self._looks = None
        return super().execute(context)

    def poke(self, context: Context) -> PokeReturnValue:
        """Look at the tickets."""
        from airflow_provider_servicenow_dq.sensors.looks import Looks  # noqa: PLC0415 (DAG files pay for it)
        from airflow_provider_servicenow_dq.triggers.looking import may_pass  # noqa: PLC0415 (loads SQLAlchemy)

        self._looks = looks = self._looks or Looks(self, context)
        try:
            verdict = looks.look()
        except StoreError:
            raise
        except ServiceNowError as error:
            if not may_pass(error):
                # The cause would repeat a line of its own, and its traceback says nothing more.
                raise AirflowFailException(str(error)) from None
            return self._unreachable(error, looks)
        if "ti" in context and (url := looks.new_url()):
            context["ti"].xcom_push(key=URL_KEY, value=url)
        if verdict.outcome == "failed":
            raise AirflowFailException(verdict.words)
        if verdict.outcome == "reached":
            self.log.info("Reached: %s", verdict.words or "there is nothing to wait for")
            return PokeReturnValue(is_done=True, xcom_value=looks.tickets())
        self.log.info("Waiting: %s", verdict.words)
        if self.deferrable:
            self._defer(looks, wait_s=0.0)
        return PokeReturnValue(is_done=False)

    def _unreachable(self, error: ServiceNowError, looks: Looks) -> PokeReturnValue:
        """Wait on, as long as the instance asks for."""
        self.log.warning("The tickets cannot be looked at now, and will be again: %s", error)
        wait_s = float(getattr(error, "retry_after", None) or 0.0)
        if self.deferrable and looks.knows_tickets:
            self._defer(looks, wait_s=wait_s)
        if self.reschedule and wait_s > self.poke_interval:
            later = timezone.utcnow() + timedelta(seconds=wait_s)
            raise AirflowRescheduleException(later)  # type: ignore[no-untyped-call]  # Airflow's
        # In this process nothing is sent before the time that the instance has named.
        return PokeReturnValue(is_done=False)

    def _defer(self, looks: Looks, *, wait_s: float) -> None:
        from airflow_provider_servicenow_dq.triggers.servicenow import (  # noqa: PLC0415 (DAG files pay for it)
            ServiceNowIncidentStateTrigger,
        )

        longest = self.max_wait.total_seconds() if self.max_wait else self.timeout
        interval = max(self.poke_interval, SHORTEST_POLL_S)
        self.defer(
            trigger=ServiceNowIncidentStateTrigger(
                **looks.as_json(),
                poll_interval=interval,
                longest_interval=longest if self.exponential_backoff else None,
                first_look_at=time.time() + max(interval, wait_s),
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=max(0.0, self.timeout - looks.seconds())),
        )

    def execute_complete(self, context: Context, event: Mapping[str, Any] | None = None) -> Any:  # noqa: ARG002 (Airflow's signature)
        """Return the tickets, or fail: what the trigger has seen decides."""
        outcome = (event or {}).get("outcome")
        if event is None or outcome not in {"reached", "failed", "refused"}:
            raise AirflowFailException(f"The trigger ended without saying how the tickets are: {event!r}")
        if outcome != "reached":
            raise AirflowFailException(event["message"])
        self.log.info("Reached: %s", event["message"])
        return event["tickets"]

    def _get_next_poke_interval(self, *args: Any, **kwargs: Any) -> float:
        # The only place where Airflow's own waits, growing ones too, can be kept from being too short.
        return max(super()._get_next_poke_interval(*args, **kwargs), SHORTEST_POLL_S)
