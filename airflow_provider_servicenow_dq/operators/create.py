"""The operator that opens tickets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from airflow_provider_servicenow_dq.exceptions import ServiceNowConfigError
from airflow_provider_servicenow_dq.hooks.servicenow import ServiceNowHook
from airflow_provider_servicenow_dq.hooks.tasks import rendered_payload, run_of, user_of
from airflow_provider_servicenow_dq.links.servicenow import ServiceNowRecordLink
from airflow_provider_servicenow_dq.operators.running import (
    failure,
    leave_address,
    longest_wait,
    say_writes,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.sdk import Context

    from airflow_provider_servicenow_dq.anomalies.model import Anomaly, Report
    from airflow_provider_servicenow_dq.desk.desk import Desk, Run
    from airflow_provider_servicenow_dq.desk.open import Opening
    from airflow_provider_servicenow_dq.desk.order import Order
    from airflow_provider_servicenow_dq.projects.project import Project

_COLUMNS = (
    "short_description",
    "description",
    "impact",
    "urgency",
    "category",
    "subcategory",
    "assignment_group",
    "assigned_to",
    "caller_id",
    "cmdb_ci",
    "business_service",
    "contact_type",
    "watch_list",
)


class ServiceNowCreateIncidentOperator(BaseOperator):
    """Make sure that every anomaly has its incident, exactly once, and return one result per anomaly.

    Running it again (a retry, a cleared task, a second DAG run over the same data) opens nothing twice.
    Results are pushed to XCom even when the task fails; give the task ``retries``, since Airflow's retries
    are what delivers later when the instance is down. A ticket that is refused for good fails the task at the
    end, and names the anomaly.

    Text parameters may hold ``{check_name}``, ``{dataset}`` and the other fields of an anomaly; they are
    filled per anomaly, after Airflow's own templates.

    :param anomalies: One payload of a tool, or a list of them. (templated)
    :param source: What wrote it: ``custom``, ``airflow_sql``, ``datadog``, ``dbt``, ``great_expectations``,
        ``pandera``, ``qualytics``, ``soda``, or what another adapter calls itself; by default each dict's own
        ``source``, else it is recognised by its shape. (templated)
    :param source_options: Hints for the adapter, e.g. ``{"dataset": "sales.orders"}``. (templated)
    :param short_description: One line on what is wrong. (templated)
    :param description: Stands above the details of the anomaly. (templated)
    :param impact: 1 to 3; with ``urgency`` it makes the priority. (templated)
    :param urgency: 1 to 3. (templated)
    :param category: Value of a choice of the instance. (templated)
    :param subcategory: Value of a choice of the instance. (templated)
    :param assignment_group: Name or sys_id. (templated)
    :param assigned_to: User name, e-mail, name or sys_id. (templated)
    :param caller_id: User name, e-mail, name or sys_id. (templated)
    :param caller_from_user: Whether the caller is whoever triggered the DAG run, unless ``caller_id`` says
        who; by default as the project says, which is no unless it says yes. They are found on the instance
        by e-mail address, else by user name; with nobody found, or several, it is left to the instance, and
        the result has a warning. Nobody triggers a scheduled run.
    :param cmdb_ci: Name, number or sys_id. (templated)
    :param business_service: Name, number or sys_id. (templated)
    :param contact_type: Value of a choice of the instance. (templated)
    :param watch_list: User names, e-mails or sys_ids, comma-separated or a list. (templated)
    :param additional_fields: Every other column, also ``u_…``. (templated)
    :param priority: A wish, 1 to 5 or P1 to P5: the impact and urgency that make it are sent. (templated)
    :param table: Another table than the project's. (templated)
    :param on_refire: What an anomaly does when its ticket is resolved: reopen, new, note, nothing.
    :param group_by: ``dataset`` or ``dag_run``: many anomalies in one ticket.
    :param min_severity: Anomalies below it get no ticket.
    :param max_new_tickets: New tickets in one DAG run; the rest share one roll-up ticket.
    :param resolve_after: Passes in a row of an anomaly's check that resolve its ticket, 24 hours after it was
        last seen at the earliest; 0 is never. Skipped, missing and broken checks are no passes.
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
        *_COLUMNS,
        "additional_fields",
        "priority",
        "table",
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
        short_description: str | None = None,
        description: str | None = None,
        impact: str | int | None = None,
        urgency: str | int | None = None,
        category: str | None = None,
        subcategory: str | None = None,
        assignment_group: str | None = None,
        assigned_to: str | None = None,
        caller_id: str | None = None,
        caller_from_user: bool | None = None,
        cmdb_ci: str | None = None,
        business_service: str | None = None,
        contact_type: str | None = None,
        watch_list: str | Sequence[str] | None = None,
        additional_fields: Mapping[str, Any] | None = None,
        priority: str | int | None = None,
        table: str | None = None,
        on_refire: str | None = None,
        group_by: str | None = None,
        min_severity: str | None = None,
        max_new_tickets: int | None = None,
        resolve_after: int | None = None,
        project: str | None = None,
        servicenow_conn_id: str = ServiceNowHook.default_conn_name,
        dry_run: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.anomalies = anomalies
        self.source = source
        self.source_options = source_options
        self.short_description = short_description
        self.description = description
        self.impact = impact
        self.urgency = urgency
        self.category = category
        self.subcategory = subcategory
        self.assignment_group = assignment_group
        self.assigned_to = assigned_to
        self.caller_id = caller_id
        self.caller_from_user = caller_from_user
        self.cmdb_ci = cmdb_ci
        self.business_service = business_service
        self.contact_type = contact_type
        self.watch_list = watch_list
        self.additional_fields = additional_fields
        self.priority = priority
        self.table = table
        self.on_refire = on_refire
        self.group_by = group_by
        self.min_severity = min_severity
        self.max_new_tickets = max_new_tickets
        self.resolve_after = resolve_after
        self.project = project
        self.servicenow_conn_id = servicenow_conn_id
        self.dry_run = dry_run

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Record the report, deliver it, and return the results."""
        from airflow_provider_servicenow_dq.anomalies.reading import read_report  # noqa: PLC0415 (DAG files pay for it)
        from airflow_provider_servicenow_dq.desk.open import open_tickets  # noqa: PLC0415 (loads SQLAlchemy)
        from airflow_provider_servicenow_dq.desk.passes import resolve_passed  # noqa: PLC0415 (loads SQLAlchemy)
        from airflow_provider_servicenow_dq.desk.result import for_xcom  # noqa: PLC0415 (loads SQLAlchemy)
        from airflow_provider_servicenow_dq.hooks.desk import open_desk  # noqa: PLC0415 (loads requests)
        from airflow_provider_servicenow_dq.hooks.projects import choose  # noqa: PLC0415 (loads pydantic)

        payload = rendered_payload(self.anomalies)
        report = read_report(payload, source=self.source, options=self.source_options)
        self.log.info(
            "%s anomalies, %s checks passed, %s not run", len(report.anomalies), report.passed, report.not_run
        )
        hook, project = choose(self.servicenow_conn_id, self.project)
        order, run = self._order(project, user_of(context)), run_of(context)
        with open_desk(hook, only_reads=self.dry_run) as desk:
            if self.dry_run:
                results, opening = self._rehearse(desk, report, order=order, run=run)
                failures, pending = opening.failures, opening.pending
            else:
                opening = open_tickets(desk, report.anomalies, order=order, run=run)
                results = [for_xcom(result) for result in opening.results]
                resolved = resolve_passed(
                    desk, report.passes, failed=report.anomalies, rules=order.project, run=run
                )
                self._say_resolved(resolved.results)
                failures = list(dict.fromkeys([*opening.failures, *resolved.failures]))
                pending = [*opening.pending, *resolved.pending]
        self._say(report.anomalies, opening.results, context)
        if failures:
            if "ti" in context:
                context["ti"].xcom_push(key="return_value", value=results)
            raise failure(failures, refused=not pending, retry_after=longest_wait(pending))
        return results

    def _rehearse(
        self, desk: Desk, report: Report, *, order: Order, run: Run
    ) -> tuple[list[dict[str, Any]], Opening]:
        from airflow_provider_servicenow_dq.desk.rehearsal import rehearse_opening  # noqa: PLC0415 (loads SQLAlchemy)

        self.log.info("Dry run: what follows is tried out, and nothing is sent")
        rehearsed = rehearse_opening(desk, report.anomalies, order=order, run=run, passes=report.passes)
        say_writes(rehearsed.writes)
        return rehearsed.for_xcom(), rehearsed.opening

    def _order(self, project: Project, user: str | None) -> Order:
        from airflow_provider_servicenow_dq.desk.order import Order  # noqa: PLC0415 (DAG files pay for it)

        asked = {
            "table": self.table,
            "on_refire": self.on_refire,
            "group_by": self.group_by,
            "min_severity": self.min_severity,
            "max_new_tickets": self.max_new_tickets,
            "resolve_after": self.resolve_after,
            "caller_from_user": self.caller_from_user,
        }
        rules = project.changed({name: value for name, value in asked.items() if value is not None})
        return Order(rules, self._columns(), None if self.priority is None else str(self.priority), user)

    def _columns(self) -> dict[str, str]:
        from airflow_provider_servicenow_dq.projects.columns import column_text  # noqa: PLC0415 (loads pydantic)

        given = {name: getattr(self, name) for name in _COLUMNS}
        columns = {name: value for name, value in given.items() if value is not None}
        additional = dict(self.additional_fields or {})
        if both := sorted(columns.keys() & additional.keys()):
            raise ServiceNowConfigError(
                f"{', '.join(both)} given twice: as a parameter and in additional_fields"
            )
        return {name: column_text(value) for name, value in {**columns, **additional}.items()}

    def _say_resolved(self, results: Sequence[Mapping[str, Any]]) -> None:
        for result in results:
            if result["action"] != "suppressed":
                self.log.info("Its check passes again: %s", result["message"])

    def _say(
        self, anomalies: Sequence[Anomaly], results: Sequence[Mapping[str, Any]], context: Context
    ) -> None:
        for anomaly, result in zip(anomalies, results, strict=True):
            what = f"{anomaly.check_name} on {anomaly.dataset}"
            self.log.info("%s: %s (%s)", result["action"], result["message"], what)
            for warning in result["warnings"]:
                self.log.warning("%s: %s", what, warning)
        leave_address(context, results)
