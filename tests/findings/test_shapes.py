"""What is asked and answered has the shape of Datadog's own client and of answers recorded from Datadog."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import get_args

import pytest
from asking import Client, ticket
from datadog_api_client.v2.model.case3rd_party_ticket_status import Case3rdPartyTicketStatus

from airflow_provider_servicenow_dq.findings import asked, shown
from airflow_provider_servicenow_dq.store import cases

PAYLOADS = Path(__file__).parents[1] / "payloads"
SCHEMA = json.loads((PAYLOADS / "datadog-client-schema.json").read_text())["models"]
RECORDED = "datadog-cassette-attach-security-findings-to-a-case-returns-ok-response.json"

#: Which the reference does not name.
NOT_OURS = {"linear_issue"}


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (shown.CaseResponses, "FindingCaseResponseArray"),
        (shown.CaseResponse, "FindingCaseResponse"),
        (shown.CaseData, "FindingCaseResponseData"),
        (shown.CaseShown, "FindingCaseResponseDataAttributes"),
        (shown.CaseRelationships, "FindingCaseResponseDataRelationships"),
        (shown.Insight, "CaseInsightsItems"),
        (shown.ServiceNowTicket, "FindingJiraIssue"),  # its own has no room for why it failed
        (shown.TicketResult, "FindingServiceNowTicketResult"),
        (asked.CreateTickets, "CreateServiceNowTicketRequestArray"),
        (asked.TicketToCreate, "CreateServiceNowTicketRequestData"),
        (asked.AttachTicket, "AttachServiceNowTicketRequest"),
        (asked.TicketToAttach, "AttachServiceNowTicketRequestData"),
        (asked.CreateCases, "CreateCaseRequestArray"),
        (asked.CaseToCreate, "CreateCaseRequestData"),
        (asked.AttachCase, "AttachCaseRequest"),
        (asked.CaseToAttach, "AttachCaseRequestData"),
        (asked.Detach, "DetachCaseRequest"),
    ],
)
def test_every_field_of_the_official_client_is_known(ours, theirs):
    assert ours.model_fields.keys() == SCHEMA[theirs]["fields"].keys() - NOT_OURS


def test_a_recorded_answer_is_one_of_ours():
    bodies = [
        each["response"]["body"] for each in json.loads((PAYLOADS / RECORDED).read_text())["interactions"]
    ]
    recorded = next(body for body in bodies if isinstance(body, dict) and "data" in body)

    read = shown.CaseResponse.model_validate(recorded)

    assert read.model_dump(mode="json", exclude_none=True) == recorded


def test_a_case_is_named_by_a_uuid_made_of_its_ticket_and_its_times_have_a_zone(desk):
    (case,) = Client(desk).create(ticket(1)).cases

    with desk.store.snapshot() as connection:
        known = cases.by_ids(connection, [case.id])[case.id]
    assert uuid.UUID(case.id) == uuid.uuid5(uuid.NAMESPACE_URL, known.correlation_id)
    plain = json.loads(case.model_dump_json(exclude_none=True))["attributes"]
    assert (plain["created_at"][-1], plain["modified_at"][-1]) == ("Z", "Z")
    assert plain.keys().isdisjoint(NOT_OURS | {"attributes", "closed_at", "due_date", "assigned_to"})


def test_a_project_without_a_key_numbers_its_cases_all_the_same(desk):
    client = Client(desk)
    client.project = client.project.model_copy(update={"key": None})

    found = client.create_cases(ticket(1, kind="cases"), ticket(2, kind="cases")).cases

    assert [case.attributes.key for case in found] == ["DQ-1", "DQ-2"]


def test_the_official_client_knows_every_status_of_a_ticket():
    ours = get_args(shown.ServiceNowTicket.model_fields["status"].annotation)
    assert set(ours) <= Case3rdPartyTicketStatus.allowed_values
