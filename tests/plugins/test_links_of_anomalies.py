"""The link routes: which tickets an anomaly has, linking it to one that is there, and cutting a link."""

from __future__ import annotations

import pytest
import requests
from rest_server import words_of
from test_tickets_of_anomalies import TICKET

from airflow_provider_servicenow_dq.tickets.ticket import integration_id

PATH = "/api/anomalies/A-1/ticket-links"


@pytest.fixture
def incident(sandbox):
    """Open a ticket that is not ours."""

    def opened(title="printer on fire"):
        values = {"short_description": title, "impact": "2", "urgency": "2"}
        url = f"{sandbox.url}/api/now/table/incident"
        return requests.post(url, json=values, auth=("admin", "admin"), timeout=10).json()["result"]

    return opened


def test_the_ticket_of_a_report_is_listed_with_its_link(ask, sandbox, report):
    opened = report()
    body = ask("GET", PATH).json()
    assert {name: body[name] for name in ("total", "page", "size", "pages")} == {
        "total": 1,
        "page": 1,
        "size": 50,
        "pages": 1,
    }
    (link,) = body["items"]
    assert link["ticket"].keys() == TICKET
    assert link["ticket"]["ticket_id"] == opened["ticket"]["ticket_id"]
    assert link["anomaly_id"] == "A-1"
    assert link["integration_id"] == opened["integration_id"]
    assert link["by_person"] is False
    assert link["last_synced_at"] is None
    assert link["linked_at"].endswith("Z")


def test_listing_links_asks_nothing_of_servicenow(ask, sandbox, report):
    report()
    sandbox.clear_requests()
    assert ask("GET", PATH).json()["total"] == 1
    assert not sandbox.requests


def test_an_anomaly_without_tickets_has_an_empty_list(ask, sandbox, report):
    report(ticket=False)
    assert ask("GET", PATH).json() == {"items": [], "total": 0, "page": 1, "size": 50, "pages": 0}


def test_an_anomaly_is_linked_to_a_ticket_that_is_there(ask, sandbox, report, incident):
    report(ticket=False)
    ticket = incident()
    answer = ask("POST", PATH, json={"ticket_id": ticket["number"]})

    assert answer.status_code == 201, answer.text
    body = answer.json()
    assert body["action"] == "linked"
    assert body["message"] == f"Anomaly A-1 linked to ticket {ticket['number']}"
    (link,) = ask("GET", PATH).json()["items"]
    assert link["link_id"] == body["link_id"]
    assert link["by_person"] is True
    (row,) = sandbox.records("incident")
    assert "**Anomaly ID:** A-1" in row["description"]


@pytest.mark.parametrize("name", ["number", "sys_id", "address"])
def test_linking_twice_changes_nothing(ask, sandbox, report, incident, name):
    report(ticket=False)
    ticket = incident()
    address = f"{sandbox.url}/nav_to.do?uri=incident.do?sys_id={ticket['sys_id']}"
    body = {"ticket_id": {**ticket, "address": address}[name]}
    first = ask("POST", PATH, json=body)
    before = sandbox.records("incident"), sandbox.notes(ticket["sys_id"])
    again = ask("POST", PATH, json=body)

    assert first.json()["link_id"] == again.json()["link_id"]
    assert (sandbox.records("incident"), sandbox.notes(ticket["sys_id"])) == before
    by_somebody_else = ask("POST", PATH, json={**body, "ticket_id": f" {body['ticket_id']} "})
    assert by_somebody_else.status_code in {200, 201}
    assert (sandbox.records("incident"), sandbox.notes(ticket["sys_id"])) == before


def test_an_anomaly_may_have_many_links_in_pages(ask, sandbox, report, incident):
    report(ticket=False)
    numbers = [incident(f"ticket {number}")["number"] for number in range(3)]
    for number in numbers:
        ask("POST", PATH, json={"ticket_id": number})
    pages = [ask("GET", PATH, params={"size": 2, "page": page}).json() for page in (1, 2, 3)]
    assert [page["pages"] for page in pages] == [2, 2, 2]
    shown = [item["ticket"]["ticket_number"] for page in pages for item in page["items"]]
    assert shown == numbers[::-1]


def test_a_link_is_cut_and_then_gone(ask, sandbox, report, incident):
    report(ticket=False)
    first, second = incident("one"), incident("two")
    kept = ask("POST", PATH, json={"ticket_id": first["number"]}).json()["link_id"]
    cut = ask("POST", PATH, json={"ticket_id": second["number"]}).json()["link_id"]
    before = sandbox.records("incident")

    gone = ask("DELETE", f"{PATH}/{cut}")
    assert gone.status_code == 204
    assert gone.content == b""
    assert [item["link_id"] for item in ask("GET", PATH).json()["items"]] == [kept]
    assert sandbox.records("incident") == before
    again = ask("DELETE", f"{PATH}/{cut}")
    assert again.status_code == 404
    assert cut in words_of(again)


def test_a_link_that_was_cut_can_be_made_again_and_has_its_id(ask, sandbox, report, incident):
    report(ticket=False)
    body = {"ticket_id": incident()["number"]}
    first = ask("POST", PATH, json=body).json()["link_id"]
    ask("DELETE", f"{PATH}/{first}")
    again = ask("POST", PATH, json=body)
    assert again.status_code == 201
    assert again.json()["link_id"] == first


def test_a_link_of_another_anomaly_is_not_cut(ask, sandbox, report, incident):
    report(ticket=False)
    report(ticket=False, external_id="B-2", check_name="unique")
    link = ask("POST", PATH, json={"ticket_id": incident()["number"]}).json()["link_id"]
    assert ask("DELETE", f"/api/anomalies/B-2/ticket-links/{link}").status_code == 404
    assert ask("GET", PATH).json()["total"] == 1


def test_a_ticket_that_is_closed_is_refused(ask, sandbox, report, incident):
    report(ticket=False)
    ticket = incident()
    closing = {"state": "7", "close_code": "Solution provided", "close_notes": "done"}
    sandbox.act_as("admin", "incident", ticket["sys_id"], closing)
    answer = ask("POST", PATH, json={"ticket_id": ticket["number"]})
    assert answer.status_code == 409
    assert ticket["number"] in words_of(answer)


def test_a_ticket_that_is_not_there_is_not_found(ask, sandbox, report):
    report(ticket=False)
    answer = ask("POST", PATH, json={"ticket_id": "INC9999999"})
    assert answer.status_code == 404
    words_of(answer)


@pytest.mark.parametrize(
    "name", ["https://another.service-now.com/incident.do?sys_id=" + "a" * 32, "nonsense"]
)
def test_what_names_no_ticket_of_this_instance_is_a_bad_request(ask, sandbox, report, name):
    report(ticket=False)
    answer = ask("POST", PATH, json={"ticket_id": name})
    assert answer.status_code == 400
    words_of(answer)


def test_an_integration_that_is_named_has_to_be_this_one(ask, sandbox, report, incident):
    report(ticket=False)
    host = sandbox.url.removeprefix("http://")
    body = {"ticket_id": incident()["number"]}
    wrong = ask("POST", PATH, json={**body, "integration_id": 1})
    assert wrong.status_code == 400
    assert "body.integration_id" in words_of(wrong)
    assert ask("POST", PATH, json={**body, "integration_id": integration_id(host)}).status_code == 201


def test_links_need_the_store_that_all_tasks_share(ask, sandbox, report, monkeypatch):
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
    answer = ask("GET", PATH)
    assert answer.status_code == 503
    assert "[servicenow_dq] store" in words_of(answer)
