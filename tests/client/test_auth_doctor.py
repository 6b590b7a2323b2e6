"""Whether a connection works, and if not, a sentence for each thing that can be wrong."""

from __future__ import annotations

import pytest
from stub_server import SECRETS, Reply, page, refusal

from airflow_provider_servicenow_dq.client.config import InstanceConfig
from airflow_provider_servicenow_dq.client.doctor import check_connection

CLIENT = {"client_id": "sandbox-client", "client_secret": "sandbox-secret"}


def check(url, **settings):
    given = {"login": "svc_airflow", "password": "airflow-secret"} | settings
    return check_connection(InstanceConfig(url, **given))


@pytest.mark.parametrize(
    ("settings", "who"),
    [
        ({}, "svc_airflow"),
        ({"auth_type": "oauth_password", **CLIENT}, "svc_airflow"),
        (
            {"auth_type": "oauth_client_credentials", "login": None, **CLIENT},
            "the user of the OAuth client sandbox-client",
        ),
        ({"auth_type": "api_key", "login": None, "api_key": "sandbox-api-key"}, "the user of the API key"),
    ],
)
def test_a_connection_that_works_is_said_to_and_as_whom(sandbox, settings, who):
    host = sandbox.url.removeprefix("http://")
    assert check(sandbox.url, **settings) == (True, f"Connected to {host} as {who}: incidents can be read")


@pytest.mark.parametrize(
    ("switches", "settings", "words"),
    [
        ({}, {"password": SECRETS["password"]}, "refuses the login or password"),
        ({"basic_auth": False}, {}, "an access policy does not allow it"),
        ({"mfa": True}, {}, "knows the login and password, but the user must show a second factor"),
        ({}, {"login": "roleless", "password": "roleless-pass"}, "role snc_platform_rest_api_access"),
        ({"hidden": ("incident",)}, {}, "may not read incidents: the role itil is missing"),
        ({}, {"auth_type": "api_key"}, "refuses the API key"),
        ({"no_api_key": ("table",)}, {"auth_type": "api_key", "api_key": "sandbox-api-key"}, "access policy"),
        ({}, {"auth_type": "bearer"}, "refuses the bearer token"),
        (
            {"client_credentials_enabled": False},
            {"auth_type": "oauth_client_credentials", **CLIENT},
            "glide.oauth.inbound.client.credential.grant_type.enabled is not true",
        ),
        (
            {"oauth_application_user": False},
            {"auth_type": "oauth_client_credentials", **CLIENT},
            "has no OAuth Application User",
        ),
        (
            {"oauth_errors": "rfc"},
            {"auth_type": "oauth_password", "client_id": "sandbox-client"},
            "invalid client. It says so for any of these: the client id or secret is wrong",
        ),
        (
            {},
            {"auth_type": "oauth_password", "password": SECRETS["password"], **CLIENT},
            "must first reset the password",
        ),
        (
            {"oauth_scope": "secure"},
            {"auth_type": "oauth_client_credentials", **CLIENT},
            "securely scoped, which is no matter of roles",
        ),
    ],
)
def test_what_the_instance_refuses_is_said_in_words(sandbox, itil, switches, settings, words):
    itil.create("incident", {"short_description": "x"})
    sandbox.configure(**switches)
    works, sentence = check(sandbox.url, **{"client_id": "the-client"} | SECRETS_BUT_PASSWORD | settings)
    assert not works
    assert words in sentence
    assert not any(secret in sentence for secret in (*SECRETS.values(), "airflow-secret", "sandbox-secret"))


SECRETS_BUT_PASSWORD = {name: value for name, value in SECRETS.items() if name != "password"}


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (refusal(403, "User Not Authorized", "Failed API level ACL Validation"), "snc_platform_rest_api"),
        (refusal(403, "Insufficient rights to query records", "Field(s) present"), "role itil is missing"),
        (refusal(403, "Operation Failed", "ACL Exception"), "access rule (ACL) of incident says no"),
        (refusal(400, "Invalid table incident"), "refuses to read incidents"),
        (Reply(401, b""), "refuses the login or password"),
        (page("<title>\n Instance Hibernating page\n</title>"), "hibernating"),
        (page("<title>\n Instance Hibernating page\n</title>", 503), "hibernating"),
        (page("<p>Your instance is currently offline</p>"), "offline"),
        (page("<title>Welcome to nginx!</title>"), "no ServiceNow instance"),
        (page('<form><input type="password"></form>'), "login page came back instead of JSON"),
        (page("<title>Not Found</title>", 404), "no ServiceNow instance"),
        (Reply(200, b'{"hello": "world"}'), "not ServiceNow's: check the host"),
        (Reply(302, b"", {"Location": "https://sso.example"}), "redirect"),
        (Reply(429, b"", {"Retry-After": "900"}), "429"),
        (Reply(drop=True), "broke"),
        (Reply(503, b""), "503"),
        (Reply(body=b'{"result": ['), "cut the transaction off"),
        (Reply(body=b'{"result": {"odd": 1}}'), "list of records"),
    ],
)
def test_what_else_answers_is_said_in_words_at_once(stub, reply, words):
    stub.script = [reply]
    works, sentence = check(stub.url)
    assert not works
    assert words in sentence
    assert len(stub.asked) == 1


@pytest.mark.parametrize("auth_type", ["oauth_client_credentials", "oauth_password"])
@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (page("<title>Welcome to nginx!</title>"), "no ServiceNow instance"),
        (page("<title>Instance Hibernating page</title>"), "hibernating"),
        (refusal(403, "User Not Authorized", "no way"), "User Not Authorized. It says so for any of these"),
        (Reply(200, b'{"access_token": "t-0001", "expires_in": "soon"}'), "none of ServiceNow's"),
    ],
)
def test_a_token_endpoint_that_is_none_is_said_in_words_too(stub, auth_type, reply, words):
    stub.script = [reply]
    works, sentence = check(stub.url, auth_type=auth_type, **CLIENT)
    assert not works
    assert words in sentence
    assert "sandbox-secret" not in sentence


def test_an_instance_that_is_away_is_said_to_be(stub):
    assert "does not speak TLS" in check(stub.url.replace("http:", "https:"))[1]
    assert "cannot be reached" in check("http://127.0.0.1:1")[1]
    assert "unknown (DNS)" in check("https://no-such-instance.invalid")[1]
    assert (
        "unknown (DNS)" in check("https://no-such-instance.invalid", auth_type="oauth_password", **CLIENT)[1]
    )


def test_an_instance_that_never_answers_is_given_up_soon(stub, monkeypatch):
    monkeypatch.setattr("airflow_provider_servicenow_dq.client.doctor._TIMEOUT_S", 0.2)
    stub.script = [Reply(trickle_s=0.15, body=b"x" * 50)]
    assert "did not answer in time" in check(stub.url)[1]
