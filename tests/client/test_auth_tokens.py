"""Who shares a token, when it is renewed, and what follows where none is given."""

from __future__ import annotations

import json
import multiprocessing
import threading

import pytest
from stub_server import SECRETS, Reply, of, page, refusal
from token_server import TokenServer

from airflow_provider_servicenow_dq import exceptions

PATH = "/api/now/table/incident"


def test_all_threads_and_transports_of_an_account_share_one_token(stub, transport):
    stub.script = server = TokenServer()
    talks = [transport(auth_type="oauth_client_credentials") for _ in range(4)]
    threads = [threading.Thread(target=talk.request, args=("GET", PATH)) for talk in talks * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.given == 1


def test_another_secret_does_not_borrow_the_token_of_the_right_one(stub, transport):
    stub.script = server = TokenServer()
    transport(auth_type="oauth_client_credentials").request("GET", PATH)
    transport(auth_type="oauth_client_credentials", client_secret="wrong").request("GET", PATH)
    assert server.given == 2


@pytest.mark.parametrize(
    ("life", "later", "tokens"), [(1799, 1700, 1), (1799, 1750, 2), (10, 4, 1), (10, 6, 2)]
)
def test_a_token_is_renewed_a_while_before_it_ends(stub, transport, monkeypatch, life, later, tokens):
    stub.script = server = TokenServer(life)
    now = [1000.0]
    monkeypatch.setattr("airflow_provider_servicenow_dq.client.auth.time.monotonic", lambda: now[0])
    talk = transport(auth_type="oauth_client_credentials")
    talk.session.get(PATH)
    now[0] += later
    talk.session.get(PATH)
    assert server.given == tokens


@pytest.mark.parametrize(
    ("expires_in", "later", "tokens"),
    [
        (0, 0, 2), ("0", 0, 2), (-5, 0, 2), (1.5, 0.5, 1), ("1799", 1700, 1), ("1799", 1750, 2),
        (None, 1700, 1), (None, 1750, 2), ("", 1700, 1),
    ],
)  # fmt: skip
def test_the_life_of_a_token_is_believed_only_where_it_is_one(
    stub, transport, monkeypatch, expires_in, later, tokens
):
    """The current token is handed out until its very end, so that 0 seconds can be left of it."""
    now, given = [1000.0], []

    def script(asked):
        if asked.path != "/oauth_token.do":
            return of([])
        given.append(asked)
        reply = {"access_token": f"token-{len(given)}", "token_type": "Bearer", "expires_in": expires_in}
        return Reply(200, json.dumps(reply).encode())

    stub.script = script
    monkeypatch.setattr("airflow_provider_servicenow_dq.client.oauth._grant", lambda *_: {"grant_type": "x"})
    monkeypatch.setattr("airflow_provider_servicenow_dq.client.auth.time.monotonic", lambda: now[0])
    talk = transport(auth_type="oauth_client_credentials", client_secret=f"of {expires_in!r}, {later}")
    talk.session.get(PATH)
    now[0] += later
    assert talk.session.get(PATH).status_code == 200
    assert len(given) == tokens


def test_threads_that_wait_for_a_refusal_share_it(stub, transport):
    """So does nobody wait for one timeout after another, or lock an account with a wrong password."""
    answer_now = threading.Event()
    stub.script = [Reply(401, b'{"error":"invalid_client"}', wait=answer_now)]
    talk = transport(auth_type="oauth_client_credentials", max_concurrency=8, patience_s=0)
    caught = []

    def ask():
        with pytest.raises(exceptions.TokenRefusedError) as one:
            talk.request("GET", PATH)
        caught.append(one.value)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    wait_until(lambda: stub.asked)
    threading.Event().wait(0.2)
    answer_now.set()
    for thread in threads:
        thread.join()
    assert len(stub.asked) == 1
    assert len({id(error) for error in caught}) == 8
    with pytest.raises(exceptions.TokenRefusedError):
        talk.request("GET", PATH)
    assert len(stub.asked) == 2, "who comes later asks anew"


def wait_until(happened):
    for _ in range(1000):
        if happened():
            return
        threading.Event().wait(0.01)
    raise TimeoutError


def test_another_scope_does_not_borrow_the_token(stub, transport):
    stub.script = server = TokenServer()
    for scope in (None, "one", "two", "one"):
        transport(auth_type="oauth_client_credentials", scope=scope).request("GET", PATH)
    assert server.given == 3


def test_a_refused_token_is_renewed_once_and_the_write_sent_again(stub, transport):
    stub.script = server = TokenServer()
    talk = transport(auth_type="oauth_client_credentials")
    talk.request("GET", PATH)
    server.revoked.add("token-0001-x")
    stub.asked.clear()
    talk.request("POST", PATH, json={"short_description": "x"})
    paths = [asked.path for asked in stub.asked]
    assert paths == [PATH, "/oauth_token.do", PATH]
    assert stub.asked[0].body == stub.asked[2].body != b""


def test_a_user_whose_new_token_is_refused_too_gets_the_refusal(stub, transport):
    server = TokenServer()
    stub.script = lambda asked: (
        server(asked) if "oauth" in asked.path else refusal(401, "User Not Authenticated")
    )
    with pytest.raises(exceptions.AuthenticationError):
        transport(auth_type="oauth_client_credentials").request("GET", PATH)
    assert [asked.path for asked in stub.asked].count(PATH) == 2


@pytest.mark.parametrize(
    ("reply", "error", "words"),
    [
        (
            Reply(401, b'{"error_description":"access_denied","error":"server_error"}'),
            exceptions.AuthenticationError,
            "access_denied",
        ),
        (Reply(400, b'{"error":"invalid_client"}'), exceptions.AuthenticationError, "invalid_client"),
        (Reply(401, b'{"error_description":null,"error":null}'), exceptions.AuthenticationError, "No token"),
        (Reply(200, b'{"expires_in":5}'), exceptions.AuthenticationError, "holds none"),
        (page("<title>Instance Hibernating page</title>"), exceptions.NotServiceNowError, "hibernating"),
        (Reply(302, b"", {"Location": "https://evil.example"}), exceptions.NotServiceNowError, "redirect"),
        (Reply(200, b'{"access'), exceptions.NotServiceNowError, "instead of JSON"),
        (Reply(429, b"", {"Retry-After": "900"}), exceptions.RateLimitedError, "429"),
        (Reply(503, b"", {"Retry-After": "900"}), exceptions.UnreachableError, "No token"),
        (Reply(drop=True), exceptions.UnreachableError, "No token"),
    ],
)
def test_a_token_that_is_not_given_means_that_the_write_never_left(stub, transport, reply, error, words):
    stub.script = [reply]
    with pytest.raises(error) as caught:
        transport(auth_type="oauth_client_credentials", patience_s=0).request("POST", PATH, json={})
    assert words in str(caught.value)
    assert caught.value.__context__ is None
    assert {asked.path for asked in stub.asked} == {"/oauth_token.do"}
    assert not any(secret in str(caught.value) for secret in SECRETS.values())


def test_a_lost_token_is_fetched_again_also_for_a_write(stub, transport):
    server = TokenServer()
    stub.script = [Reply(drop=True), server_reply(server), of([])]
    assert transport(auth_type="oauth_client_credentials").request("POST", PATH, json={}).result == []


def server_reply(server):
    return Reply(200, b'{"access_token":"token-9","token_type":"Bearer","expires_in":100}')


def test_a_forked_process_fetches_a_token_even_if_it_was_forked_in_the_middle_of_a_fetch(stub, transport):
    server = TokenServer()
    held, asked_once = threading.Event(), threading.Event()

    def script(asked):
        if asked.path == "/oauth_token.do" and not asked_once.is_set():
            asked_once.set()
            held.wait(20)
        return server(asked)

    stub.script = script
    thread = threading.Thread(
        target=transport(auth_type="oauth_client_credentials").request, args=("GET", PATH)
    )
    thread.start()
    asked_once.wait(20)
    talk = transport(auth_type="oauth_client_credentials")
    child = multiprocessing.get_context("fork").Process(target=talk.request, args=("GET", PATH), daemon=True)
    child.start()
    child.join(20)
    held.set()
    thread.join()
    assert child.exitcode == 0
