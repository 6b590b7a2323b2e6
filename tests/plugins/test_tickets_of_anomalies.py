"""The ticket routes: the form, finding tickets, and opening one for an anomaly, in the seed's shapes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import quote

import pytest
import requests
from rest_server import TICKETING, connection_to, words_of

#: The seed's *Create Ticket Response*.
RESPONSE = {"ticket", "anomaly_id", "integration_id", "message"}
TICKET = {
    *("ticket_id", "ticket_number", "title", "description", "status", "priority", "urgency", "impact"),
    *("category", "subcategory", "created_at", "updated_at", "resolved_at", "closed_at", "assigned_to"),
    *("assigned_group", "requester", "url", "comments_count", "metadata"),
}
SAMPLE = Path(__file__).parents[1] / "payloads" / "qualytics-seed-anomaly824-ticket.json"
#: What of it is another each time, and in which form.
VARIES = {
    "ticket_id": "[0-9a-f]{32}",
    "ticket_number": "INC[0-9]{7}",
    "created_at": "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}",
    "updated_at": "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}",
    "description": r"## Qualytics Anomaly Linked \[[-0-9: ]{19} UTC\]\n\n\*\*Anomaly ID:\*\* 824\n.*",
}
#: An item of the seed's *Search Tickets Response*.
ITEM = {
    *("ticket_id", "ticket_number", "title", "description", "status", "priority"),
    *("created_at", "updated_at", "assigned_to", "url"),
}
SEED_BODY = {"title": "My ticket description", "priority": "3", "urgency": "3", "impact": "3"}


def create(ask, anomaly_id="A-1", body=SEED_BODY, **query):
    return ask("POST", f"{TICKETING}/anomalies/{anomaly_id}/tickets", json=body, params=query)


def test_a_ticket_is_opened_for_an_anomaly_as_the_seed_shows_it(ask, sandbox, report):
    report(ticket=False, source="qualytics", external_id=824)
    answer = create(ask, 824)

    assert answer.status_code == 201, answer.text
    body = answer.json()
    assert body.keys() >= RESPONSE
    assert body["ticket"].keys() == TICKET
    number = body["ticket"]["ticket_number"]
    assert body["message"] == f"Ticket {number} created and linked to anomaly 824"
    assert body["anomaly_id"] == 824
    assert body["ticket"]["title"] == "My ticket description"
    assert (body["ticket"]["urgency"], body["ticket"]["impact"], body["ticket"]["priority"]) == (
        "3",
        "3",
        "5",
    )
    assert body["ticket"]["status"] == "New"
    (row,) = sandbox.records("incident")
    assert row["number"] == number
    assert "**Anomaly ID:** 824" in row["description"]


def test_asking_twice_for_a_ticket_opens_one(ask, sandbox, report):
    report(ticket=False)
    first, again = create(ask), create(ask)
    other_words = create(ask, body={"title": "in other words"})

    assert [each.status_code for each in (first, again, other_words)] == [201, 201, 200]
    assert first.json() == again.json()
    assert other_words.json()["action"] == "unchanged"
    assert other_words.json()["ticket"]["ticket_id"] == first.json()["ticket"]["ticket_id"]
    assert len(sandbox.records("incident")) == 1


def test_an_anomaly_with_a_ticket_keeps_it(ask, sandbox, report):
    opened = report()
    answer = create(ask)
    assert answer.status_code == 200
    assert answer.json()["ticket"]["ticket_id"] == opened["ticket"]["ticket_id"]
    assert len(sandbox.records("incident")) == 1


def test_what_somebody_writes_arrives_as_it_is(ask, sandbox, report):
    report(ticket=False)
    body = {
        "short_description": "{dataset} is broken: {}",
        "description": "see {this}",
        "category": "database",
    }
    ticket = create(ask, body=body).json()["ticket"]
    assert ticket["title"] == "{dataset} is broken: {}"
    assert ticket["description"].startswith("see {this}\n")
    assert ticket["category"] == "database"


def test_priorities_may_be_numbers(ask, sandbox, report):
    report(ticket=False)
    ticket = create(ask, body={"title": "numbers", "impact": 1, "urgency": 2}).json()["ticket"]
    assert (ticket["impact"], ticket["urgency"], ticket["priority"]) == ("1", "2", "2")


def test_somebody_who_asks_gets_a_ticket_however_low_the_severity(ask, sandbox, report, monkeypatch):
    projects = [{"id": "picky", "min_severity": "critical"}]
    monkeypatch.setenv(
        "AIRFLOW_CONN_SERVICENOW_DEFAULT", connection_to(sandbox.url, extra={"projects": projects})
    )
    report(ticket=False, severity="low")
    assert create(ask, project="picky").status_code == 201


def test_an_anomaly_that_is_resolved_in_its_source_gets_no_ticket(ask, sandbox, report):
    report(ticket=False, status="resolved")
    answer = create(ask)
    assert answer.status_code == 409
    assert "resolved in its source" in words_of(answer)
    assert not sandbox.records("incident")


@pytest.mark.parametrize("name", ["external id", "fingerprint", "key"])
def test_an_anomaly_is_known_by_each_of_its_ids(ask, sandbox, report, name):
    from airflow_provider_servicenow_dq.anomalies.model import anomaly_key
    from airflow_provider_servicenow_dq.anomalies.reading import read_report

    told = report(ticket=False)
    anomaly = {"source": "custom", "external_id": "A-1", "dataset": "sales.orders", "check_name": "not_null"}
    (read,) = read_report([anomaly]).anomalies
    ids = {"external id": "A-1", "fingerprint": told["fingerprint"], "key": anomaly_key(read)}
    assert create(ask, ids[name]).status_code == 201


def test_an_id_may_hold_what_sources_write(ask, sandbox, report):
    for external_id in ("a/b c?d#e", "ZGVmLTAwcC1pZXJ-aQ==", "Zeile 7 — größer"):
        report(ticket=False, external_id=external_id, check_name=external_id)
        assert create(ask, quote(external_id, safe="")).status_code == 201, external_id


def test_an_anomaly_that_nobody_has_reported_is_not_found(ask, sandbox):
    for anomaly_id in ("nothing", "0" * 32):
        answer = create(ask, anomaly_id)
        assert answer.status_code == 404
        assert anomaly_id in words_of(answer)
    assert not sandbox.requests


def test_of_two_sources_that_share_an_id_one_has_to_be_named(ask, sandbox, report):
    report(ticket=False)
    report(ticket=False, source="qualytics")
    answer = create(ask)
    assert answer.status_code == 409
    assert "custom, qualytics" in words_of(answer)
    assert create(ask, source="qualytics").status_code == 201
    assert create(ask, source="soda").status_code == 404
    (row,) = sandbox.records("incident")
    assert row["correlation_id"].startswith("dq:qualytics:")


def test_two_anomalies_of_one_source_and_id_are_told_apart_by_fingerprint(ask, sandbox, report):
    first = report(ticket=False)
    report(ticket=False, dataset="another")
    answer = create(ask)
    assert answer.status_code == 409
    assert "fingerprint" in words_of(answer)
    assert create(ask, first["fingerprint"]).status_code == 201


def test_an_anomaly_of_another_namespace_is_not_found(ask, sandbox, report, monkeypatch):
    report(ticket=False)
    monkeypatch.setenv("AIRFLOW__SERVICENOW_DQ__NAMESPACE", "staging")
    assert create(ask).status_code == 404


def test_what_the_instance_refuses_for_good_is_told_in_its_words(ask, sandbox, report):
    report(ticket=False)
    sandbox.configure(abort=("incident when short_descriptionLIKEpoison",))
    answer = create(ask, body={"title": "poison"})
    assert answer.status_code == 409
    assert "Business Rule" in words_of(answer)
    assert not sandbox.records("incident")


def test_tickets_are_found_in_the_seeds_shape(ask, sandbox, report):
    title = report()["ticket"]["title"]
    body = ask("GET", f"{TICKETING}/tickets/search", params={"query": title.split()[0], "size": 7}).json()
    assert body.keys() == {"items", "total", "page", "size", "pages"}
    assert (body["total"], body["page"], body["size"], body["pages"]) == (1, 1, 7, 1)
    (item,) = body["items"]
    assert item.keys() == ITEM
    assert item["title"] == title


def test_one_ticket_is_shown_by_its_number_and_by_its_id(ask, sandbox, report):
    ticket = report()["ticket"]
    for name in (ticket["ticket_number"], ticket["ticket_id"]):
        answer = ask("GET", f"{TICKETING}/tickets/{name}")
        assert answer.json() == ticket
    missing = ask("GET", f"{TICKETING}/tickets/INC9999999")
    assert missing.status_code == 404
    assert "INC9999999" in words_of(missing)


def test_the_form_says_what_a_new_ticket_takes(ask, sandbox):
    body = ask("GET", f"{TICKETING}/form-specification").json()
    assert body["is_live"]
    assert [field["name"] for field in body["fields"]][:3] == ["short_description", "description", "priority"]
    groups = next(field for field in body["fields"] if field["name"] == "assignment_group")
    assert groups["choices"]


def test_the_form_is_there_while_servicenow_is_not(ask, sandbox, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_SERVICENOW_DEFAULT", connection_to("http://127.0.0.1:9"))
    body = ask("GET", f"{TICKETING}/form-specification").json()
    assert not body["is_live"]
    assert "could not be asked" in body["notes"][0]
    assert body["fields"]


def test_a_request_may_name_its_connection_and_its_project(ask, sandbox, report, monkeypatch):
    projects = [{"id": "problems", "key": "PRB", "table": "problem"}]
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", connection_to(sandbox.url, extra={"projects": projects}))
    monkeypatch.delenv("AIRFLOW_CONN_SERVICENOW_DEFAULT")

    path = f"{TICKETING}/form-specification"
    assert ask("GET", path).status_code == 404
    assert ask("GET", path, params={"servicenow_conn_id": "other"}).json()["table"] == "incident"
    named = {"servicenow_conn_id": "other", "project": "PRB"}
    assert ask("GET", path, params=named).json()["table"] == "problem"

    monkeypatch.setenv("AIRFLOW__SERVICENOW_DQ__DEFAULT_CONN_ID", "other")
    assert ask("GET", path, params={"project": "problems"}).json()["table"] == "problem"


def test_the_login_of_another_kind_of_connection_is_sent_nowhere(ask, sandbox, monkeypatch):
    """Whoever may see Airflow's website may name any connection."""
    monkeypatch.setenv("AIRFLOW_CONN_DATABASE", connection_to(sandbox.url, conn_type="postgres"))
    answers = [
        ask(method, path, params={"servicenow_conn_id": name}, **content).json()
        for name in ("database", "no_such")
        for method, path, content in (
            ("GET", f"{TICKETING}/tickets/search", {}),
            ("POST", f"{TICKETING}/anomalies/A-1/tickets", {"json": SEED_BODY}),
        )
    ]
    details = [answer["errors"][0]["detail"].replace("database", "no_such") for answer in answers]
    assert {answer["errors"][0]["status"] for answer in answers} == {"404"}
    assert len({*details}) == 1, "one tells from the other which connections there are"
    assert not sandbox.requests


