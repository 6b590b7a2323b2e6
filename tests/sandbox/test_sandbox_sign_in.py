"""Basic authentication and OAuth tokens."""

from __future__ import annotations

import pytest
from plain_client import ADMIN, Client, error_of

from airflow_provider_servicenow_dq.sandbox.data import SeedUser
from airflow_provider_servicenow_dq.sandbox.server import Sandbox

CLIENT = {
    "grant_type": "client_credentials",
    "client_id": "sandbox-client",
    "client_secret": "sandbox-secret",
}
REFUSED = {"error_description": "access_denied", "error": "server_error"}


def bearer(client, token):
    return client.table("GET", "incident", auth=None, headers={"Authorization": f"Bearer {token}"})


@pytest.mark.parametrize(
    "auth",
    [None, ("svc_airflow", "wrong"), ("nobody", "x"), ("charlie.whitherspoon", "gone"), ("beth.anglin", "")],
)
def test_wrong_credentials_are_the_same_401_whatever_is_wrong(client, auth):
    answer = client.as_user(auth).table("GET", "incident")
    assert answer.status_code == 401
    assert error_of(answer) == {
        "message": "User Not Authenticated",
        "detail": "Required to provide Auth information",
    }
    assert answer.headers["WWW-Authenticate"] == 'BASIC realm="Service-now"'


@pytest.mark.parametrize("header", ["Basic", "Basic !!!", "Basic bm9jb2xvbg==", "Bearer ", "Digest x"])
def test_a_header_that_is_no_sign_in_is_401(client, header):
    assert client.table("GET", "incident", auth=None, headers={"Authorization": header}).status_code == 401


def test_a_user_without_a_role_fails_the_apis_own_access_rule():
    with Sandbox(users=[SeedUser("guest", "Guest", "guest")]) as sandbox:
        answer = Client(sandbox.url, ("guest", "guest")).table("GET", "incident")
    assert answer.status_code == 403
    assert error_of(answer) == {
        "message": "User Not Authorized",
        "detail": "Failed API level ACL Validation",
    }


def test_a_user_who_is_locked_out_or_deactivated_is_401(client):
    admin = client.as_user(ADMIN)
    user = admin.find("user_name=svc_airflow", "sys_user")[0]["sys_id"]
    for change in ({"locked_out": "true"}, {"locked_out": "false", "active": "false"}):
        assert admin.update(user, "sys_user", **change).status_code == 200
        assert client.table("GET", "incident").status_code == 401


def test_client_credentials_give_a_token_that_is_handed_out_while_it_lives(client):
    answer = client.send("POST", "/oauth_token.do", data=CLIENT, auth=None)
    assert answer.status_code == 200
    token = answer.json()
    assert token["token_type"] == "Bearer"
    assert token["scope"] == "useraccount"
    assert 1790 < token["expires_in"] <= 1799
    assert "refresh_token" not in token
    assert bearer(client, token["access_token"]).status_code == 200
    assert bearer(client, "x" + token["access_token"]).status_code == 401
    again = client.send("POST", "/oauth_token.do", data=CLIENT, auth=None).json()
    assert again["access_token"] == token["access_token"]


def test_a_token_acts_as_the_clients_user_and_expires(sandbox, client):
    sandbox.configure(token_life_s=0)
    token = client.send("POST", "/oauth_token.do", data=CLIENT, auth=None).json()["access_token"]
    assert bearer(client, token).status_code == 401
    sandbox.configure(token_life_s=60)
    token = client.send("POST", "/oauth_token.do", data=CLIENT, auth=None).json()["access_token"]
    assert bearer(client, token).status_code == 200
    assert sandbox.requests[-1].user == "svc_airflow"


def test_the_password_grant_has_a_refresh_token(client):
    form = {**CLIENT, "grant_type": "password", "username": "admin", "password": "admin"}
    token = client.send("POST", "/oauth_token.do", data=form, auth=None).json()
    refresh = {**CLIENT, "grant_type": "refresh_token", "refresh_token": token["refresh_token"]}
    assert client.send("POST", "/oauth_token.do", data=refresh, auth=None).status_code == 200
    assert bearer(client, token["access_token"]).status_code == 200


@pytest.mark.parametrize(
    "options",
    [
        {"data": {**CLIENT, "client_secret": "wrong"}},
        {"data": {**CLIENT, "client_id": "wrong"}},
        {"data": {**CLIENT, "grant_type": "wrong"}},
        {"data": {**CLIENT, "grant_type": "password", "username": "admin", "password": "wrong"}},
        {"data": {**CLIENT, "grant_type": "refresh_token", "refresh_token": ""}},
        {"json": CLIENT},
        {"params": CLIENT},
        {"data": {"grant_type": "client_credentials"}, "auth": ("sandbox-client", "sandbox-secret")},
    ],
)
def test_every_failure_of_the_token_endpoint_is_the_same_401(client, options):
    answer = client.send("POST", "/oauth_token.do", **{"auth": None, **options})
    assert (answer.status_code, answer.json()) == (401, REFUSED)


def test_client_credentials_can_be_off_as_they_are_by_default_on_a_real_instance(sandbox, client):
    sandbox.configure(client_credentials_enabled=False)
    answer = client.send("POST", "/oauth_token.do", data=CLIENT, auth=None)
    assert (answer.status_code, answer.json()) == (401, REFUSED)


def test_no_secret_of_the_token_endpoint_is_remembered(sandbox, client):
    client.send("POST", "/oauth_token.do", data=CLIENT, auth=None)
    client.send("POST", "/oauth_token.do", json=CLIENT, auth=None)
    assert len(sandbox.requests) == 2
    assert "sandbox-secret" not in repr(sandbox.requests)
