"""The sample exchanges that are documented of real instances, each sent and answered word by word."""

from __future__ import annotations

import base64
import json
import re

import pytest
import requests
from plain_client import READONLY, error_of

VENDORS_ID = "c537bae64f411200adf9f8e18110c76e"
BETH = "46d44a23a9fe19810012d100cca80666"
FAILURE = {"status": "failure"}


@pytest.fixture
def incident(client):
    return client.create(sys_id=VENDORS_ID, short_description="dq: orders null rate")["number"]


def test_1_create(client):
    values = {
        "short_description": "dq: orders null rate",
        "impact": "3",
        "urgency": "3",
        "priority": "3",
        "correlation_id": "airflow:ab12",
        "sys_id": VENDORS_ID,
    }
    answer = client.table("POST", "incident?sysparm_exclude_reference_link=true", json=values)
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"{client.url}/api/now/table/incident/{VENDORS_ID}"
    record = answer.json()["result"]
    expected = {
        "sys_id": VENDORS_ID, "state": "1", "incident_state": "1", "impact": "3", "urgency": "3",
        "priority": "5", "category": "inquiry", "active": "true", "sys_mod_count": "0", "caller_id": "",
        "assignment_group": "", "work_notes": "", "comments": "", "correlation_id": "airflow:ab12",
    }  # fmt: skip
    assert {name: record[name] for name in expected} == expected
    assert re.fullmatch(r"INC001\d{4}", record["number"])
    assert re.fullmatch(r"[0-9a-f]{32}", record["opened_by"])
    assert record["opened_at"] == record["sys_created_on"]


def test_2_create_with_a_reference_that_cannot_be_resolved(client):
    body = {"short_description": "x", "assignment_group": "No Such Group"}
    answer = client.table("POST", "incident?sysparm_input_display_value=true", json=body)
    assert (answer.status_code, answer.json()["result"]["assignment_group"]) == (201, "")


def test_2_create_with_a_reference_to_nothing(client):
    nothing = "f" * 32
    answer = client.table("POST", "incident", json={"short_description": "x", "assignment_group": nothing})
    record = answer.json()["result"]
    link = f"{client.url}/api/now/table/sys_user_group/{nothing}"
    assert (answer.status_code, record["assignment_group"]) == (201, {"link": link, "value": nothing})
    both = client.read(record["sys_id"], sysparm_display_value="all")["assignment_group"]
    assert both == {"display_value": "", "value": nothing}


def test_3_query_with_display_values(sandbox, client, incident):
    sandbox.configure(time_zone="America/Los_Angeles")
    client.update(VENDORS_ID, state="2", assigned_to=BETH, work_notes="row count dropped")
    answer = client.table(
        "GET",
        f"incident?sysparm_query=number={incident}&sysparm_display_value=all"
        "&sysparm_fields=number,state,assigned_to,sys_updated_on,work_notes",
    )
    assert (answer.status_code, answer.headers["X-Total-Count"]) == (200, "1")
    (record,) = answer.json()["result"]
    link = f"{client.url}/api/now/table/sys_user/{BETH}"
    assert record["number"] == {"display_value": incident, "value": incident}
    assert record["state"] == {"display_value": "In Progress", "value": "2"}
    assert record["assigned_to"] == {"display_value": "Beth Anglin", "link": link, "value": BETH}
    stamp = record["sys_updated_on"]
    assert stamp["display_value"] != stamp["value"]
    assert record["work_notes"]["value"] == ""
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d - Airflow Service \(Work notes\)\nrow count dropped\n\n",
        record["work_notes"]["display_value"],
    )


def test_4_a_work_note(sandbox, client, incident):
    record = client.update(VENDORS_ID, work_notes="row count dropped").json()["result"]
    assert (record["work_notes"], record["sys_mod_count"]) == ("", "1")
    assert sandbox.notes(VENDORS_ID) == ["row count dropped"]


def test_5_resolve_with_a_code_that_the_instance_does_not_know(client, incident):
    values = {"state": "6", "close_notes": "fixed", "close_code": "Solved (Permanently)"}
    answer = client.update(VENDORS_ID, **values)
    assert answer.status_code == 403
    detail = "Data Policy Exception: \n\tThe following fields are mandatory: Resolution code"
    assert answer.json() == {"error": {"message": "Operation Failed", "detail": detail}, **FAILURE}


