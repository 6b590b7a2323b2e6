"""The routes of security findings, as Datadog's clients ask them."""

from __future__ import annotations

import json
import uuid

import pytest
from rest_server import DATADOG_PROJECT, Asking, connection_to, words_of

from airflow_provider_servicenow_dq.desk.clear import deliver_waiting
from airflow_provider_servicenow_dq.desk.desk import Run
from airflow_provider_servicenow_dq.hooks.desk import open_desk
from airflow_provider_servicenow_dq.hooks.servicenow import ServiceNowHook

FINDINGS = "/api/v2/security/findings"


@pytest.fixture(autouse=True)
def project(sandbox, monkeypatch):
    """A project with a UUID, as Datadog has them."""
    extra = {"projects": json.dumps([{"id": DATADOG_PROJECT, "key": "PROJ"}])}
    monkeypatch.setenv("AIRFLOW_CONN_SERVICENOW_DEFAULT", connection_to(sandbox.url, extra=extra))


def refs(*ids):
    return {"data": [{"id": each, "type": "findings"} for each in ids]}


def item(*ids, kind="servicenow_tickets", project=DATADOG_PROJECT, **attributes):
    return {
        "attributes": attributes,
        "relationships": {"findings": refs(*ids), "project": {"data": {"id": project, "type": "projects"}}},
        "type": kind,
    }


def create(ask, *items, **options):
    return ask("POST", f"{FINDINGS}/servicenow_tickets", json={"data": list(items)}, **options)


def attach(ask, url, *ids):
    return ask(
        "PATCH", f"{FINDINGS}/servicenow_tickets", json={"data": item(*ids, servicenow_ticket_url=url)}
    )


def detach(ask, *ids):
    data = {"relationships": {"findings": refs(*ids)}, "type": "cases"}
    return ask("DELETE", f"{FINDINGS}/cases", json={"data": data})


def tickets(sandbox):
    return [row for row in sandbox.records("incident") if row["correlation_id"].startswith("dq:")]


def test_tickets_are_created_with_their_cases(ask, sandbox):
    answer = create(ask, item("a", title="one"), item("b", title="two"))

    assert answer.status_code == 201
    assert answer.headers["content-type"] == "application/vnd.api+json"
    assert [case["attributes"]["key"] for case in answer.json()["data"]] == ["PROJ-1", "PROJ-2"]
    assert {case["relationships"]["created_by"]["data"]["id"] for case in answer.json()["data"]} == {"admin"}
    assert len(tickets(sandbox)) == 2


def test_findings_are_attached_by_url_and_to_a_case_and_detached(ask, sandbox):
    (case,) = create(ask, item("a")).json()["data"]
    url = case["attributes"]["servicenow_ticket"]["result"]["url"]

    by_url = attach(ask, url, "b")
    body = {"data": {"id": case["id"], "relationships": {"findings": refs("c")}, "type": "cases"}}
    to_case = ask("PATCH", f"{FINDINGS}/cases/{case['id']}", json=body)
    gone = detach(ask, "a")

    assert (by_url.status_code, to_case.status_code, gone.status_code) == (200, 200, 204)
    assert by_url.json()["data"]["id"] == to_case.json()["data"]["id"] == case["id"]
    insights = to_case.json()["data"]["attributes"]["insights"]
    assert [each["resource_id"] for each in insights] == ["a", "b", "c"]
    assert gone.content == b""
    assert len(tickets(sandbox)) == 1


def test_cases_are_created_without_tickets(ask, sandbox):
    answer = ask("POST", f"{FINDINGS}/cases", json={"data": [item("a", kind="cases")]})

    assert answer.status_code == 201
    assert "servicenow_ticket" not in answer.json()["data"][0]["attributes"]
    assert tickets(sandbox) == []


@pytest.mark.parametrize(
    ("items", "words"),
    [
        ([item("a")] * 51, "at most 50 items"),
        ([item(*map(str, range(51)))], "at most 50 items"),
        ([item()], "no finding provided"),
        ([], "at least 1 item"),
        ([item(1)], "valid string"),
        ([item("a", kind="jira_issues")], "servicenow_tickets"),
        ([item("a", priority="P9")], "priority"),
        ([item("fine", " ")], "findings.data.1.id: must not be blank"),
        ([item("\u2003")], "must not be blank"),
        ([item("a", project="\u00a0")], "must not be blank"),
    ],
)
def test_what_makes_no_sense_is_a_bad_request_and_nothing_is_done(ask, sandbox, items, words):
    answer = create(ask, item("fine"), *items) if len(items) == 1 else create(ask, *items)

    assert answer.status_code == 400
    assert words in words_of(answer)
    assert sandbox.requests == []


def test_an_unknown_project_case_ticket_or_finding_is_not_found_and_nothing_is_done(ask, sandbox):
    nobody = str(uuid.uuid4())
    body = {"data": {"id": nobody, "relationships": {"findings": refs("c")}, "type": "cases"}}
    url = f"{sandbox.url}/incident.do?sys_id={'f' * 32}"

    answers = [
        create(ask, item("a"), item("b", project=nobody)),
        ask("PATCH", f"{FINDINGS}/cases/{nobody}", json=body),
        detach(ask, "never"),
        attach(ask, url, "b"),
    ]

    assert [answer.status_code for answer in answers] == [404] * 4
    assert [bool(words_of(answer)) for answer in answers] == [True] * 4
    assert tickets(sandbox) == []


