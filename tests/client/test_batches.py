"""Many requests in few: none lost, none done twice, and what is unknown is said to be."""

from __future__ import annotations

import base64
import json

import pytest
from stub_server import Reply, refusal

from airflow_provider_servicenow_dq import exceptions
from airflow_provider_servicenow_dq.client.batch import (
    IN_DOUBT,
    MAX_INPUT,
    UNSERVICED,
    BatchRequest,
    send_batch,
)
from airflow_provider_servicenow_dq.client.config import InstanceConfig
from airflow_provider_servicenow_dq.client.transport import Transport

INCIDENTS = "/api/now/table/incident"


def create(text, **fields):
    return BatchRequest("POST", INCIDENTS, {"short_description": text, **fields})


def opened(sandbox, text="of a batch"):
    return [
        row["short_description"] for row in sandbox.records("incident") if text in row["short_description"]
    ]


def batches(sandbox):
    """Return how many requests each batch had."""
    return [len(asked.body["rest_requests"]) for asked in sandbox.requests if asked.path.endswith("/batch")]


@pytest.fixture
def talk(sandbox):
    with Transport(
        InstanceConfig(sandbox.url, login="svc_airflow", password="airflow-secret"), sleep=lambda _: None
    ) as transport:
        yield transport


def test_answers_come_in_the_order_of_the_requests_each_with_its_own_status(sandbox, talk):
    sandbox.configure(batch_order="shuffled")
    made, found, missing, refused, changed = send_batch(
        talk,
        [
            create("of a batch: Größe ✓"),
            BatchRequest("GET", f"{INCIDENTS}?sysparm_query=short_descriptionSTARTSWITHof%20a%20batch"),
            BatchRequest("GET", f"{INCIDENTS}/{'0' * 32}"),
            BatchRequest("DELETE", f"/api/now/table/sys_user/{'0' * 32}"),
            create("of a batch, second"),
        ],
    )
    assert (made.status_code, made.error) == (201, None)
    assert made.body["result"]["short_description"] == "of a batch: Größe ✓"
    assert [row["sys_id"] for row in found.body["result"]] == [made.body["result"]["sys_id"]]
    assert (missing.status_code, missing.error[:32]) == (404, "ServiceNow answered 404: No Reco")
    assert refused.status_code in {403, 404}
    assert refused.error
    assert changed.error is None
    assert opened(sandbox) == ["of a batch: Größe ✓", "of a batch, second"]


def test_an_answer_without_a_body_is_a_success(sandbox, talk):
    with Transport(InstanceConfig(sandbox.url, login="admin", password="admin")) as admin:
        (answer,) = send_batch(admin, [create("of a batch")])
        path = f"{INCIDENTS}/{answer.body['result']['sys_id']}"
        (deleted,) = send_batch(admin, [BatchRequest("DELETE", path)])
    assert (deleted.status_code, deleted.body, deleted.error) == (204, None, None)


def test_no_request_is_no_batch(sandbox, talk):
    sandbox.clear_requests()
    assert send_batch(talk, []) == []
    assert sandbox.requests == []


def test_batches_grow_from_five_while_the_instance_is_quick(sandbox, talk):
    sandbox.clear_requests()
    answers = send_batch(talk, [create(f"of a batch {number}") for number in range(40)])
    assert {answer.status_code for answer in answers} == {201}
    assert batches(sandbox) == [5, 10, 20, 5]
    assert opened(sandbox) == [f"of a batch {number}" for number in range(40)]


def test_batches_stay_below_the_connections_batch_size(sandbox):
    config = InstanceConfig(sandbox.url, login="svc_airflow", password="airflow-secret", batch_size=3)
    sandbox.clear_requests()
    with Transport(config) as talk:
        send_batch(talk, [create(f"of a batch {number}") for number in range(8)])
    assert batches(sandbox) == [3, 3, 2]


