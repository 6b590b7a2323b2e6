"""What is repeated, what is not, and what a session never does."""

from __future__ import annotations

import logging
import socket
import threading
import time

import pytest
from stub_server import SECRETS, Reply, of, page, refusal

from airflow_provider_servicenow_dq import exceptions
from airflow_provider_servicenow_dq.client.transport import Transport

PATH = "/api/now/table/incident"
FINE = of({"sys_id": "a" * 32})
DROPPED = Reply(drop=True)
CUT = Reply(body=b'{"result": [', cut=True)


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    ("fault", "error", "writes_repeat"),
    [
        (Reply(202), exceptions.NotExecutedError, True),
        (Reply(429, b"", kind="text/html"), exceptions.RateLimitedError, True),
        (Reply(429, b"", {"Retry-After": "7"}), exceptions.RateLimitedError, True),
        (DROPPED, exceptions.AnswerLostError, False),
        (CUT, exceptions.AnswerLostError, False),
        (Reply(500, b"oops", kind="text/html"), exceptions.ServerError, False),
        (Reply(503, b"", {"Retry-After": "3"}), exceptions.ServerError, False),
        (Reply(200, b'{"result":[{'), exceptions.CancelledError, False),
        (Reply(200, b"", kind=None), exceptions.AnswerLostError, False),
    ],
)
def test_a_fault_is_repeated_only_where_nothing_can_be_done_twice(
    stub, transport, method, fault, error, writes_repeat
):
    talk = transport(timeout_s=30)
    stub.script = [fault, FINE]
    if method == "GET" or writes_repeat:
        assert talk.request(method, PATH, json={}).result == {"sys_id": "a" * 32}
        assert len(stub.asked) == 2
        # A busy instance is asked more slowly, too.
        assert 1 <= len(talk.slept) <= 2
    else:
        with pytest.raises(error):
            talk.request(method, PATH, json={})
        assert len(stub.asked) == 1


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (page("<title>Instance Hibernating page</title>"), exceptions.NotServiceNowError),
        (refusal(401, "User Not Authenticated"), exceptions.AuthenticationError),
        (refusal(403, "Operation Failed"), exceptions.ForbiddenError),
        (refusal(404, "No Record found"), exceptions.RecordNotFoundError),
        (Reply(429, b"", {"Retry-After": "61"}), exceptions.RateLimitedError),
        (Reply(503, b"", {"Retry-After": "3600"}), exceptions.ServerError),
    ],
)
def test_what_will_not_pass_soon_is_raised_at_once(stub, transport, fault, error):
    stub.script = [fault, FINE]
    with pytest.raises(error):
        transport().request("GET", PATH)
    assert len(stub.asked) == 1


def test_tries_are_bounded_and_waits_are_obeyed_and_jittered(stub, transport):
    stub.script = [Reply(429, b"", {"Retry-After": "7"})]
    talk = transport(timeout_s=30)
    with pytest.raises(exceptions.RateLimitedError) as caught:
        talk.request("POST", PATH, json={})
    assert (len(stub.asked), talk.slept, caught.value.retry_after) == (4, [7.0, 7.0, 7.0], 7.0)

    stub.script = [Reply(503, b"")]
    spread = set()
    for _ in range(5):
        talk = transport()
        with pytest.raises(exceptions.ServerError):
            talk.request("GET", PATH)
        assert sum(talk.slept) <= 8
        spread.add(tuple(talk.slept))
    assert len(spread) == 5


def test_patience_of_zero_means_one_try(stub, transport):
    stub.script = [Reply(503, b"")]
    with pytest.raises(exceptions.ServerError):
        transport(patience_s=0).request("GET", PATH)
    assert len(stub.asked) == 1


def test_a_wait_beyond_the_patience_is_not_begun(stub, transport):
    stub.script = [Reply(429, b"", {"Retry-After": "30"})]
    talk = transport(patience_s=10)
    with pytest.raises(exceptions.RateLimitedError):
        talk.request("GET", PATH)
    assert talk.slept == []


def test_a_write_ends_within_its_timeout_whatever_it_waits_for(stub, config):
    """Whoever leased a ticket for that long must not be overtaken by a write that was sent late."""
    busy, never = Reply(429, b"", {"Retry-After": "1"}), Reply(wait=threading.Event())
    with Transport(config(timeout_s=3, max_concurrency=1)) as talk:
        stub.script = [busy, never]
        started = time.monotonic()
        with pytest.raises(exceptions.AnswerLostError):
            talk.request("POST", PATH, json={})
        assert time.monotonic() - started < 3.5
        assert len(stub.asked) == 2

        stub.script = [Reply(429, b"", {"Retry-After": "2"})]
        with pytest.raises(exceptions.RateLimitedError):
            talk.request("POST", PATH, json={})
        assert len(stub.asked) == 3