def test_a_project_whose_connection_is_gone_says_which_and_holds_up_no_ticket_of_its_cases(
    ask, sandbox, monkeypatch
):
    (case,) = create(ask, item("a")).json()["data"]
    url = case["attributes"]["servicenow_ticket"]["result"]["url"]
    moved = [{"id": DATADOG_PROJECT, "key": "PROJ", "servicenow_conn_id": "gone"}, {"id": "other"}]
    extra = {"projects": json.dumps(moved)}
    monkeypatch.setenv("AIRFLOW_CONN_SERVICENOW_DEFAULT", connection_to(sandbox.url, extra=extra))

    refused = create(ask, item("b"))
    data = item("b", project="other", servicenow_ticket_url=url)
    attached = ask("PATCH", f"{FINDINGS}/servicenow_tickets", json={"data": data})

    assert refused.status_code == 404
    assert "the connection 'gone', and there is none" in words_of(refused)
    assert attached.status_code == 200
    assert attached.json()["data"]["id"] == case["id"]


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ({"projects": [{"id": DATADOG_PROJECT, "tabel": "incident"}]}, "Did you mean 'table'?"),
        ({"auth_type": "nonsense"}, "auth_type"),
    ],
)
def test_what_is_wrong_with_the_connection_is_not_the_fault_of_whoever_asks(
    ask, sandbox, monkeypatch, broken, words
):
    extra = {"projects": [{"id": DATADOG_PROJECT}], **broken}
    monkeypatch.setenv("AIRFLOW_CONN_SERVICENOW_DEFAULT", connection_to(sandbox.url, extra=extra))

    answer = create(ask, item("a"))

    assert answer.status_code == 503
    assert words in words_of(answer)


def test_a_key_makes_a_request_the_same_and_another_key_makes_it_another(ask, sandbox):
    first = create(ask, item("a"), headers={"Idempotency-Key": "one"})
    again = create(ask, item("a"), headers={"Idempotency-Key": "one"})
    other = create(ask, item("a"), headers={"Idempotency-Key": "two"})
    clash = create(ask, item("b"), headers={"Idempotency-Key": "one"})

    ids = [answer.json()["data"][0]["id"] for answer in (first, again, other)]
    assert ids[0] == ids[1] != ids[2]
    assert clash.status_code == 409
    assert "another request" in words_of(clash)
    assert len(tickets(sandbox)) == 2


def test_two_people_who_choose_the_same_key_mean_different_things(root, sandbox):
    for user in ("admin", "oper"):
        assert create(Asking(root, user), item(user), headers={"Idempotency-Key": "k"}).status_code == 201

    assert len(tickets(sandbox)) == 2


def test_a_rate_limit_is_told_as_the_clients_read_it_and_a_repeat_finds_what_was_begun(ask, sandbox):
    sandbox.fail_next("rate_limited", method="POST", retry_after=7)

    limited = create(ask, item("a"))

    assert limited.status_code == 429
    assert 1 <= int(limited.headers["X-RateLimit-Reset"]) <= 7
    assert limited.headers["Retry-After"] == limited.headers["X-RateLimit-Reset"]
    assert "429" in words_of(limited) or "rate" in words_of(limited).lower()


def test_a_link_is_cut_while_servicenow_is_down_and_the_note_on_the_ticket_follows(ask, sandbox):
    create(ask, item("a", "b"))
    links = "/api/anomalies/a/ticket-links"
    (link,) = ask("GET", links).json()["items"]
    sandbox.stop()
    try:
        gone = ask("DELETE", f"{links}/{link['link_id']}")
    finally:
        sandbox.start()
    with open_desk(ServiceNowHook()) as desk:
        deliver_waiting(desk, Run("dag", "run", "deliver"))

    assert gone.status_code == 204
    assert ask("GET", links).json()["total"] == 0
    (note,) = sandbox.notes(tickets(sandbox)[0]["sys_id"])
    assert "No longer followed here" in note


def test_while_servicenow_is_down_it_is_unavailable_and_a_repeat_delivers(ask, sandbox):
    sandbox.stop()
    try:
        down = create(ask, item("a"))
    finally:
        sandbox.start()
    again = create(ask, item("a"))

    assert down.status_code == 503
    assert int(down.headers["Retry-After"]) >= 1
    assert again.status_code == 201
    assert len(tickets(sandbox)) == 1


def test_one_that_is_refused_says_so_in_its_case(ask, sandbox):
    sandbox.configure(abort=("incident when short_descriptionLIKErefused",))

    answer = create(ask, item("a", title="fine"), item("b", title="refused"))

    assert answer.status_code == 201
    found = [case["attributes"]["servicenow_ticket"]["status"] for case in answer.json()["data"]]
    assert found == ["COMPLETED", "FAILED"]
