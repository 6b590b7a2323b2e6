"""The Batch API: items in turn, its quota, limits of size, and faults within a batch."""

from __future__ import annotations

import base64
import json

import pytest
import requests
from plain_client import READONLY, error_of

JSON = [
    {"name": "Content-Type", "value": "application/json"},
    {"name": "Accept", "value": "application/json"},
]


def item(number, method="GET", url="/api/now/table/incident", body=None, **more):
    encoded = base64.b64encode(json.dumps(body).encode()).decode() if body is not None else None
    content = {"id": str(number), "method": method, "url": url, "headers": JSON, "body": encoded, **more}
    return {name: value for name, value in content.items() if value is not None}


def create(number, **values):
    return item(number, "POST", body=values, exclude_response_headers=True)


def send(client, *items, number="1", **options):
    content = {"batch_request_id": number, "rest_requests": list(items)}
    return client.send("POST", "/api/now/v1/batch", json=content, **options)


def decoded(serviced):
    return json.loads(base64.b64decode(serviced["body"]))


def test_requests_are_served_in_turn_with_a_status_each(sandbox, client):
    answer = send(
        client,
        create(11, short_description="first"),
        item(12, url="/api/now/table/incident?sysparm_query=short_description=first&sysparm_limit=1"),
        item(13, url="/api/now/table/incident/" + "0" * 32),
        number=7,
    )
    assert answer.status_code == 200
    content = answer.json()
    assert content["batch_request_id"] == "7"
    assert content["unserviced_requests"] == []
    made, found, missing = content["serviced_requests"]
    assert (made["id"], made["status_code"], made["status_text"]) == ("11", 201, "Created")
    assert made["headers"] == []
    assert isinstance(made["execution_time"], int)
    assert decoded(found)["result"][0]["sys_id"] == decoded(made)["result"]["sys_id"]
    assert {"name": "X-Total-Count", "value": "1"} in found["headers"]
    assert (missing["status_code"], missing["status_text"]) == (404, "Not Found")
    assert decoded(missing)["error"]["message"] == "No Record found"
    assert [logged.path for logged in sandbox.requests] == ["/api/now/v1/batch"]


def test_the_vendors_own_sample_is_understood(client):
    body = (
        "eyd1cmdlbmN5JzonMScsICdzaG9ydF9kZXNjcmlwdGlvbic6J015IGNvbXB1dGVyIG\n          "
        "Jyb2tlJywgJ2NvbW1lbnRzJzonRWxldmF0aW5nIHVyZ2VuY3ksIHRoaXMgaXMgYSBibG9ja2luZyBpc3N1ZSd9"
    )
    answer = send(client, {**item(13, "POST"), "body": body}).json()["serviced_requests"][0]
    assert answer["status_code"] == 201
    assert decoded(answer)["result"]["short_description"] == "My computer broke"
    assert decoded(answer)["result"]["urgency"] == "1"


def test_access_rules_hold_for_each_request(client):
    reader = client.as_user(READONLY)
    found, made = send(reader, item(1), create(2)).json()["serviced_requests"]
    assert (found["status_code"], made["status_code"]) == (200, 403)
    assert decoded(made)["error"]["detail"] == "ACL Exception Insert Failed due to security constraints"
    assert send(client, item(1), auth=None).status_code == 401


@pytest.mark.parametrize(
    "url", ["https://elsewhere.example/api/now/table/incident", "//elsewhere", "api/now", "/api/now/v1/batch"]
)
def test_only_relative_addresses_of_other_apis_lead_anywhere(client, url):
    nested = {"batch_request_id": "2", "rest_requests": []}
    answer = send(client, item(1, "POST", url, nested)).json()["serviced_requests"][0]
    assert (answer["status_code"], decoded(answer)["error"]["message"]) == (
        400,
        "Requested URI does not represent any resource",
    )


def test_a_request_may_ask_for_xml(client):
    headers = [{"name": "Accept", "value": "application/xml"}]
    answer = send(client, item(1, headers=headers)).json()["serviced_requests"][0]
    assert base64.b64decode(answer["body"]) == b'<?xml version="1.0" encoding="UTF-8"?><response/>'
    assert {"name": "Content-Type", "value": "application/xml;charset=UTF-8"} in answer["headers"]


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"rest_requests": {}},
        {"rest_requests": ["x"]},
        {"rest_requests": [{"id": "1", "method": "GET"}]},
        {"rest_requests": [{**item("1"), "id": 1}]},
        {"rest_requests": [{**item("1"), "method": "LOCK"}]},
        {"rest_requests": [{**item("1"), "body": "not base64!"}]},
    ],
)
def test_what_is_no_batch_is_400(client, content):
    answer = client.send("POST", "/api/now/batch", json=content)
    assert answer.status_code == 400
    assert error_of(answer)["message"] == "Exception while reading request"


