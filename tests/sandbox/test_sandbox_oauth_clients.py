"""What depends on how an OAuth client is set up: JWT assertions, scopes, application user, errors."""

from __future__ import annotations

import time
import uuid

import pytest
from joserfc import jwk, jwt
from plain_client import error_of

from airflow_provider_servicenow_dq.sandbox.control import SandboxControl
from airflow_provider_servicenow_dq.sandbox.server import Sandbox

CLIENT = {"client_id": "sandbox-client", "client_secret": "sandbox-secret"}
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
REFUSED = {"error_description": "access_denied", "error": "server_error"}
ASKS = {"grant_type": "client_credentials", **CLIENT}


def token(client, **form):
    return client.send("POST", "/oauth_token.do", auth=None, data=form)


def assertion(key, algorithm="ES256", **changes):
    claims = {
        "iss": "sandbox-client",
        "aud": "sandbox-client",
        "sub": "svc_airflow",
        "jti": uuid.uuid4().hex,
        "exp": int(time.time()) + 60,
    }
    claims = {name: value for name, value in {**claims, **changes}.items() if value is not None}
    return jwt.encode({"alg": algorithm}, claims, key, [algorithm])


def with_jwt(client, text, **changes):
    return token(client, **{"grant_type": GRANT, "assertion": text, **CLIENT, **changes})


@pytest.fixture
def key(sandbox):
    return jwk.ECKey.import_key(sandbox.jwt_private_key)


def read(client, answer, **options):
    headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    return client.table(options.pop("method", "GET"), "incident", auth=None, headers=headers, **options)


def test_an_assertion_gives_a_token_without_a_refresh_token(sandbox, client, key):
    answer = with_jwt(client, assertion(key))
    assert answer.status_code == 200
    assert set(answer.json()) == {"access_token", "scope", "token_type", "expires_in"}
    assert read(client, answer).status_code == 200
    assert sandbox.requests[-1].user == "svc_airflow"


def test_an_assertion_is_good_once(sandbox, client, key):
    text = assertion(key)
    assert [with_jwt(client, text).status_code for _ in range(2)] == [200, 401]
    sandbox.configure(jwt_one_time=False)
    assert with_jwt(client, text).status_code == 200
    assert with_jwt(client, assertion(key, jti=None)).status_code == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "other"},
        {"aud": None},
        {"iss": "other"},
        {"iss": None},
        {"sub": "nobody"},
        {"sub": ""},
        {"sub": None},
        {"sub": "charlie.whitherspoon"},
        {"exp": 0},
        {"exp": None},
        {"exp": "tomorrow"},
        {"jti": None},
    ],
)
def test_an_assertion_with_a_wrong_claim_is_refused(client, key, changes):
    answer = with_jwt(client, assertion(key, **changes))
    assert (answer.status_code, answer.json()) == (401, REFUSED)


def test_clocks_may_be_five_minutes_apart(client, key):
    assert with_jwt(client, assertion(key, exp=int(time.time()) - 290)).status_code == 200
    assert with_jwt(client, assertion(key, exp=int(time.time()) - 310)).status_code == 401


@pytest.mark.parametrize("text", ["", "x", "a.b.c", "e30.e30.e30"])
def test_what_is_no_assertion_is_refused(client, text):
    assert with_jwt(client, text).json() == REFUSED


def test_an_assertion_of_another_key_or_of_none_is_refused(client, key):
    assert with_jwt(client, assertion(jwk.ECKey.generate_key("P-256"))).status_code == 401
    header, claims, _ = assertion(key).split(".")
    assert with_jwt(client, f"{header}.{claims}.").status_code == 401


def test_the_subject_may_be_an_address(sandbox, client, key):
    sandbox.configure(jwt_user_field="email")
    assert with_jwt(client, assertion(key, sub="svc_airflow@example.com")).status_code == 200
    assert with_jwt(client, assertion(key)).status_code == 401


def test_only_a_public_client_leaves_its_secret_out(sandbox, client, key):
    assert with_jwt(client, assertion(key), client_secret="").status_code == 401
    sandbox.configure(jwt_public_client=True)
    assert with_jwt(client, assertion(key), client_secret="").status_code == 200
    assert token(client, **{**ASKS, "client_secret": ""}).status_code == 401


