"""The session and its connections: where they lead, how many there are, and how long they last."""

from __future__ import annotations

import multiprocessing
import threading
import time

import pytest
import requests
from stub_server import Reply, of

from airflow_provider_servicenow_dq import exceptions

PATH = "/api/now/table/incident"
FINE = of({"sys_id": "a" * 32})


def test_connections_are_reused_and_no_cookie_is_kept(stub, transport):
    talk = transport()
    cookie = {"Set-Cookie": "JSESSIONID=abc; Path=/; HttpOnly"}
    stub.script = [Reply(headers=cookie)]
    for _ in range(3):
        talk.request("GET", PATH)
        talk.session.get(PATH)
    assert len({asked.client for asked in stub.asked}) == 1
    assert not any("cookie" in asked.headers for asked in stub.asked)
    assert not talk.session.cookies


def test_a_redirect_is_refused(stub, transport):
    stub.script = [Reply(302, b"", {"Location": f"{stub.url}/login"})]
    talk = transport()
    with pytest.raises(exceptions.NotServiceNowError, match="redirect"):
        talk.request("GET", PATH)
    assert talk.session.get(PATH, allow_redirects=True).status_code == 302
    assert [asked.path for asked in stub.asked] == [PATH, PATH]


def test_the_session_talks_to_no_other_host(transport):
    with pytest.raises(requests.exceptions.InvalidSchema):
        transport().session.get("http://127.0.0.2:1/")


def test_the_session_has_a_timeout_of_its_own(stub, transport):
    stub.script = [Reply(wait=threading.Event())]
    session = transport(timeout_s=0.2).session
    for timeout in ({}, {"timeout": None}):
        with pytest.raises(requests.Timeout):
            session.get(PATH, **timeout)


def test_a_proxy_of_the_environment_does_not_come_between_us_and_this_machine(stub, transport, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert transport().request("GET", PATH).result == []


def test_no_more_requests_are_under_way_than_allowed(stub, transport):
    under_way, most, lock = 0, 0, threading.Lock()

    def slow(asked):
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        time.sleep(0.05)
        with lock:
            under_way -= 1
        return FINE

    stub.script = slow
    talk = transport(max_concurrency=2)
    threads = [threading.Thread(target=talk.request, args=("GET", PATH)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 2
    assert len({asked.client for asked in stub.asked}) == 2


def test_a_forked_process_opens_connections_of_its_own(stub, transport):
    talk = transport()
    talk.request("GET", PATH)
    child = multiprocessing.get_context("fork").Process(target=talk.request, args=("GET", PATH), daemon=True)
    child.start()
    child.join(20)
    assert child.exitcode == 0
    assert len({asked.client for asked in stub.asked}) == 2
