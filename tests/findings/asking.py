"""Requests about findings, as clients send them, and what stands on the instance afterwards."""

from __future__ import annotations

import base64
import uuid
from typing import TYPE_CHECKING, Any

from airflow_provider_servicenow_dq.desk.desk import Run
from airflow_provider_servicenow_dq.findings import cases, opening
from airflow_provider_servicenow_dq.findings.asked import (
    AttachCase,
    AttachTicket,
    CreateCases,
    CreateTickets,
    Detach,
    read,
)
from airflow_provider_servicenow_dq.findings.parties import Caller, Side
from airflow_provider_servicenow_dq.findings.recording import key_of
from airflow_provider_servicenow_dq.findings.wrong import NotFoundError
from airflow_provider_servicenow_dq.projects.project import Project
from airflow_provider_servicenow_dq.store import tickets

if TYPE_CHECKING:
    from airflow_provider_servicenow_dq.desk.desk import Desk
    from airflow_provider_servicenow_dq.findings.parties import Answer
    from airflow_provider_servicenow_dq.sandbox.server import Sandbox

PROJECT = "aeadc05e-98a8-11ec-ac2c-da7ad0900001"
SOLVED = {"state": "6", "close_code": "Solution provided", "close_notes": "done"}
CLOSED = {**SOLVED, "state": "7"}


def finding_id(number: int) -> str:
    return base64.urlsafe_b64encode(f"def-00p-ier~i-{number:017x}".encode()).decode()


def refs(*numbers: int) -> dict[str, Any]:
    return {"data": [{"id": finding_id(number), "type": "findings"} for number in numbers]}


def project_ref(project: str = PROJECT) -> dict[str, Any]:
    return {"data": {"id": project, "type": "projects"}}


def ticket(
    *numbers: int, kind: str = "servicenow_tickets", project: str = PROJECT, **attributes: Any
) -> dict[str, Any]:
    return {
        "attributes": attributes,
        "relationships": {"findings": refs(*numbers), "project": project_ref(project)},
        "type": kind,
    }


class Client:
    """Somebody who asks about findings.

    :param rules: Of the project.
    """

    def __init__(self, desk: Desk, user: str = "ann", **rules: Any) -> None:
        self.desk = desk
        self.user = user
        self.project = Project(id=PROJECT, key="PROJ", **rules)

    def sides(self, name: str) -> Side:
        if name not in {self.project.id, self.project.key}:
            raise NotFoundError("project not found")
        return Side(self.desk, self.project)

    def caller(self, key: str | None = None) -> Caller:
        return Caller(self.user, Run(task_id="test", unique=uuid.uuid4().hex), key)

    def create(self, *items: dict[str, Any], key: str | None = None) -> Answer:
        return opening.create(
            read(CreateTickets, {"data": list(items)}), sides=self.sides, caller=self.caller(key)
        )

    def create_cases(self, *items: dict[str, Any]) -> Answer:
        return opening.create(
            read(CreateCases, {"data": list(items)}), sides=self.sides, caller=self.caller()
        )

    def attach(self, url: str, *numbers: int, project: str = PROJECT) -> Answer:
        body = ticket(*numbers, project=project, servicenow_ticket_url=url)
        return cases.attach_ticket(read(AttachTicket, {"data": body}), sides=self.sides, caller=self.caller())

    def attach_case(self, case_id: str, *numbers: int) -> Answer:
        body = {"data": {"id": case_id, "relationships": {"findings": refs(*numbers)}, "type": "cases"}}
        return cases.attach_case(
            case_id, read(AttachCase, body), sides=self.sides, store=self.desk.store, caller=self.caller()
        )

    def detach(self, *numbers: int) -> Answer:
        body = {"data": {"relationships": {"findings": refs(*numbers)}, "type": "cases"}}
        return cases.detach(
            read(Detach, body),
            sides=self.sides,
            store=self.desk.store,
            namespace=self.desk.namespace,
            caller=self.caller(),
        )


def result_of(answer: Answer) -> Any:
    (case,) = answer.cases
    assert case.attributes.servicenow_ticket is not None
    return case.attributes.servicenow_ticket.result


def keys(*numbers: int) -> set[str]:
    return {key_of(finding_id(number), "") for number in numbers}


def members(desk: Desk, sys_id: str) -> set[str]:
    with desk.store.begin() as connection:
        known = tickets.by_ids(connection, range(1, 2000)).values()
        return next(tickets.members(connection, each.id) for each in known if each.sys_id == sys_id)


def ours(sandbox: Sandbox) -> list[dict[str, str]]:
    return [row for row in sandbox.records("incident") if row["correlation_id"].startswith("dq:")]


def texts(sandbox: Sandbox, sys_id: str) -> str:
    (row,) = [row for row in sandbox.records("incident") if row["sys_id"] == sys_id]
    return "\n".join([row["description"], *sandbox.notes(sys_id)])
