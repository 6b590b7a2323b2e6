"""The exchanges of the Table API, word by word."""

from __future__ import annotations

import re
import socket
from urllib.parse import urlsplit

import pytest
from plain_client import READONLY, error_of

NOT_FOUND = {
    "message": "No Record found",
    "detail": "Record doesn't exist or ACL restricts the record retrieval",
}


def test_a_created_incident_comes_back_with_the_defaults_of_an_unmodified_instance(client):
    values = {"short_description": "dq: orders null rate", "impact": "3", "urgency": "3", "priority": "3"}
    answer = client.table(
        "POST",
        "incident?sysparm_exclude_reference_link=true",
        json={**values, "correlation_id": "airflow:ab12"},
    )

    assert answer.status_code == 201
    record = answer.json()["result"]
    assert answer.headers["Location"] == f"{client.url}/api/now/table/incident/{record['sys_id']}"
    assert answer.headers["Content-Type"] == "application/json;charset=UTF-8"
    assert re.fullmatch(r"[0-9a-f]{32}", record["sys_id"])
    expected = {
        "number": "INC0010001", "state": "1", "incident_state": "1", "impact": "3", "urgency": "3",
        "priority": "5", "category": "inquiry", "active": "true", "sys_mod_count": "0", "caller_id": "",
        "assignment_group": "", "work_notes": "", "comments": "", "correlation_id": "airflow:ab12",
        "severity": "3", "notify": "1", "escalation": "0", "made_sla": "true", "upon_approval": "proceed",
        "upon_reject": "cancel", "approval": "not requested", "contact_type": "phone", "knowledge": "false",
        "reassignment_count": "0", "reopen_count": "0", "child_incidents": "0", "sys_class_name": "incident",
        "sys_created_by": "svc_airflow",
    }  # fmt: skip
    assert {name: record[name] for name in expected} == expected
    assert record["opened_at"] == record["sys_created_on"]
    assert all(isinstance(value, str) for value in record.values())


def test_numbers_are_given_in_order_and_a_refused_insert_uses_one_up(sandbox, client):
    assert client.create()["number"] == "INC0010001"
    sandbox.configure(mandatory=["incident.caller_id when short_description=x"])
    assert client.table("POST", "incident", json={"short_description": "x"}).status_code == 403
    assert client.create()["number"] == "INC0010003"
    assert client.create("problem")["number"] == "PRB0010001"


def test_an_unknown_record_is_the_vendors_404(client):
    for method in ("GET", "PATCH", "PUT", "DELETE"):
        answer = client.table(
            method, f"incident/{'0' * 32}", json=None if method == "GET" else {"state": "2"}
        )
        assert answer.status_code == 404
        assert error_of(answer) == NOT_FOUND
        assert "result" not in answer.json()


def test_an_unknown_table_and_an_unknown_address_are_400(client):
    answer = client.table("GET", "x_foo")
    assert (answer.status_code, error_of(answer)) == (400, {"message": "Invalid table x_foo", "detail": None})
    answer = client.send("GET", "/api/now/nothing")
    assert answer.status_code == 400
    assert error_of(answer)["message"] == "Requested URI does not represent any resource"