def test_batches_stay_below_the_input_limit(sandbox, talk):
    text = "x" * (MAX_INPUT // 4)
    sandbox.clear_requests()
    answers = send_batch(talk, [create(f"of a batch {number}", description=text) for number in range(4)])
    assert [answer.status_code for answer in answers] == [201] * 4
    assert batches(sandbox) == [2, 2]


def test_one_request_that_no_batch_can_hold_is_refused_before_anything_is_sent(sandbox, talk):
    sandbox.clear_requests()
    with pytest.raises(exceptions.ServiceNowConfigError, match="Request 1 has"):
        send_batch(talk, [create("of a batch"), create("large", description="x" * MAX_INPUT)])
    assert sandbox.requests == []


@pytest.mark.parametrize("commits", [True, False])
@pytest.mark.parametrize(("status", "order"), [(200, "sent"), (500, "shuffled")])
def test_what_the_quota_cuts_off_is_in_doubt_and_what_it_leaves_is_sent_again(
    sandbox, talk, status, order, commits
):
    sandbox.configure(
        service_ms=40,
        batch_quota_s=0.1,
        batch_cut_status=status,
        batch_order=order,
        quota_commits=commits,
    )
    sandbox.clear_requests()
    answers = send_batch(talk, [create(f"of a batch {number}") for number in range(8)])
    sandbox.configure(service_ms=0)
    errors = [answer.error for answer in answers]
    assert set(errors) == {None, IN_DOUBT}
    done = opened(sandbox)
    for number, error in enumerate(errors):
        assert done.count(f"of a batch {number}") == (commits if error else 1)
    assert max(batches(sandbox)[1:]) < 5


def test_a_read_that_the_quota_cuts_off_is_asked_again(sandbox, talk):
    sandbox.fail_next("cancelled", method="GET", path=INCIDENTS, skip=1)
    answers = send_batch(talk, [BatchRequest("GET", f"{INCIDENTS}?sysparm_limit=1")] * 3)
    assert [(answer.status_code, answer.error) for answer in answers] == [(200, None)] * 3


def test_a_read_that_fails_every_time_says_why(sandbox, talk):
    sandbox.configure(batch_output_bytes=200)
    (answer,) = send_batch(talk, [BatchRequest("GET", "/api/now/table/sys_choice")])
    assert answer.error.startswith("ServiceNow answered 500: Response too large")


def test_a_batch_without_an_answer_leaves_its_writes_in_doubt_and_the_rest_untried(sandbox, talk):
    sandbox.fail_next("drop_after", path="/batch", skip=1)
    asked = [create(f"of a batch {number}") for number in range(5)]
    asked += [create("of a batch 5"), BatchRequest("GET", f"{INCIDENTS}?sysparm_limit=1")]
    asked += [create(f"of a batch {number}") for number in range(7, 20)]
    answers = send_batch(talk, asked)
    assert [answer.error for answer in answers[:5]] == [None] * 5
    assert answers[5].error == IN_DOUBT
    assert answers[6].error == UNSERVICED
    assert {answer.error for answer in answers[7:15]} == {IN_DOUBT}
    assert {answer.error for answer in answers[15:]} == {UNSERVICED}


def test_reads_alone_are_asked_again_where_a_batch_got_no_answer(sandbox, talk):
    sandbox.fail_next("drop_after", path="/batch", count=2)
    (answer,) = send_batch(talk, [BatchRequest("GET", f"{INCIDENTS}?sysparm_limit=1")])
    assert answer.status_code == 200
    sandbox.fail_next("drop_after", path="/batch", count=3)
    with pytest.raises(exceptions.AnswerLostError):
        send_batch(talk, [BatchRequest("GET", f"{INCIDENTS}?sysparm_limit=1")])


def test_a_first_batch_that_surely_was_not_done_is_an_error(sandbox, talk):
    sandbox.fail_next("api_acl", path="/batch")
    with pytest.raises(exceptions.ForbiddenError):
        send_batch(talk, [create("of a batch")])
    assert opened(sandbox) == []


def test_a_later_batch_that_surely_was_not_done_is_told_of(sandbox, talk):
    sandbox.fail_next("accepted", path="/batch", skip=1, count=4)
    answers = send_batch(talk, [create(f"of a batch {number}") for number in range(7)])
    assert [answer.error for answer in answers] == [None] * 5 + [UNSERVICED] * 2
    assert len(opened(sandbox)) == 5


def test_a_batch_that_is_one_too_many_says_when_it_may_come(stub, transport):
    stub.script = [Reply(429, b"", {"Retry-After": "300"})]
    with pytest.raises(exceptions.RateLimitedError) as caught:
        send_batch(transport(), [create("x")])
    assert 299 <= caught.value.retry_after <= 300


def test_a_refusal_within_a_batch_is_said_in_the_instances_words(sandbox, talk):
    sandbox.configure(mandatory=("incident.caller_id",))
    (answer,) = send_batch(talk, [create("of a batch")])
    assert answer.status_code == 403
    assert "Data Policy Exception" in answer.error
    assert answer.body["error"]["message"] == "Operation Failed"


def item(content, status=200, number="0"):
    return {"id": number, "status_code": status, "body": base64.b64encode(content).decode()}


def envelope(*items, unserviced=()):
    content = {"serviced_requests": list(items), "unserviced_requests": list(unserviced)}
    return Reply(body=json.dumps(content).encode())


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (envelope(item(b'{"result": {}}')), None),
        (envelope(item(b'{"result": [{"a"')), IN_DOUBT),
        (envelope(item(b"")), IN_DOUBT),
        (envelope(item(b"<html>502</html>", 502)), IN_DOUBT),
        (envelope(item(b"<html>login</html>")), IN_DOUBT),
        (envelope({"id": "0", "status_code": 201, "body": "not base64!"}), IN_DOUBT),
        (envelope({"id": "0", "body": ""}), IN_DOUBT),
        (envelope({"id": "other"}), IN_DOUBT),
        (envelope(), IN_DOUBT),
        (envelope(item(b"{}", 202)), "ServiceNow answered 202: it dropped the request"),
        (Reply(body=b'{"serviced_requests": [{"id"'), IN_DOUBT),
        (Reply(body=b'{"result": {}}'), IN_DOUBT),
        (Reply(500, b""), IN_DOUBT),
        (Reply(drop=True), IN_DOUBT),
        (Reply(200, b"<title>Log in</title>", kind="text/html"), IN_DOUBT),
    ],
)
def test_whatever_a_server_answers_a_write_is_done_refused_or_in_doubt(stub, transport, reply, error):
    stub.script = [reply]
    (answer,) = send_batch(transport(), [create("x")])
    assert answer.error == error
    assert len(stub.asked) == 1


