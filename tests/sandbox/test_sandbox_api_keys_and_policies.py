"""API keys, and the policies that keep a way of signing in shut."""

from __future__ import annotations

import pytest
from plain_client import ADMIN, error_of

KEY = {"x-sn-apikey": "sandbox-api-key"}
NOT_AUTHENTICATED = {
    "message": "User Not Authenticated",
    "detail": "Required to provide Auth information",
}


def read(client, **options):
    return client.table("GET", "incident", **{"auth": None, **options})


def test_an_api_key_acts_as_its_user_from_the_header_or_the_query(sandbox, client):
    assert read(client, headers=KEY).status_code == 200
    assert read(client, params=KEY).status_code == 200
    assert {logged.user for logged in sandbox.requests} == {"svc_airflow"}
    assert "sandbox-api-key" not in repr(sandbox.requests)


@pytest.mark.parametrize(
    "headers", [{"x-sn-apikey": "wrong"}, {"x-sn-apikey": "é"}, {**KEY, "Authorization": "Bearer x"}]
)
def test_a_wrong_key_is_401_and_so_is_a_right_one_beside_a_wrong_sign_in(client, headers):
    answer = read(client, headers={name: value.encode() for name, value in headers.items()})
    assert (answer.status_code, error_of(answer)) == (401, NOT_AUTHENTICATED)


def test_a_key_opens_only_the_apis_whose_policy_takes_keys(sandbox, client):
    sandbox.configure(no_api_key=["table"])
    assert error_of(read(client, headers=KEY)) == NOT_AUTHENTICATED
    assert client.table("GET", "incident").status_code == 200


def test_a_policy_can_forbid_basic_authentication_in_the_same_words(sandbox, client):
    sandbox.configure(basic_auth=False)
    answer = client.table("GET", "incident")
    assert (answer.status_code, error_of(answer)) == (401, NOT_AUTHENTICATED)
    assert read(client, headers=KEY).status_code == 200


def test_a_missing_second_factor_is_told_by_a_header(sandbox, client):
    sandbox.configure(mfa=True)
    answer = client.table("GET", "incident")
    assert (answer.status_code, answer.headers["X-MFA_TOKEN"]) == (401, "invalid")
    assert "X-MFA_TOKEN" not in client.as_user(("admin", "wrong")).table("GET", "incident").headers


def test_wrong_passwords_in_a_row_lock_a_user_out(sandbox, client):
    sandbox.configure(lock_after=3)
    wrong = client.as_user(("svc_airflow", "wrong"))
    for _ in range(2):
        for _ in range(2):
            wrong.table("GET", "incident")
        assert client.table("GET", "incident").status_code == 200
    for _ in range(3):
        wrong.table("GET", "incident")
    assert client.table("GET", "incident").status_code == 401
    user = client.as_user(ADMIN).find("user_name=svc_airflow", "sys_user")[0]
    assert user["locked_out"] == "true"
