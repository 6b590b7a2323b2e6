"""The operators that link anomalies to tickets that are there, and unlink them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from airflow_provider_servicenow_dq.exceptions import (
    AmbiguousNameError,
    DeliveryRefusedError,
    RecordNotFoundError,
)
from airflow_provider_servicenow_dq.hooks.servicenow import ServiceNowHook
from airflow_provider_servicenow_dq.links.servicenow import ServiceNowRecordLink
from airflow_provider_servicenow_dq.operators.push import push_from
from airflow_provider_servicenow_dq.operators.running import failure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.sdk import Context

    from airflow_provider_servicenow_dq.anomalies.model import Anomaly
    from airflow_provider_servicenow_dq.desk.desk import Desk, Run
    from airflow_provider_servicenow_dq.desk.push import Pushed
    from airflow_provider_servicenow_dq.operators.push import Pushing, TellsTickets
    from airflow_provider_servicenow_dq.projects.project import Project

#: What no retry changes.
_FINAL = (AmbiguousNameError, DeliveryRefusedError, RecordNotFoundError)


class ServiceNowLinkIncidentOperator(BaseOperator):
    """Link anomalies to a ticket that is there already, whoever has opened it; return one result for each.

    Their details go to the end of its description, and a work note tells of the link, each once and both in
    one update, whatever is retried. What the description has no room for goes to work notes. An anomaly may
    be linked to several tickets and a ticket may have several anomalies; in a project with ``exclusive``
    linking moves an anomaly. Statuses and comments then go to all its tickets, only those that we opened are
    ever resolved. While such a ticket of the project's table is open, reports of the anomaly are noted there
    and open no other one. A closed or canceled ticket is refused.

    The description can only be written whole. It is read right before; if somebody changes the ticket in
    between, a warning says so. It needs a store that all workers share. Give the task ``retries``.

    :param anomalies: One payload of a tool, or a list of them. (templated)
    :param incident: Number, sys_id or pasted address of the ticket's record. (templated)
    :param source: What wrote the payload; by default each dict's own ``source``, else it is recognised by
        its shape. (templated)
    :param source_options: Hints for the adapter, e.g. ``{"dataset": "sales.orders"}``. (templated)
    :param project: The rules: id or key of a project; by default the built-in ones. Its table is where a
        number is looked up, then all tasks. (templated)
    :param servicenow_conn_id: The Airflow connection to use, unless the project names one. (templated)
    :param dry_run: Send nothing, write nothing down; log what would be sent, and return it in each result's
        ``would_send``. The instance is read.
    """

    dry_run: bool  # type: ignore[assignment]  # nothing in Airflow 3 calls the method of this name

    template_fields: Sequence[str] = (
        "anomalies",
        "incident",
        "source",
        "source_options",
        "project",
        "servicenow_conn_id",
    )
    operator_extra_links = (ServiceNowRecordLink(),)
    ui_color = "#d3eadf"

    def __init__(
        self,
        *,
        anomalies: Any,
        incident: str,
        source: str = "auto",
        source_options: Mapping[str, Any] | None = None,
        project: str | None = None,
        servicenow_conn_id: str = ServiceNowHook.default_conn_name,
        dry_run: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.anomalies = anomalies
        self.incident = incident
        self.source = source
        self.source_options = source_options
        self.project = project
        self.servicenow_conn_id = servicenow_conn_id
        self.dry_run = dry_run

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Record the links, deliver them, and return what came of each."""
        from airflow_provider_servicenow_dq.desk.link import link_anomalies  # noqa: PLC0415 (loads SQLAlchemy)

        def linking(desk: Desk, anomalies: Sequence[Anomaly], run: Run, project: Project) -> Pushed:
            return link_anomalies(desk, anomalies, incident=self.incident, run=run, project=project)

        return _done(self, context, linking)


class ServiceNowUnlinkIncidentOperator(BaseOperator):
    """Unlink anomalies from a ticket, or from all of theirs; return one result per link that is cut.

    The ticket is not edited. Statuses and comments do not go there any more, and those that wait for it are
    discarded. The next report of an anomaly links it to its own ticket again.

    But a security finding that is in the ticket's case leaves the case as well: a note on the ticket says so,
    and the ticket is resolved if that was the last one and its project closes empty cases.

    It needs a store that all workers share.

    :param anomalies: One payload of a tool, or a list of them. (templated)
    :param incident: Number, sys_id or pasted address of the ticket's record; by default all tickets that the
        anomalies are linked to. (templated)
    :param source: What wrote the payload; by default each dict's own ``source``, else it is recognised by
        its shape. (templated)
    :param source_options: Hints for the adapter, e.g. ``{"dataset": "sales.orders"}``. (templated)
    :param project: The rules: id or key of a project; by default the built-in ones. (templated)
    :param servicenow_conn_id: The Airflow connection to use, unless the project names one. (templated)
    :param dry_run: Write nothing down; return what would become of each.
    """

    dry_run: bool  # type: ignore[assignment]  # nothing in Airflow 3 calls the method of this name

    template_fields: Sequence[str] = (
        "anomalies",
        "incident",
        "source",
        "source_options",
        "project",
        "servicenow_conn_id",
    )
    operator_extra_links = (ServiceNowRecordLink(),)
    ui_color = "#d3eadf"

    def __init__(
        self,
        *,
        anomalies: Any,
        incident: str | None = None,
        source: str = "auto",
        source_options: Mapping[str, Any] | None = None,
        project: str | None = None,
        servicenow_conn_id: str = ServiceNowHook.default_conn_name,
        dry_run: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.anomalies = anomalies
        self.incident = incident
        self.source = source
        self.source_options = source_options
        self.project = project
        self.servicenow_conn_id = servicenow_conn_id
        self.dry_run = dry_run

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Cut the links, and return what came of each."""
        from airflow_provider_servicenow_dq.desk.unlink import unlink_anomalies  # noqa: PLC0415 (loads SQLAlchemy)

        def unlinking(desk: Desk, anomalies: Sequence[Anomaly], run: Run, project: Project) -> Pushed:
            return unlink_anomalies(desk, anomalies, incident=self.incident, run=run, project=project)

        return _done(self, context, unlinking)


def _done(operator: TellsTickets, context: Context, linking: Pushing) -> list[dict[str, Any]]:
    try:
        return push_from(operator, context, linking, needs_shared_store=True)
    except _FINAL as error:
        raise failure([str(error)], refused=True, retry_after=None) from error
