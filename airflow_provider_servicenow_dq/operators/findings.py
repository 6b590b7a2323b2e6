"""The operators for security findings: which case, and which ticket, a finding is on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from airflow_provider_servicenow_dq.hooks.servicenow import ServiceNowHook
from airflow_provider_servicenow_dq.hooks.tasks import rendered_payload
from airflow_provider_servicenow_dq.links.servicenow import ServiceNowRecordLink
from airflow_provider_servicenow_dq.operators.asking import ask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context

    from airflow_provider_servicenow_dq.anomalies.model import Anomaly
    from airflow_provider_servicenow_dq.findings.parties import Answer, Caller, Sides
    from airflow_provider_servicenow_dq.store.store import Store


class ServiceNowCreateFindingTicketsOperator(BaseOperator):
    """Open a ticket, and its case, for each item of a request of Datadog's; return the cases.

    Findings leave the tickets that they were on; both tickets say so. A retry of the task, or a cleared one,
    asks for the same tickets and opens none twice. An item that ServiceNow refuses is ``FAILED`` in its case
    and fails the task at the end; the others are not held up. Give the task ``retries``: they deliver what
    could not be delivered while ServiceNow was down.

    It needs a store that all workers share.

    :param data: The ``data`` of ``POST /api/v2/security/findings/servicenow_tickets``: up to 50 tickets of up
        to 50 findings each. ``relationships.project`` may be left out where ``project`` is given. (templated)
    :param findings: What is known of the findings, for the texts on the tickets: one answer of Datadog's list
        or search endpoint, or a list of them. Without it, what was reported before, else only what the ids
        tell. (templated)
    :param project: Id or key of the project of items that name none. (templated)
    :param servicenow_conn_id: The Airflow connection to use, unless the project names one. (templated)
    :param dry_run: Send nothing, write nothing down; log what would be sent, and return it in each case's
        ``would_send``. The instance is read.
    """

    dry_run: bool  # type: ignore[assignment]  # nothing in Airflow 3 calls the method of this name

    template_fields: Sequence[str] = ("data", "findings", "project", "servicenow_conn_id")
    operator_extra_links = (ServiceNowRecordLink(),)
    ui_color = "#d3eadf"

    def __init__(
        self,
        *,
        data: Any,
        findings: Any = None,
        project: str | None = None,
        servicenow_conn_id: str = ServiceNowHook.default_conn_name,
        dry_run: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.data = data
        self.findings = findings
        self.project = project
        self.servicenow_conn_id = servicenow_conn_id
        self.dry_run = dry_run

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Record everything, deliver it, and return one case per item."""
        from airflow_provider_servicenow_dq.findings import asked, opening  # noqa: PLC0415 (loads SQLAlchemy)

        data = rendered_payload(self.data, parameter="data")
        items = [_in_project(item, self.project) for item in data] if isinstance(data, list) else data
        body = asked.read(asked.CreateTickets, {"data": items})
        known = _findings_in(self.findings)

        def creating(sides: Sides, _: Store, caller: Caller) -> Answer:
            return opening.create(body, sides=sides, caller=caller)

        ids = [finding for ticket in body.data for finding in ticket.relationships.findings.ids]
        return ask(self, context, creating, ids=ids, known=known, body=body)


