"""Service time, semaphores and sessions."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import requests


def in_parallel(count, call):
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(lambda _: call(), range(count)))


def test_a_transaction_takes_its_service_time(sandbox, client):
    sandbox.configure(service_ms=80)
    started = time.monotonic()
    client.create()
    assert time.monotonic() - started >= 0.08


def test_only_so_many_transactions_run_at_a_time(sandbox, client):
    sandbox.configure(service_ms=60, semaphores=2)
    started = time.monotonic()
    answers = in_parallel(6, lambda: client.table("GET", "incident").status_code)
    assert answers == [200] * 6
    assert time.monotonic() - started >= 0.18


def test_more_than_the_queue_holds_is_a_bare_429(sandbox, client):
    # Long enough for all of them to come while the first is served, on a busy machine as well.
    sandbox.configure(service_ms=600, semaphores=1, queue=2)
    answers = in_parallel(6, lambda: client.table("POST", "incident", json={}))
    refused = [answer for answer in answers if answer.status_code == 429]
    assert sorted(answer.status_code for answer in answers) == [201] * 3 + [429] * 3
    assert len(sandbox.records("incident")) == 3
    for answer in refused:
        assert answer.headers["Content-Type"].startswith("text/html")
        assert "Retry-After" not in answer.headers
        assert "X-RateLimit-Limit" not in answer.headers


def test_a_session_cookie_serialises_and_drops_what_is_too_much(sandbox, client):
    sandbox.configure(service_ms=600, semaphores=20, session_queue=2)
    cookie = requests.get(f"{sandbox.url}/api/now/table/incident", auth=client.auth, timeout=10).cookies
    started = time.monotonic()
    answers = in_parallel(8, lambda: client.table("POST", "incident", json={}, cookies=cookie))
    statuses = [answer.status_code for answer in answers]

    assert statuses.count(201) == 3
    assert statuses.count(202) == 5
    assert time.monotonic() - started >= 1.8
    assert len(sandbox.records("incident")) == 3
    assert {answer.content for answer in answers if answer.status_code == 202} == {b""}


def test_clients_without_cookies_are_not_serialised(sandbox, client):
    sandbox.configure(service_ms=500, semaphores=8)
    started = time.monotonic()
    in_parallel(8, lambda: client.table("GET", "incident"))
    assert time.monotonic() - started < 0.5 * 4


def test_a_connection_is_kept_for_the_next_request(sandbox, client):
    with requests.Session() as session:
        session.auth = client.auth
        connections = set()
        for _ in range(3):
            with session.get(f"{sandbox.url}/api/now/table/incident", stream=True, timeout=10) as answer:
                connections.add(answer.raw.connection.sock.getsockname())
                _ = answer.content
    assert len(connections) == 1


def test_a_transaction_that_runs_into_its_quota_is_cancelled_with_200(sandbox, client):
    sandbox.configure(service_ms=200, quota_s=0.05)
    answer = client.table("POST", "incident", json={})
    assert answer.status_code == 200
    assert answer.json()["error"]["message"] == "Transaction cancelled: maximum execution time exceeded"
    assert sandbox.records("incident") == []
    sandbox.configure(quota_commits=True)
    assert client.table("POST", "incident", json={}).json()["status"] == "failure"
    assert len(sandbox.records("incident")) == 1
    cut = client.table("GET", "incident").json()
    assert (len(cut["result"]), cut["status"]) == (1, "failure")


def test_a_transaction_whose_quota_ends_in_the_queue_is_cancelled_with_500(sandbox, client):
    sandbox.configure(service_ms=1000, semaphores=1)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(client.table, "POST", "incident", json={})
        time.sleep(0.5)
        sandbox.configure(quota_s=0.05)
        late = client.table("POST", "incident", json={})
        assert late.status_code == 500
        assert "maximum execution time exceeded" in late.json()["error"]["detail"]
        assert first.result().status_code == 201
    sandbox.configure(quota_s=60, service_ms=0)
    assert len(client.table("GET", "incident").json()["result"]) == 1


def test_of_twenty_requests_of_one_session_twelve_are_served(sandbox, client):
    sandbox.configure(service_ms=400, semaphores=50, quota_s=1.0)
    cookie = requests.get(f"{sandbox.url}/api/now/table/incident", auth=client.auth, timeout=10).cookies
    statuses = in_parallel(20, lambda: client.table("GET", "incident", cookies=cookie).status_code)
    assert (statuses.count(200), statuses.count(202)) == (12, 8)