@pytest.mark.parametrize(
    ("own", "algorithm"),
    [(jwk.RSAKey.generate_key(2048), "RS512"), (jwk.ECKey.generate_key("P-384"), "ES384")],
)
def test_a_public_key_can_be_registered(own, algorithm):
    from plain_client import Client

    with Sandbox(jwt_key=own.as_pem(private=False).decode()) as sandbox:
        client = Client(sandbox.url)
        assert with_jwt(client, assertion(own, algorithm)).status_code == 200
        built_in = jwk.ECKey.import_key(sandbox.jwt_private_key)
        assert with_jwt(client, assertion(built_in)).status_code == 401


def test_a_text_that_is_no_key_is_refused_at_the_start():
    with pytest.raises(ValueError, match="RSA or EC public key"):
        Sandbox(jwt_key="no key")


def test_a_sandbox_in_another_process_tells_its_key_too(sandbox):
    assert SandboxControl(sandbox.url).jwt_private_key == sandbox.jwt_private_key


def test_a_client_without_an_application_user_gets_no_token_of_its_own(sandbox, client):
    sandbox.configure(oauth_application_user=False)
    answer = token(client, **ASKS)
    assert (answer.status_code, answer.json()) == (401, REFUSED)
    person = {"grant_type": "password", "username": "admin", "password": "admin", **CLIENT}
    assert token(client, **person).status_code == 200


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"client_id": "wrong"}, "invalid_client"),
        ({"client_secret": "wrong"}, "invalid_client"),
        ({"grant_type": "magic"}, "unsupported_grant_type"),
        ({"grant_type": "password", "username": "admin", "password": "wrong"}, "invalid_grant"),
    ],
)
def test_the_codes_of_the_standard_can_be_had(sandbox, client, changes, error):
    sandbox.configure(oauth_errors="rfc")
    answer = token(client, **{**ASKS, **changes})
    assert (answer.status_code, answer.json()["error"]) == (401, error)


def test_parameters_in_the_query_count_only_where_the_property_says_so(sandbox, client):
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert client.send("POST", "/oauth_token.do", auth=None, params=ASKS, headers=headers).status_code == 401
    sandbox.configure(oauth_query_parameters=True)
    assert client.send("POST", "/oauth_token.do", auth=None, params=ASKS, headers=headers).status_code == 200
    assert "sandbox-secret" not in repr(sandbox.requests)


def test_a_refresh_token_ends(sandbox, client):
    person = {"grant_type": "password", "username": "admin", "password": "admin", **CLIENT}
    first = token(client, **person).json()
    renew = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"], **CLIENT}
    assert token(client, **renew).json()["access_token"] == first["access_token"]
    client.send("POST", "/sandbox/reset", auth=None, json={})
    sandbox.configure(refresh_life_s=0)
    late = token(client, **person).json()["refresh_token"]
    assert token(client, **{**renew, "refresh_token": late}).status_code == 401


def test_a_securely_scoped_client_needs_a_scope_for_each_api_and_method(sandbox, client):
    sandbox.configure(oauth_scope="secure", auth_scope=["dq:table:GET"])
    unscoped = read(client, token(client, **ASKS))
    assert unscoped.status_code == 403
    assert error_of(unscoped) == {
        "message": "User Not Authorized",
        "detail": "Access to unscoped api is not allowed",
    }
    scoped = token(client, **ASKS, scope="dq")
    assert scoped.json()["scope"] == "dq"
    assert read(client, scoped).status_code == 200
    assert read(client, scoped, method="POST", json={}).status_code == 403
    assert read(client, token(client, **ASKS, scope="useraccount")).status_code == 200
    sandbox.configure(oauth_unscoped_allowed=True)
    assert read(client, token(client, **ASKS)).status_code == 200


@pytest.mark.parametrize("scope", ["dq", "dq:tables", "dq:table:get", ":table"])
def test_a_scope_that_cannot_be_read_is_named(scope):
    with pytest.raises(ValueError, match="NAME:API"):
        Sandbox(auth_scope=[scope])
