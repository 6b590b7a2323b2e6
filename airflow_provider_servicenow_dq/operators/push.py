"""The operators that tell tickets what became of their anomalies: a change of status, and comments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from airflow_provider_servicenow_dq.hooks.servicenow import ServiceNowHook
from airflow_provider_servicenow_dq.hooks.tasks import rendered_payload, run_of
from airflow_provider_servicenow_dq.links.servicenow import ServiceNowRecordLink
from airflow_provider_servicenow_dq.operators.running import (
    failure,
    leave_address,
    longest_wait,
    say_writes,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Protocol

    from airflow.sdk import Context

    from airflow_provider_servicenow_dq.anomalies.model import Anomaly
    from airflow_provider_servicenow_dq.desk.desk import Desk, Run
    from airflow_provider_servicenow_dq.desk.open import Opening
    from airflow_provider_servicenow_dq.desk.push import Pushed
    from airflow_provider_servicenow_dq.projects.project import Project

    Pushing = Callable[[Desk, Sequence[Anomaly], Run, Project], Pushed]

    # Made for each DAG file that is parsed, a protocol costs a millisecond.
    class TellsTickets(Protocol):
        """An operator that tells tickets something about the anomalies of a payload."""

        anomalies: Any
        source: str
        source_options: Mapping[str, Any] | None
        project: str | None
        servicenow_conn_id: str
        dry_run: bool

        @property
        def log(self) -> Any:
            """What it logs to."""


class ServiceNowPushStatusOperator(BaseOperator):
    """Let the tickets of anomalies know the status of their anomalies, each change once.

    Acknowledged, duplicate, invalid and discarded are a work note. Resolved resolves the ticket as well, if
    no other anomaly on it is open, we opened it, and it is New or In Progress; else it is a work note.
    Active again is a work note, and reopens a ticket that we resolved. A project, or ``on_status``, can say
    otherwise. Returns one delivery per ticket of each anomaly; they are pushed to XCom even when the task
    fails. Give the task ``retries``.

    A change of status is told from the next one by the anomaly's ``status_changed_at``. Without that, it is
    the same change for as long as the status is the same.

    :param anomalies: One payload of a tool, or a list of them, with their ``status``. (templated)
    :param source: What wrote it; by default each dict's own ``source``, else it is recognised by its shape.
        (templated)
    :param source_options: Hints for the adapter, e.g. ``{"dataset": "sales.orders"}``. (templated)
    :param on_status: What a status does: ``nothing``, ``work_note``, ``resolve`` or ``reopen``, e.g.
        ``{"discarded": "resolve"}``. Those not named are as the project says. (templated)
    :param project: The rules: id or key of a project; by default the built-in ones. (templated)
    :param servicenow_conn_id: The Airflow connection to use, unless the project names one. (templated)
    :param dry_run: Send nothing, write nothing down; log what would be sent, and return it in each result's
        ``would_send``. The instance is read.
    """

    dry_run: bool  # type: ignore[assignment]  # nothing in Airflow 3 calls the method of this name

    template_fields: Sequence[str] = (
        "anomalies",
        "source",
        "source_options",
        "on_status",
        "project",
        "servicenow_conn_id",
    )
    operator_extra_links = (ServiceNowRecordLink(),)
    ui_color = "#d3eadf"

    def __init__(
        self,
        *,
        anomalies: Any,
        source: str = "auto",
        source_options: Mapping[str, Any] | None = None,
        on_status: Mapping[str, str] | None = None,
        project: str | None = None,
        servicenow_conn_id: str = ServiceNowHook.default_conn_name,
        dry_run: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.anomalies = anomalies
        self.source = source
        self.source_options = source_options
        self.on_status = on_status
        self.project = project
        self.servicenow_conn_id = servicenow_conn_id
        self.dry_run = dry_run

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Record the changes, deliver them, and return what came of each."""
        from airflow_provider_servicenow_dq.desk.push import push_status  # noqa: PLC0415 (loads SQLAlchemy)

        def pushing(desk: Desk, anomalies: Sequence[Anomaly], run: Run, project: Project) -> Pushed:
            return push_status(desk, anomalies, run=run, project=project, on_status=self.on_status)

        return push_from(self, context, pushing)


