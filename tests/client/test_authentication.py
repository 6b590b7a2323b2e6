"""How requests are signed, who shares a token, and when it is renewed."""

from __future__ import annotations

import base64
import json
import logging
import multiprocessing
import threading
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from joserfc import jwk, jwt
from stub_server import SECRETS, Reply, of, page, refusal

from airflow_provider_servicenow_dq import exceptions

PATH = "/api/now/table/incident"


class TokenServer:
    """Gives tokens named by their number and takes only those that it has not revoked."""

    def __init__(self, life=1799):
        self.life = life
        self.given = 0
        self.revoked = set()
        self.forms = []
        self.lock = threading.Lock()

    def __call__(self, asked):
        if asked.path != "/oauth_token.do":
            token = asked.headers.get("authorization", "").removeprefix("Bearer ")
            return refusal(401, "User Not Authenticated") if token in self.revoked else of([])
        with self.lock:
            self.given += 1
            self.forms.append({key: value for key, (value,) in parse_qs(asked.body.decode()).items()})
            token = {
                "access_token": f"token-{self.given:04}-x",
                "refresh_token": f"refresh-{self.given:04}",
                "token_type": "Bearer",
                "expires_in": self.life,
            }
            return Reply(200, json.dumps(token).encode())


@pytest.mark.parametrize(
    ("auth_type", "header", "value"),
    [
        (
            "basic",
            "authorization",
            "Basic " + base64.b64encode(f"svc:{SECRETS['password']}".encode()).decode(),
        ),
        ("api_key", "x-sn-apikey", SECRETS["api_key"]),
        ("bearer", "authorization", f"Bearer {SECRETS['api_key']}"),
    ],
)
def test_a_plain_request_carries_its_key(stub, transport, auth_type, header, value):
    transport(auth_type=auth_type).request("GET", PATH)
    assert stub.asked[0].headers[header] == value


def test_a_password_may_hold_any_character(stub, transport):
    transport(password="pässwörd-€-🔑").request("GET", PATH)
    sent = stub.asked[0].headers["authorization"].removeprefix("Basic ")
    assert base64.b64decode(sent).decode() == "svc:pässwörd-€-🔑"


def test_client_credentials_go_into_the_body_only(stub, transport):
    stub.script = server = TokenServer()
    transport(auth_type="oauth_client_credentials").request("GET", PATH)
    assert server.forms == [
        {
            "grant_type": "client_credentials",
            "client_id": "the-client",
            "client_secret": SECRETS["client_secret"],
        }
    ]
    assert "authorization" not in stub.asked[0].headers
    assert stub.asked[0].query == {}
    assert stub.asked[0].headers["content-type"].startswith("application/x-www-form-urlencoded")
    assert stub.asked[1].headers["authorization"] == "Bearer token-0001-x"


def test_the_password_grant_sends_any_password(stub, transport):
    stub.script = server = TokenServer()
    transport(auth_type="oauth_password", password="p&ä=ß+% €").request("GET", PATH)
    (form,) = server.forms
    assert (form["grant_type"], form["username"], form["password"]) == ("password", "svc", "p&ä=ß+% €")


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (rsa.generate_private_key(public_exponent=65537, key_size=2048), "RS256"),
        (ec.generate_private_key(ec.SECP256R1()), "ES256"),
        (ec.generate_private_key(ec.SECP521R1()), "ES512"),
    ],
)
def test_a_jwt_assertion_is_signed_by_our_key_and_names_us(stub, transport, key, algorithm):
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    stub.script = server = TokenServer()
    derived = []
    transport(auth_type="oauth_jwt", jwt_private_key=pem, jwt_kid="kid-1", on_secret=derived.append).request(
        "GET", PATH
    )
    (form,) = server.forms
    kind = jwk.RSAKey if algorithm == "RS256" else jwk.ECKey
    token = jwt.decode(form["assertion"], kind.import_key(pem), algorithms=[algorithm])
    assert token.header == {"alg": algorithm, "kid": "kid-1"} | (
        {"typ": "JWT"} if "typ" in token.header else {}
    )
    assert {name: token.claims[name] for name in ("iss", "aud", "sub")} == {
        "iss": "the-client",
        "aud": "the-client",
        "sub": "svc",
    }
    assert token.claims["exp"] - token.claims["iat"] == 300
    assert token.claims["jti"]
    assert form["assertion"] in derived


def test_a_key_that_is_none_is_an_error_that_does_not_show_it(transport):
    with pytest.raises(exceptions.ServiceNowConfigError, match="jwt_private_key") as caught:
        transport(auth_type="oauth_jwt", jwt_private_key="PEM-hunter").request("GET", PATH)
    assert "PEM-hunter" not in str(caught.value)
    assert caught.value.__context__ is None


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


def test_a_scope_is_asked_for_with_every_grant(stub, transport):
    key = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    stub.script = server = TokenServer()
    for auth_type in ("oauth_client_credentials", "oauth_password", "oauth_jwt"):
        transport(auth_type=auth_type, scope="dq_read dq_write", jwt_private_key=key.decode()).request(
            "GET", PATH
        )
    assert [form["scope"] for form in server.forms] == ["dq_read dq_write"] * 3


def test_a_jwt_client_without_a_secret_sends_none_not_even_an_empty_one(stub, transport):
    key = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    stub.script = TokenServer()
    transport(auth_type="oauth_jwt", client_secret=None, jwt_private_key=key.decode()).request("GET", PATH)
    form = parse_qs(stub.asked[0].body.decode(), keep_blank_values=True)
    assert sorted(form) == ["assertion", "client_id", "grant_type"]


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


def test_a_wrong_password_is_tried_once(stub, transport):
    stub.script = [refusal(401, "User Not Authenticated")]
    with pytest.raises(exceptions.AuthenticationError):
        transport().request("GET", PATH)
    assert len(stub.asked) == 1


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


def test_every_derived_secret_is_told_and_none_is_logged(stub, transport, caplog):
    caplog.set_level(logging.DEBUG)
    stub.script = TokenServer()
    first, second = [], []
    for derived in (first, second):
        transport(auth_type="oauth_client_credentials", on_secret=derived.append).request("GET", PATH)
    assert set(first) == {"token-0001-x", "refresh-0001"}
    assert second == ["token-0001-x"]
    for secret in (*first, *SECRETS.values()):
        assert secret not in caplog.text


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