def test_a_batch_is_posted_and_nothing_else(client):
    assert client.send("GET", "/api/now/batch").status_code == 405


@pytest.mark.parametrize("commits", [False, True])
def test_the_quota_cuts_one_request_off_and_leaves_the_rest_unserviced(sandbox, client, commits):
    sandbox.configure(service_ms=60, batch_quota_s=0.15, quota_commits=commits)
    content = send(client, *(create(n, short_description=f"item {n}") for n in range(1, 6))).json()
    *done, cut = content["serviced_requests"]
    assert [each["status_code"] for each in done] == [201, 201]
    assert (cut["id"], cut["status_code"]) == ("3", 500)
    assert "maximum execution time exceeded" in decoded(cut)["error"]["detail"]
    assert content["unserviced_requests"] == ["4", "5"]
    assert len(sandbox.records("incident")) == (3 if commits else 2)


def test_what_its_time_does_not_reach_is_unserviced_also_where_nothing_was_cut_off(sandbox, client):
    sandbox.configure(batch_quota_s=0.05)
    sandbox.fail_next("delay", path="table/incident", seconds=0.1, when="after")
    content = send(client, create(1), create(2)).json()
    assert [each["status_code"] for each in content["serviced_requests"]] == [201]
    assert content["unserviced_requests"] == ["2"]
    assert len(sandbox.records("incident")) == 1


def test_the_status_of_what_the_quota_cuts_off_can_be_chosen(sandbox, client):
    sandbox.configure(service_ms=60, batch_quota_s=0.01, batch_cut_status=200)
    content = send(client, create(1), create(2)).json()
    assert [each["status_code"] for each in content["serviced_requests"]] == [200]
    assert decoded(content["serviced_requests"][0])["status"] == "failure"
    assert content["unserviced_requests"] == ["2"]


def test_too_large_a_request_ends_the_batch_before_it(sandbox, client):
    sandbox.configure(batch_input_bytes=100)
    content = send(client, create(1), create(2, short_description="x" * 100), create(3)).json()
    assert [each["id"] for each in content["serviced_requests"]] == ["1"]
    assert content["unserviced_requests"] == ["2", "3"]


def test_too_large_an_answer_ends_the_batch_after_it(sandbox, client):
    small = {"X-BATCHREQUEST-MAX-OUTPUT-SIZE": "200"}
    content = send(client, item(1), create(2), create(3), headers=small).json()
    first, second = content["serviced_requests"]
    assert first["status_code"] == 200
    assert second["status_code"] == 500
    assert "exceeds the limit of 200 bytes" in second["error_message"]
    assert content["unserviced_requests"] == ["3"]
    sandbox.configure(batch_output_bytes=100)
    larger = {"X-BATCHREQUEST-MAX-OUTPUT-SIZE": "1000000"}
    answer = send(client, create(1), headers=larger).json()["serviced_requests"][0]
    assert "exceeds the limit of 100 bytes" in answer["error_message"]


def test_answers_may_come_in_any_order(sandbox, client):
    sandbox.configure(batch_order="shuffled")
    items = [item(n, url="/api/now/table/incident?sysparm_limit=1") for n in range(12)]
    order = [each["id"] for each in send(client, *items).json()["serviced_requests"]]
    assert sorted(order, key=int) == [str(n) for n in range(12)]
    assert order != [str(n) for n in range(12)]


def test_a_fault_may_hit_one_request_of_a_batch(sandbox, client):
    sandbox.fail_next("error_after", path="table/incident", skip=1)
    content = send(client, create(1), create(2), create(3)).json()
    assert [each["status_code"] for each in content["serviced_requests"]] == [201, 503, 201]
    assert len(sandbox.records("incident")) == 3


def test_a_connection_may_be_lost_in_the_midst_of_a_batch(sandbox, client):
    sandbox.fail_next("drop_after", path="table/incident", skip=1)
    with pytest.raises(requests.ConnectionError):
        send(client, create(1), create(2), create(3))
    assert len(sandbox.records("incident")) == 2
    assert sandbox.requests[-1].status == 0