def test_a_write_that_gets_no_free_connection_in_time_was_not_sent(stub, config):
    held = threading.Event()
    stub.script = [Reply(wait=held)]
    with Transport(config(timeout_s=0.6, max_concurrency=1), patience_s=0) as talk:
        reader = threading.Thread(target=talk.request, args=("GET", PATH), kwargs={"timeout_s": 20})
        reader.start()
        while not stub.asked:
            time.sleep(0.01)
        with pytest.raises(exceptions.UnreachableError, match="busy"):
            talk.request("POST", PATH, json={})
        held.set()
        reader.join()
    assert [asked.method for asked in stub.asked] == ["GET"]


def test_a_refused_connection_cannot_have_happened_and_is_tried_again(config):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    slept = []
    with (
        Transport(config(base_url=f"http://127.0.0.1:{port}"), sleep=slept.append) as talk,
        pytest.raises(exceptions.UnreachableError, match="refused"),
    ):
        talk.request("POST", PATH, json={})
    assert len(slept) == 3


def test_an_unknown_name_is_said_to_be_one(config):
    with (
        Transport(config(base_url="https://no-such-instance.invalid"), patience_s=0) as talk,
        pytest.raises(exceptions.UnreachableError, match="unknown"),
    ):
        talk.request("POST", PATH, json={})


def test_a_host_without_tls_was_not_reached(stub, config):
    with (
        Transport(config(base_url=stub.url.replace("http:", "https:")), patience_s=0) as talk,
        pytest.raises(exceptions.UnreachableError, match="does not speak TLS"),
    ):
        talk.request("POST", PATH, json={})
    assert stub.asked == []


def test_a_proxy_that_is_away_means_unreachable_and_its_password_is_not_shown(config):
    proxied = config(base_url="https://acme.service-now.com", proxy="http://u:proxy-hunter@127.0.0.1:1")
    with (
        Transport(proxied, patience_s=0) as talk,
        pytest.raises(exceptions.UnreachableError, match="proxy") as caught,
    ):
        talk.request("POST", PATH, json={})
    assert "proxy-hunter" not in repr(caught.value)


def test_a_ca_file_that_is_missing_is_an_error_of_the_connection(config):
    broken = config(base_url="https://127.0.0.1:1", verify="no-such-file.pem")
    with Transport(broken) as talk, pytest.raises(exceptions.ServiceNowConfigError, match="no-such-file"):
        talk.request("GET", PATH)


def test_a_slow_answer_is_lost_for_a_write(stub, transport):
    stub.script = [Reply(wait=threading.Event())]
    with pytest.raises(exceptions.AnswerLostError, match="in time"):
        transport().request("POST", PATH, json={}, timeout_s=0.2)


def test_an_answer_that_trickles_in_does_not_hold_a_worker(stub, transport):
    stub.script = [Reply(trickle_s=0.1, body=b'{"result": []}' + b" " * 1000)]
    started = time.monotonic()
    with pytest.raises(exceptions.AnswerLostError):
        transport(timeout_s=0.5).request("POST", PATH, json={})
    assert time.monotonic() - started < 3


def test_a_connection_that_the_server_closed_meanwhile_is_in_doubt_for_a_write(stub, transport):
    """A kept-alive connection may die while the request is on it: nobody knows whether it arrived."""
    talk = transport()
    stub.script = [FINE, DROPPED]
    talk.request("POST", PATH, json={})
    with pytest.raises(exceptions.AnswerLostError):
        talk.request("POST", PATH, json={})
    assert stub.asked[0].client == stub.asked[1].client


def test_an_error_carries_nothing_of_the_request(stub, transport):
    """The library's errors hold the request with its headers; ours must not hold those errors."""
    for fault in (DROPPED, CUT, Reply(403, b"{}"), Reply(500, b"")):
        stub.script = [fault]
        with pytest.raises(exceptions.ServiceNowError) as caught:
            transport(patience_s=0).request("POST", PATH, json={"short_description": "body-4714"})
        assert caught.value.__cause__ is None
        assert caught.value.__context__ is None
        assert "body-4714" not in repr(caught.value)


def test_a_whole_exchange_at_debug_shows_no_secret(stub, transport, caplog):
    caplog.set_level(logging.DEBUG)
    derived = []
    for auth in ("basic", "api_key", "bearer"):
        stub.script = [DROPPED, Reply(503, b""), FINE]
        transport(on_secret=derived.append, auth_type=auth).request("GET", PATH)
    assert "GET /api/now/table/incident answered 200" in caplog.text
    for secret in (*SECRETS.values(), *derived):
        assert secret not in caplog.text
    assert len(derived) == 1