def test_a_body_whose_lines_are_broken_is_read(stub, transport):
    body = base64.encodebytes(b'{"result": {"short_description": "%s"}}' % (b"x" * 100)).decode()
    stub.script = [envelope({"id": "0", "status_code": 201, "body": body})]
    (answer,) = send_batch(transport(), [create("x")])
    assert answer.body["result"]["short_description"] == "x" * 100


def test_an_instance_that_services_nothing_does_not_hold_us_for_ever(stub, transport):
    stub.script = [envelope(unserviced=["0"])] * 9
    (answer,) = send_batch(transport(), [create("x")])
    assert (answer.status_code, answer.error) == (None, UNSERVICED)
    assert len(stub.asked) == 3


def test_a_batch_that_is_not_for_us_is_refused_once(stub, transport):
    stub.script = [refusal(403, "User Not Authorized", "Failed API level ACL Validation")]
    with pytest.raises(exceptions.ForbiddenError):
        send_batch(transport(), [create("x")])


@pytest.mark.parametrize(
    "make",
    [
        lambda: BatchRequest("PURGE", INCIDENTS),
        lambda: BatchRequest("GET", "https://elsewhere.example/api/now/table/incident"),
        lambda: BatchRequest("GET", "//elsewhere.example/api/"),
        lambda: BatchRequest("GET", "/oauth_token.do"),
        lambda: BatchRequest("GET", f"{INCIDENTS}?sysparm_query=a^b"),
        lambda: BatchRequest("GET", f"{INCIDENTS}?sysparm_query=ä"),
        lambda: BatchRequest.from_mapping({"method": "GET"}),
        lambda: BatchRequest.from_mapping({"method": "GET", "url": INCIDENTS, "body": "text"}),
        lambda: BatchRequest.from_mapping({"method": "GET", "url": INCIDENTS, "headers": {}}),
    ],
)
def test_what_is_no_request_of_a_batch_is_refused(make):
    with pytest.raises(exceptions.ServiceNowConfigError):
        make()
