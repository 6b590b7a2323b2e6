"""How requests are signed, and what a token is asked for with."""

from __future__ import annotations

import base64
import logging
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from joserfc import jwk, jwt
from stub_server import SECRETS, refusal
from token_server import TokenServer

from airflow_provider_servicenow_dq import exceptions

PATH = "/api/now/table/incident"


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


def test_a_wrong_password_is_tried_once(stub, transport):
    stub.script = [refusal(401, "User Not Authenticated")]
    with pytest.raises(exceptions.AuthenticationError):
        transport().request("GET", PATH)
    assert len(stub.asked) == 1


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