@pytest.mark.parametrize("body", [b"{", b'"text"', b"\xff\xfe", b"[1]", b"[" * 100_000])
def test_a_body_that_is_no_object_is_400(client, body):
    answer = client.table("POST", "incident", data=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert error_of(answer)["message"] == "Exception while reading request"


def test_single_quotes_pass_as_in_the_vendors_own_samples(client):
    headers = {"Content-Type": "application/json"}
    answer = client.table("POST", "incident", data="{'short_description':'it works'}", headers=headers)
    assert answer.json()["result"]["short_description"] == "it works"


def test_of_several_records_only_the_first_counts(client, sandbox):
    client.table("POST", "incident", json=[{"short_description": "one"}, {"short_description": "two"}])
    assert [row["short_description"] for row in sandbox.records("incident")] == ["one"]


def test_content_types_other_than_json_are_refused(client):
    assert client.table("POST", "incident", data="short_description=x").status_code == 415
    assert client.table("GET", "incident", headers={"Accept": "text/html"}).status_code == 406


def test_a_body_over_ten_megabytes_is_refused_with_its_size(client):
    answer = client.table("POST", "incident", json={"description": "x" * 10_485_760})
    assert answer.status_code == 400
    assert re.fullmatch(
        r"Rejected large REST payload with content-length = \d+ bytes\. Max allowed: 10485760 bytes\.",
        error_of(answer)["detail"],
    )


def test_a_header_that_is_too_large_is_400_in_html(client):
    answer = client.table("GET", "incident", params={"sysparm_query": "numberIN" + "x," * 5000})
    assert answer.status_code == 400
    assert "Request header is too large" in answer.text
    assert answer.headers["Content-Type"].startswith("text/html")


def test_x_no_response_body_leaves_the_body_out(client):
    headers = {"X-no-response-body": "true"}
    created = client.table("POST", "incident", json={}, headers=headers)
    assert (created.status_code, created.content) == (201, b"")
    sys_id = created.headers["Location"].rpartition("/")[2]
    updated = client.table("PATCH", f"incident/{sys_id}", json={"impact": "1"}, headers=headers)
    assert (updated.status_code, updated.content) == (204, b"")


def test_put_changes_only_what_it_names_and_a_header_overrides_the_method(client):
    record = client.create(short_description="keep me")
    client.table("PUT", f"incident/{record['sys_id']}", json={"impact": "1"})
    overridden = client.table(
        "POST",
        f"incident/{record['sys_id']}",
        json={"urgency": "1"},
        headers={"X-HTTP-Method-Override": "PATCH"},
    )
    assert overridden.status_code == 200
    after = client.read(record["sys_id"])
    assert (after["short_description"], after["priority"], after["sys_mod_count"]) == ("keep me", "1", "2")


def test_a_method_that_the_resource_lacks_is_405(client):
    assert client.table("DELETE", "incident").status_code == 405
    assert client.table("POST", f"incident/{'0' * 32}", json={}).status_code == 405


def test_head_answers_headers_only(client):
    client.create()
    head = client.table("HEAD", "incident").request.headers
    address = urlsplit(client.url)
    with socket.create_connection((address.hostname, address.port), timeout=5) as connection:
        lines = ["HEAD /api/now/table/incident HTTP/1.1", f"Authorization: {head['Authorization']}"]
        connection.sendall("\r\n".join([*lines, "Connection: close", "", ""]).encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert b"X-Total-Count: 1" in answer
    assert answer.endswith(b"\r\n\r\n")


def test_who_may_not_see_what_it_creates_gets_a_403_although_it_is_created(sandbox, client):
    sandbox.configure(hidden=["incident"])
    answer = client.table("POST", "incident", json={"short_description": "seen by nobody"})
    assert answer.status_code == 403
    assert [row["short_description"] for row in sandbox.records("incident")] == ["seen by nobody"]


def test_access_rules_refuse_writes_with_the_vendors_words(client, admin):
    sys_id = client.create()["sys_id"]
    reader = client.as_user(READONLY)
    assert reader.find("active=true")
    for answer, operation in (
        (reader.table("POST", "incident", json={}), "Insert"),
        (reader.update(sys_id, state="2"), "Update"),
        (client.table("DELETE", f"incident/{sys_id}"), "Delete"),
        (client.table("POST", "sys_user", json={"name": "x"}), "Insert"),
    ):
        assert answer.status_code == 403
        assert error_of(answer) == {
            "message": "Operation Failed",
            "detail": f"ACL Exception {operation} Failed due to security constraints",
        }
    deleted = admin.table("DELETE", f"incident/{sys_id}")
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert client.table("GET", f"incident/{sys_id}").status_code == 404


def test_every_answer_hands_out_cookies_and_forbids_caching(client):
    headers = client.table("GET", "incident").headers
    assert "JSESSIONID=" in headers["Set-Cookie"]
    assert headers["X-Is-Logged-In"] == "true"
    assert headers["Cache-Control"] == "no-cache,no-store,must-revalidate,max-age=-1"


def test_text_of_any_script_survives_the_round_trip(client):
    text = 'naïve 表 🚨 \u2028 "quoted" \\ </script>'
    assert client.read(client.create(short_description=text)["sys_id"])["short_description"] == text
