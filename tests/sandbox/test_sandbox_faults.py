"""What can be made to go wrong, and what is then on the instance."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from plain_client import error_of


def post(client, text="x", **options):
    return client.table("POST", "incident", json={"short_description": text}, **options)


def texts(sandbox):
    return [row["short_description"] for row in sandbox.records("incident")]


@pytest.mark.parametrize(("kind", "written"), [("drop_before", []), ("drop_after", ["x"])])
def test_a_connection_dropped_before_or_after_the_write(sandbox, client, kind, written):
    sandbox.fail_next(kind, method="POST")
    with pytest.raises(requests.ConnectionError):
        post(client)
    assert texts(sandbox) == written
    assert [logged.status for logged in sandbox.requests] == [0]
    assert post(client, "next").status_code == 201


def test_a_late_write_commits_after_its_connection_was_dropped(sandbox, client):
    sandbox.fail_next("late_commit", method="POST", after_s=0.2)
    with pytest.raises(requests.ConnectionError):
        post(client)
    assert texts(sandbox) == []
    wait_for(lambda: texts(sandbox) == ["x"])


def test_a_late_write_commits_after_its_client_gave_up(sandbox, client):
    sandbox.fail_next("late_commit", hang_s=0.4, after_s=0.1)
    with pytest.raises(requests.ReadTimeout):
        post(client, timeout=0.1)
    assert texts(sandbox) == []
    wait_for(lambda: texts(sandbox) == ["x"])


def test_a_reset_forgets_late_writes_and_faults(sandbox, client):
    sandbox.fail_next("late_commit", after_s=0.15)
    sandbox.fail_next("drop_before", count=9)
    with pytest.raises(requests.ConnectionError):
        post(client)
    sandbox.reset()
    assert post(client, "after").status_code == 201
    time.sleep(0.25)
    assert texts(sandbox) == ["after"]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_delay_longer_than_the_clients_patience_still_writes(sandbox, client, when):
    sandbox.fail_next("delay", seconds=0.3, when=when)
    with pytest.raises(requests.ReadTimeout):
        post(client, timeout=0.1)
    assert texts(sandbox) == ([] if when == "before" else ["x"])
    wait_for(lambda: texts(sandbox) == ["x"])


def test_accepted_is_not_executed(sandbox, client):
    sandbox.fail_next("accepted")
    answer = post(client)
    assert (answer.status_code, answer.content, texts(sandbox)) == (202, b"", [])


def test_a_rate_rule_names_its_wait_and_full_semaphores_do_not(sandbox, client):
    sandbox.fail_next("rate_limited", retry_after=1234)
    sandbox.fail_next("semaphores_full")
    rule, semaphores = post(client), post(client)
    assert rule.status_code == semaphores.status_code == 429
    assert rule.headers["Retry-After"] == "1234"
    assert rule.headers["X-RateLimit-Limit"] == "100"
    assert {"X-RateLimit-Reset", "X-RateLimit-Rule"} <= set(rule.headers)
    assert error_of(rule) == {
        "message": "Rate limit exceeded",
        "detail": "Rate limit of 100 requests per hour for Table API exceeded",
    }
    assert "Retry-After" not in semaphores.headers
    assert semaphores.text.startswith("<html>")
    assert texts(sandbox) == []


@pytest.mark.parametrize(("kind", "written"), [("error_before", []), ("error_after", ["x"])])
def test_a_server_error_before_or_after_the_write(sandbox, client, kind, written):
    sandbox.fail_next(kind, status=502, retry_after=7)
    answer = post(client)
    assert (answer.status_code, answer.headers["Retry-After"]) == (502, "7")
    assert answer.headers["Content-Type"].startswith("text/html")
    assert texts(sandbox) == written


def test_a_403_although_it_is_written(sandbox, client):
    sandbox.fail_next("forbidden_but_done", count=2)
    answer = post(client)
    assert answer.status_code == 403
    assert error_of(answer)["detail"] == "ACL Exception Insert Failed due to security constraints"
    sys_id = sandbox.records("incident")[0]["sys_id"]
    answer = client.update(sys_id, work_notes="kept")
    assert error_of(answer)["detail"] == "ACL Exception Update Failed due to security constraints"
    assert (texts(sandbox), sandbox.notes(sys_id)) == (["x"], ["kept"])


def test_a_cancelled_list_has_some_rows_and_the_error(sandbox, client):
    for text in ("a", "b", "c"):
        post(client, text)
    sandbox.fail_next("cancelled")
    answer = client.table("GET", "incident")
    assert answer.status_code == 200
    assert len(answer.json()["result"]) == 2
    assert error_of(answer)["message"] == "Transaction cancelled: maximum execution time exceeded"


@pytest.mark.parametrize("executed", [True, False])
def test_a_cancelled_answer_may_be_no_json_at_all(sandbox, client, executed):
    sandbox.fail_next("cancelled", parsable=False, executed=executed)
    answer = post(client)
    assert answer.status_code == 200
    assert "maximum execution time exceeded" in answer.text
    with pytest.raises(requests.JSONDecodeError):
        answer.json()
    assert texts(sandbox) == (["x"] if executed else [])


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("hibernating", "Instance Hibernating page"),
        ("login", "user_password"),
        ("offline", "Your instance is currently offline"),
    ],
)
def test_pages_come_instead_of_json_with_200(sandbox, client, kind, words):
    sandbox.fail_next(kind)
    answer = post(client)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/html")
    assert words in answer.text
    assert texts(sandbox) == []


def test_intermittent_refusals_execute_nothing(sandbox, client):
    sandbox.fail_next("api_acl")
    sandbox.fail_next("unauthorized")
    forbidden, unauthorized = post(client), post(client)
    assert error_of(forbidden)["detail"] == "Failed API level ACL Validation"
    assert (forbidden.status_code, unauthorized.status_code) == (403, 401)
    assert texts(sandbox) == []


def test_a_fault_hits_only_the_requests_it_is_meant_for(sandbox, client):
    sandbox.fail_next("accepted", method="GET", path=r"correlation_id=dq:a b", count=1)
    sandbox.fail_next("accepted", method="POST", body="second", skip=1)
    assert client.table("GET", "incident").status_code == 200
    assert post(client, "second").status_code == 201
    assert post(client, "first").status_code == 201
    assert post(client, "second").status_code == 202
    assert post(client, "second").status_code == 201
    query = {"sysparm_query": "correlation_id=dq:a b"}
    statuses = [client.table("GET", "incident", params=query).status_code for _ in range(2)]
    assert statuses == [202, 200]


def test_an_unknown_fault_or_option_is_an_error_that_names_the_known(sandbox):
    with pytest.raises(ValueError, match="drop_after"):
        sandbox.fail_next("explode")
    with pytest.raises(ValueError, match="it has: after_s, hang_s"):
        sandbox.fail_next("late_commit", seconds=3)


def test_the_token_endpoint_fails_too(sandbox, client):
    sandbox.fail_next("error_before", path="^/oauth_token.do")
    assert client.send("POST", "/oauth_token.do", data={}, auth=None).status_code == 503


def test_a_barrier_lets_nobody_go_before_all_have_looked(sandbox, client):
    sandbox.barrier(3, path="correlation_id=k")
    query = {"sysparm_query": "correlation_id=k"}

    def look_then_create():
        found = client.table("GET", "incident", params=query).json()["result"]
        client.create(correlation_id="k")
        return len(found)

    with ThreadPoolExecutor(3) as pool:
        seen = [future.result() for future in [pool.submit(look_then_create) for _ in range(3)]]

    assert seen == [0, 0, 0]
    looks = [logged for logged in sandbox.requests if logged.method == "GET"]
    assert max(look.started for look in looks) <= min(look.finished for look in looks)
    assert len(client.table("GET", "incident", params=query).json()["result"]) == 3


def test_a_barrier_that_nobody_joins_opens_after_its_time(sandbox, client):
    sandbox.barrier(2, timeout_s=0.2)
    started = time.monotonic()
    assert client.table("GET", "incident").status_code == 200
    assert 0.2 <= time.monotonic() - started < 2
    assert client.table("GET", "incident").elapsed.total_seconds() < 0.2


def test_those_who_wait_at_a_barrier_hold_no_semaphore(sandbox, client):
    sandbox.configure(semaphores=1)
    sandbox.barrier(2, path="number=held", timeout_s=5)
    waiting = threading.Thread(target=client.find, args=("number=held",))
    waiting.start()
    wait_for(lambda: sandbox.requests == [] and client.table("GET", "problem", timeout=1).status_code == 200)
    client.find("number=held")
    waiting.join(5)
    assert not waiting.is_alive()


def wait_for(condition, timeout_s=5):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
