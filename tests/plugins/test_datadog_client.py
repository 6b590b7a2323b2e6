"""Datadog's official client, unchanged, works with a running API server of Airflow as its host."""

from __future__ import annotations

import pytest
from api_servers import log_in
from datadog_api_client import ApiClient, Configuration
from datadog_api_client.exceptions import ApiException
from datadog_api_client.model_utils import validate_and_convert_types
from datadog_api_client.v2.api.security_monitoring_api import SecurityMonitoringApi
from datadog_api_client.v2.model.attach_case_request import AttachCaseRequest
from datadog_api_client.v2.model.attach_service_now_ticket_request import AttachServiceNowTicketRequest
from datadog_api_client.v2.model.create_case_request_array import CreateCaseRequestArray
from datadog_api_client.v2.model.create_service_now_ticket_request_array import (
    CreateServiceNowTicketRequestArray,
)
from datadog_api_client.v2.model.detach_case_request import DetachCaseRequest
from rest_server import DATADOG_PROJECT

pytestmark = pytest.mark.heavy


@pytest.fixture
def sandbox(airflow):
    return airflow.instance


@pytest.fixture(scope="module")
def api(airflow):
    token = log_in(airflow.url, "admin").headers["Authorization"].split()[1]
    configuration = Configuration(host=f"{airflow.url}/servicenow-dq", access_token=token)
    with ApiClient(configuration) as client:
        yield SecurityMonitoringApi(client)


def refs(*ids):
    return {"data": [{"id": each, "type": "findings"} for each in ids]}


def item(*ids, kind="servicenow_tickets", project=DATADOG_PROJECT, **attributes):
    return {
        "attributes": attributes,
        "relationships": {"findings": refs(*ids), "project": {"data": {"id": project, "type": "projects"}}},
        "type": kind,
    }


def body(model, content):
    """Return content as one of the client's models."""
    return validate_and_convert_types(content, (model,), ["body"], True, True)


def create(api, *items):
    return api.create_service_now_tickets(
        body=body(CreateServiceNowTicketRequestArray, {"data": list(items)})
    )


def unparsed(model):
    """Return the parts of an answer that the client could not read."""
    found = []

    def look(value, path):
        if getattr(value, "_unparsed", False):
            found.append(path)
        inner = getattr(value, "_data_store", value)
        if isinstance(inner, dict):
            for name, each in inner.items():
                look(each, f"{path}.{name}")
        elif isinstance(inner, list):
            for number, each in enumerate(inner):
                look(each, f"{path}[{number}]")

    look(model, "answer")
    return found


def test_it_creates_attaches_and_detaches_and_reads_every_answer(api, sandbox):
    made = create(api, item("f1", title="one", description="d", priority="P3", assignee_id="u1"), item("f2"))
    first = made.data[0]
    url = first.attributes.servicenow_ticket.result.url

    by_url = api.attach_service_now_ticket(
        body=body(AttachServiceNowTicketRequest, {"data": item("f3", servicenow_ticket_url=url)})
    )
    alone = api.create_cases(body=body(CreateCaseRequestArray, {"data": [item("f4", kind="cases")]}))
    joining = {"id": first.id, "relationships": {"findings": refs("f5")}, "type": "cases"}
    attached = api.attach_case(case_id=first.id, body=body(AttachCaseRequest, {"data": joining}))
    leaving = {"relationships": {"findings": refs("f2")}, "type": "cases"}
    api.detach_case(body=body(DetachCaseRequest, {"data": leaving}))

    for answer in (made, by_url, alone, attached):
        assert unparsed(answer) == []
    assert first.attributes.key == "PROJ-1"
    assert first.attributes.created_at.year >= 2026
    assert first.attributes.assigned_to.data.id == "u1"
    assert by_url.data.id == first.id
    assert [each.resource_id for each in attached.data.attributes.insights] == ["f1", "f3", "f5"]
    assert len([row for row in sandbox.records("incident") if row["correlation_id"]]) == 2


@pytest.mark.parametrize(
    ("items", "status"),
    [
        ([item("x")] * 51, 400),
        ([item(*map(str, range(51)))], 400),
        ([item()], 400),
        ([item("x", project="00000000-0000-0000-0000-000000000000")], 404),
    ],
)
def test_it_reads_what_is_wrong(api, items, status):
    with pytest.raises(ApiException) as caught:
        create(api, *items)

    assert caught.value.status == status
    assert caught.value.body["errors"]


def test_it_reads_a_rate_limit(api, sandbox):
    sandbox.fail_next("rate_limited", method="POST", retry_after=60)

    with pytest.raises(ApiException) as caught:
        create(api, item("limited"))

    assert caught.value.status == 429
    headers = {name.lower(): value for name, value in caught.value.headers.items()}
    assert int(headers["x-ratelimit-reset"]) >= 1