class ServiceNowPushCommentsOperator(BaseOperator):
    """Copy the comments of anomalies to their tickets, each once, in their order.

    A comment is known again by its ``id``, else by its author, time and text. Returns one delivery per
    comment and ticket; they are pushed to XCom even when the task fails. Give the task ``retries``.

    :param anomalies: One payload of a tool, or a list of them, with their ``comments``. (templated)
    :param source: What wrote it; by default each dict's own ``source``, else it is recognised by its shape.
        (templated)
    :param source_options: Hints for the adapter, e.g. ``{"dataset": "sales.orders"}``. (templated)
    :param journal: ``work_notes``, or ``comments``, which the people who wait for the ticket see as well; by
        default the project's, which is ``work_notes`` unless it says otherwise. (templated)
    :param project: The rules: id or key of a project; by default the built-in ones. (templated)
    :param servicenow_conn_id: The Airflow connection to use, unless the project names one. (templated)
    :param dry_run: Send nothing, write nothing down; log what would be sent, and return it in each result's
        ``would_send``. The instance is read.
    """

    dry_run: bool  # type: ignore[assignment]  # nothing in Airflow 3 calls the method of this name

    template_fields: Sequence[str] = (
        "anomalies",
        "source",
        "source_options",
        "journal",
        "project",
        "servicenow_conn_id",
    )
    operator_extra_links = (ServiceNowRecordLink(),)
    ui_color = "#d3eadf"

    def __init__(
        self,
        *,
        anomalies: Any,
        source: str = "auto",
        source_options: Mapping[str, Any] | None = None,
        journal: str | None = None,
        project: str | None = None,
        servicenow_conn_id: str = ServiceNowHook.default_conn_name,
        dry_run: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.anomalies = anomalies
        self.source = source
        self.source_options = source_options
        self.journal = journal
        self.project = project
        self.servicenow_conn_id = servicenow_conn_id
        self.dry_run = dry_run

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Record the comments, deliver them, and return what came of each."""
        from airflow_provider_servicenow_dq.desk.push import push_comments  # noqa: PLC0415 (loads SQLAlchemy)

        def pushing(desk: Desk, anomalies: Sequence[Anomaly], run: Run, project: Project) -> Pushed:
            return push_comments(desk, anomalies, run=run, project=project, journal=self.journal)

        return push_from(self, context, pushing)


def push_from(
    operator: TellsTickets, context: Context, pushing: Pushing, *, needs_shared_store: bool = False
) -> list[dict[str, Any]]:
    """Read an operator's payload, push, and return the results; fail the task if not all was delivered.

    :param needs_shared_store: Whether it makes no sense with a store of its machine's own.
    """
    from airflow_provider_servicenow_dq.anomalies.reading import read_report  # noqa: PLC0415 (DAG files pay for it)
    from airflow_provider_servicenow_dq.desk.rehearsal import rehearse_push  # noqa: PLC0415 (loads SQLAlchemy)
    from airflow_provider_servicenow_dq.desk.result import for_xcom  # noqa: PLC0415 (loads SQLAlchemy)
    from airflow_provider_servicenow_dq.hooks.desk import open_desk  # noqa: PLC0415 (loads requests)
    from airflow_provider_servicenow_dq.hooks.projects import choose  # noqa: PLC0415 (loads pydantic)

    payload = rendered_payload(operator.anomalies)
    anomalies = read_report(payload, source=operator.source, options=operator.source_options).anomalies
    hook, project = choose(operator.servicenow_conn_id, operator.project)
    run = run_of(context)
    came: Pushed | Opening
    with open_desk(hook, only_reads=operator.dry_run, needs_shared_store=needs_shared_store) as desk:
        if operator.dry_run:
            operator.log.info("Dry run: what follows is tried out, and nothing is sent")
            rehearsed = rehearse_push(
                desk, anomalies, lambda stage: pushing(stage, anomalies, run, project), run=run
            )
            say_writes(rehearsed.writes)
            results, came = rehearsed.for_xcom(), rehearsed.opening
        else:
            came = pushing(desk, anomalies, run, project)
            results = [for_xcom(result) for result in came.results]
    _say(operator, results)
    leave_address(context, results)
    if came.failures:
        if "ti" in context:
            context["ti"].xcom_push(key="return_value", value=results)
        raise failure(came.failures, refused=not came.pending, retry_after=longest_wait(came.pending))
    return results


def _say(operator: TellsTickets, results: Sequence[Mapping[str, Any]]) -> None:
    for result in results:
        operator.log.info("%s: %s", result["action"], result["message"])
        for warning in result["warnings"]:
            operator.log.warning("Anomaly %s: %s", result["anomaly_id"], warning)