def test_5_resolve(client, incident):
    values = {"state": "6", "close_code": "Solution provided", "close_notes": "fixed"}
    record = client.update(VENDORS_ID, **values).json()["result"]
    assert (record["state"], record["active"]) == ("6", "true")
    assert record["resolved_at"]
    assert record["resolved_by"] == record["opened_by"]


def test_6_not_signed_in(client):
    answer = client.table("GET", "incident", auth=None)
    message = {"message": "User Not Authenticated", "detail": "Required to provide Auth information"}
    assert (answer.status_code, answer.json()) == (401, {"error": message, **FAILURE})


def test_7_no_record_and_no_table(client):
    missing = client.table("GET", f"incident/{VENDORS_ID}")
    detail = "Record doesn't exist or ACL restricts the record retrieval"
    message = {"message": "No Record found", "detail": detail}
    assert (missing.status_code, missing.json()) == (404, {"error": message, **FAILURE})
    invalid = client.table("GET", "foo")
    message = {"message": "Invalid table foo", "detail": None}
    assert (invalid.status_code, invalid.json()) == (400, {"error": message, **FAILURE})


def test_8_the_429_of_a_rule_and_of_semaphores(sandbox, client):
    sandbox.configure(rate_rule=["0 table"])
    ruled = client.table("GET", "incident")
    assert ruled.status_code == 429
    assert int(ruled.headers["X-RateLimit-Limit"]) == 0
    assert int(ruled.headers["X-RateLimit-Reset"]) > 1_700_000_000
    assert re.fullmatch(r"[0-9a-f]{32}", ruled.headers["X-RateLimit-Rule"])
    assert 0 < int(ruled.headers["Retry-After"]) <= 3600
    sandbox.configure(rate_rule=[], semaphores=0, queue=0)
    busy = client.table("GET", "incident")
    assert busy.status_code == 429
    assert not {name for name in busy.headers if name.lower().startswith(("x-ratelimit", "retry-after"))}
    with pytest.raises(requests.JSONDecodeError):
        busy.json()


def test_9_a_batch_that_its_quota_ends(sandbox, client):
    sandbox.configure(service_ms=40, batch_quota_s=0.06)
    body = base64.b64encode(b'{"short_description":"x"}').decode()
    headers = [{"name": "Content-Type", "value": "application/json"}]
    items = [
        {"id": str(n), "method": "POST", "url": "/api/now/table/incident", "headers": headers, "body": body}
        for n in range(1, 5)
    ]
    batch = {"batch_request_id": "1", "rest_requests": items}
    content = client.send("POST", "/api/now/v1/batch", json=batch).json()
    assert set(content) == {"batch_request_id", "serviced_requests", "unserviced_requests"}
    first, cut = content["serviced_requests"]
    assert set(first) == {"id", "body", "status_code", "status_text", "headers", "execution_time"}
    assert (first["status_code"], first["status_text"]) == (201, "Created")
    error = json.loads(base64.b64decode(cut["body"]))["error"]
    assert "maximum execution time exceeded" in error["message"]
    assert content["unserviced_requests"] == ["3", "4"]


def test_10_a_token_and_none(client):
    form = {
        "grant_type": "password",
        "client_id": "sandbox-client",
        "client_secret": "sandbox-secret",
        "username": "svc_airflow",
        "password": "airflow-secret",
    }
    answer = client.send("POST", "/oauth_token.do", data=form, auth=None)
    token = answer.json()
    assert answer.status_code == 200
    assert set(token) == {"scope", "token_type", "expires_in", "refresh_token", "access_token"}
    assert (token["scope"], token["token_type"]) == ("useraccount", "Bearer")
    assert 1790 <= token["expires_in"] <= 1799
    refused = client.send("POST", "/oauth_token.do", data={**form, "password": "x"}, auth=None)
    assert (refused.status_code, refused.json()) == (
        401,
        {"error_description": "access_denied", "error": "server_error"},
    )