def test_a_ticket_of_a_table_that_is_not_the_projects_is_nobodys_business(ask, sandbox, monkeypatch):
    projects = [{"id": "problems", "table": "problem"}]
    extra = {"projects": projects}
    monkeypatch.setenv("AIRFLOW_CONN_SERVICENOW_DEFAULT", connection_to(sandbox.url, extra=extra))
    url, login = f"{sandbox.url}/api/now/table/problem", ("admin", "admin")
    problem = requests.post(url, json={"short_description": "x"}, auth=login, timeout=10).json()["result"]

    for name in (problem["number"], problem["sys_id"]):
        path = f"{TICKETING}/tickets/{name}"
        assert ask("GET", path).status_code == 404
        assert ask("GET", path, params={"project": "problems"}).json()["ticket_id"] == problem["sys_id"]


def test_a_connection_or_a_project_that_does_not_exist_is_not_found(ask, sandbox):
    path = f"{TICKETING}/form-specification"
    no_connection = ask("GET", path, params={"servicenow_conn_id": "no_such"})
    assert no_connection.status_code == 404
    assert "no_such" in words_of(no_connection)
    no_project = ask("GET", path, params={"project": "defualt"})
    assert no_project.status_code == 404
    assert "default" in words_of(no_project)


def test_the_answer_is_the_seeds_sample_field_by_field(ask, sandbox, report):
    sample = json.loads(SAMPLE.read_text(encoding="utf-8"))
    report(ticket=False, source="qualytics", external_id=824)
    answered = create(ask, 824, body=sample["create_ticket_request"]).json()

    due, ticket = sample["create_ticket_response"], answered["ticket"]
    due["message"] = due["message"].replace(due["ticket"]["ticket_number"], ticket["ticket_number"])
    for name, pattern in VARIES.items():
        assert re.fullmatch(pattern, due["ticket"][name], re.DOTALL), name
        assert re.fullmatch(pattern, ticket[name], re.DOTALL), name
        due["ticket"][name] = ticket[name]
    due["ticket"]["url"] = f"{sandbox.url}/nav_to.do?uri=incident.do?sys_id={ticket['ticket_id']}"
    due["integration_id"] = answered["integration_id"]
    assert {name: answered[name] for name in due} == due
    assert type(answered["integration_id"]) is int