class ServiceNowAttachFindingsOperator(BaseOperator):
    """Put findings on a ticket that is there, and into its case; return the case.

    A ticket that has no case gets one. Findings leave the tickets that they were on. Running it again changes
    nothing. A closed or canceled ticket is refused.

    It needs a store that all workers share.

    :param servicenow_ticket_url: The ticket: its address, number or sys_id. (templated)
    :param findings: Ids of up to 50 findings, or what Datadog's list or search endpoint returned. (templated)
    :param project: Id or key of the project of a new case; by default the built-in one. (templated)
    :param servicenow_conn_id: The Airflow connection to use, unless the project names one. (templated)
    :param dry_run: Send nothing, write nothing down; log what would be sent, and return it in each case's
        ``would_send``. The instance is read.
    """

    dry_run: bool  # type: ignore[assignment]  # nothing in Airflow 3 calls the method of this name

    template_fields: Sequence[str] = ("servicenow_ticket_url", "findings", "project", "servicenow_conn_id")
    operator_extra_links = (ServiceNowRecordLink(),)
    ui_color = "#d3eadf"

    def __init__(
        self,
        *,
        servicenow_ticket_url: str,
        findings: Any,
        project: str | None = None,
        servicenow_conn_id: str = ServiceNowHook.default_conn_name,
        dry_run: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.servicenow_ticket_url = servicenow_ticket_url
        self.findings = findings
        self.project = project
        self.servicenow_conn_id = servicenow_conn_id
        self.dry_run = dry_run

    def execute(self, context: Context) -> dict[str, Any]:
        """Record it, deliver it, and return the case."""
        from airflow_provider_servicenow_dq.findings import asked, cases  # noqa: PLC0415 (loads SQLAlchemy)

        ids, known = _ids_and_findings(self.findings)
        body = asked.read(
            asked.AttachTicket,
            {
                "data": {
                    "attributes": {"servicenow_ticket_url": self.servicenow_ticket_url},
                    "relationships": {"findings": _refs(ids), "project": _project(self.project)},
                    "type": "servicenow_tickets",
                }
            },
        )

        def attaching(sides: Sides, _: Store, caller: Caller) -> Answer:
            return cases.attach_ticket(body, sides=sides, caller=caller)

        (case,) = ask(self, context, attaching, ids=ids, known=known)
        return case


class ServiceNowDetachFindingsOperator(BaseOperator):
    """Take findings out of their cases and off the tickets of those, which say so; return nothing.

    What is in no case is passed over; a finding that was never heard of fails the task, and nothing is done.

    It needs a store that all workers share.

    :param findings: Ids of up to 50 findings, or what Datadog's list or search endpoint returned. (templated)
    :param servicenow_conn_id: Where to look for the projects of the cases. (templated)
    :param dry_run: Send nothing, write nothing down; log what would be sent.
    """

    dry_run: bool  # type: ignore[assignment]  # nothing in Airflow 3 calls the method of this name

    template_fields: Sequence[str] = ("findings", "servicenow_conn_id")
    ui_color = "#d3eadf"

    def __init__(
        self,
        *,
        findings: Any,
        servicenow_conn_id: str = ServiceNowHook.default_conn_name,
        dry_run: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.findings = findings
        self.servicenow_conn_id = servicenow_conn_id
        self.dry_run = dry_run

    def execute(self, context: Context) -> None:
        """Record it, and deliver the notes about it."""
        from airflow_provider_servicenow_dq import settings  # noqa: PLC0415 (DAG files pay for it)
        from airflow_provider_servicenow_dq.findings import asked, cases  # noqa: PLC0415 (loads SQLAlchemy)

        ids, _ = _ids_and_findings(self.findings)
        body = asked.read(
            asked.Detach, {"data": {"relationships": {"findings": _refs(ids)}, "type": "cases"}}
        )

        def detaching(sides: Sides, store: Store, caller: Caller) -> Answer:
            return cases.detach(body, sides=sides, store=store, namespace=settings.namespace(), caller=caller)

        ask(self, context, detaching, ids=ids)


def _in_project(item: Any, project: str | None) -> Any:
    """Return an item with the project of the operator, where it names none itself."""
    relationships = item.get("relationships") if isinstance(item, dict) else None
    if not isinstance(relationships, dict) or "project" in relationships:
        return item
    return {**item, "relationships": {**relationships, "project": _project(project)}}


def _project(name: str | None) -> dict[str, Any]:
    from airflow_provider_servicenow_dq.projects.project import DEFAULT_ID  # noqa: PLC0415 (loads pydantic)

    return {"data": {"id": name or DEFAULT_ID, "type": "projects"}}


def _refs(ids: Sequence[Any]) -> dict[str, Any]:
    return {"data": [{"id": finding, "type": "findings"} for finding in ids]}


def _ids_and_findings(value: Any) -> tuple[list[Any], list[Anomaly]]:
    """Return the ids of findings, and what is known of them."""
    given = rendered_payload(value, parameter="findings")
    if isinstance(given, (list, tuple)) and all(isinstance(each, str) for each in given):
        return list(given), []
    known = _findings_in(given)
    return [finding.external_id for finding in known], known


def _findings_in(value: Any) -> list[Anomaly]:
    from airflow_provider_servicenow_dq.anomalies.reading import read_report  # noqa: PLC0415 (DAG files pay for it)
    from airflow_provider_servicenow_dq.findings.finding import SOURCE  # noqa: PLC0415 (loads pydantic)

    given = rendered_payload(value, parameter="findings")
    return [] if given is None else read_report(given, source=SOURCE).anomalies