def test_11_choices_that_depend_on_another(client):
    query = "name=incident^element=subcategory^dependent_value=database^inactive=false^language=en"
    fields = "value,label,dependent_value,sequence"
    params = {"sysparm_query": query, "sysparm_fields": fields}
    rows = client.table("GET", "sys_choice", params=params).json()["result"]
    assert sorted(rows, key=lambda row: row["sequence"]) == [
        {"value": "db2", "label": "DB2", "dependent_value": "database", "sequence": "1"},
        {"value": "sql server", "label": "MS SQL Server", "dependent_value": "database", "sequence": "2"},
        {"value": "oracle", "label": "Oracle", "dependent_value": "database", "sequence": "3"},
    ]


def test_12_the_journal(sandbox, client, incident):
    client.update(VENDORS_ID, work_notes="row count dropped")
    query = f"element_id={VENDORS_ID}^elementINwork_notes,comments^ORDERBYsys_created_on"
    (row,) = client.find(query, "sys_journal_field")
    expected = {
        "name": "incident",
        "element": "work_notes",
        "element_id": VENDORS_ID,
        "value": "row count dropped",
        "sys_created_by": "svc_airflow",
        "sys_tags": "",
    }
    assert {name: row[name] for name in expected} == expected
    sandbox.configure(journal_acl=True)
    denied = client.table("GET", f"sys_journal_field?sysparm_query={query}")
    assert (denied.status_code, denied.json()) == (200, {"result": []})


@pytest.mark.parametrize("parsable", [True, False])
def test_13_a_cancelled_transaction(sandbox, client, incident, parsable):
    sandbox.fail_next("cancelled", parsable=parsable)
    answer = client.table("GET", "incident")
    assert answer.status_code == 200
    assert answer.text.startswith('{"result":[{')
    assert '"message":"Transaction cancelled: maximum execution time exceeded"' in answer.text
    assert answer.text.endswith('"status":"failure"}')
    if parsable:
        assert len(answer.json()["result"]) == 1
    else:
        with pytest.raises(requests.JSONDecodeError):
            answer.json()


def test_14_accepted_and_not_executed(sandbox, client):
    sandbox.fail_next("accepted")
    answer = client.table("POST", "incident", json={})
    assert (answer.status_code, answer.content) == (202, b"")
    assert sandbox.records("incident") == []


def test_15_hibernating(sandbox, client):
    sandbox.configure(availability="hibernating")
    answer = client.table("GET", "incident")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/html")
    assert re.search(r"<title>\s+Instance Hibernating page\s+</title>", answer.text)


def test_16_created_although_denied_and_created_although_lost(sandbox, client):
    sandbox.configure(hidden=["incident"])
    denied = client.table("POST", "incident", json={"short_description": "denied"})
    assert denied.status_code == 403
    assert error_of(denied)["detail"] == "ACL Exception Insert Failed due to security constraints"
    sandbox.fail_next("drop_after", method="POST")
    with pytest.raises(requests.ConnectionError):
        client.table("POST", "incident", json={"short_description": "lost"})
    assert [row["short_description"] for row in sandbox.records("incident")] == ["denied", "lost"]


def test_17_pages_count_what_is_hidden_and_come_in_any_order(sandbox, client, admin):
    sandbox.configure(hidden=["incident when short_description=hidden"])
    for number in range(9):
        admin.create(short_description="hidden" if number % 3 == 0 else "seen")
    reader = client.as_user(READONLY)
    pages = [reader.table("GET", f"incident?sysparm_limit=3&sysparm_offset={n}") for n in (0, 3, 6)]
    assert {page.headers["X-Total-Count"] for page in pages} == {"9"}
    ordered = [
        reader.table("GET", f"incident?sysparm_query=ORDERBYnumber&sysparm_limit=3&sysparm_offset={n}")
        for n in (0, 3, 6)
    ]
    assert [len(page.json()["result"]) for page in ordered] == [2, 2, 2]
    assert 'rel="next"' in ordered[0].headers["Link"]
    orders = {tuple(row["number"] for row in reader.find("short_description=seen")) for _ in range(6)}
    assert len(orders) > 1
