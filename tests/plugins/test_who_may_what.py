"""Every route of the application is guarded: who reads, who writes, and from where."""

from __future__ import annotations

import pytest
from rest_server import TICKETING, Asking, token_of, words_of

from airflow_provider_servicenow_dq.plugins.api import create_app
from airflow_provider_servicenow_dq.plugins.routing import GuardedRoute
from airflow_provider_servicenow_dq.plugins.signed import SignedRoute

READING = {"GET", "HEAD"}

#: Every route that the application has, and whether a signature is its guard.
ALL = sorted(
    (method, route.path_format, isinstance(route, SignedRoute))
    for route in create_app().routes
    for method in route.methods
)


def filled(path, **names):
    """Return a path with something in each of its places."""
    unknown = {"anomaly_id": "INC0099999", "ticket_id": "INC0099999", "link_id": "0" * 32}
    return path.format_map({"case_id": "INC0099999", **unknown, **names})


ROUTES = [(method, filled(path)) for method, path, is_signed in ALL if not is_signed]
WRITES = [(method, path) for method, path in ROUTES if method not in READING]
READS = [(method, path) for method, path in ROUTES if method in READING]

#: What a request gets that was let in, with an empty body and ids that nobody knows.
LET_IN = {400, 404}

SITES = {
    "another site's page": {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
    "another site's page in an old browser": {"Origin": "https://evil.example"},
    "a page of a sibling host": {"Origin": "http://other.airflow.example", "Sec-Fetch-Site": "same-site"},
    "a page without an origin": {"Origin": "null"},
    "an origin that is none": {"Origin": "http://["},
    "a page that has no token to send": {"Origin": "https://evil.example", "Authorization": "Bearer "},
    "another port": {"Origin": "http://airflow.example:8081"},
    "a header that claims our origin, on another site": {
        "Origin": "http://airflow.example",
        "Sec-Fetch-Site": "cross-site",
    },
    "nobody knows where": {},
}
OURS = {
    "our own page": {"Origin": "http://airflow.example", "Sec-Fetch-Site": "same-origin"},
    "our own page in an old browser": {"Origin": "http://airflow.example"},
    "our own page behind a proxy": {"Origin": "https://outside.example", "Sec-Fetch-Site": "same-origin"},
}


def test_each_route_of_the_application_is_one_that_guards_itself():
    assert all(isinstance(route, GuardedRoute) for route in create_app().routes)
    assert [path for _, path, is_signed in ALL if is_signed] == ["/api/webhooks/servicenow"]
    assert (len(READS), len(WRITES)) == (5, 8)


@pytest.mark.parametrize(("method", "path", "is_signed"), ALL)
def test_every_route_is_guarded(root, sandbox, report, method, path, is_signed):
    """Nobody gets in without a login, a viewer reads, an editor of connections writes, no other site does."""
    turns_strangers_away(root, method, filled(path), "ServiceNow-DQ-HMAC" if is_signed else "Bearer")
    if is_signed:
        no_login_helps(root, method, path)
    elif method in READING:
        ticket = report()["ticket"]["ticket_number"]
        lets_viewers_read(root, method, filled(path, anomaly_id="A-1", ticket_id=ticket))
    else:
        lets_editors_write(root, method, filled(path))
        assert not sandbox.requests


def turns_strangers_away(root, method, path, way_in):
    for token in (None, "rubbish", "a.b.c", "Bearer"):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        # Not even the body is judged, which is too large and no JSON.
        answer = Asking(root, None)(method, path, headers=headers, content=b"{" * 3_000_000)
        assert answer.status_code == 401, token
        assert answer.headers["WWW-Authenticate"] == way_in
        words_of(answer)


def no_login_helps(root, method, path):
    assert Asking(root, "admin")(method, path, json={}).status_code == 401
    for where, headers in OURS.items():
        assert Asking(root, None)(method, path, json={}, headers=headers | cookie()).status_code == 401, where


def lets_viewers_read(root, method, path):
    assert Asking(root, "viewer")(method, path).status_code == 200
    # With the cookie, too, and from wherever: reading changes nothing.
    assert Asking(root, None)(method, path, headers=cookie("viewer")).status_code == 200


def lets_editors_write(root, method, path):
    for user in ("viewer", "user"):
        answer = Asking(root, user)(method, path, json={})
        assert answer.status_code == 403, user
        assert "edit connections" in words_of(answer)
    for user in ("oper", "admin"):
        # No site can make a browser send a token, so it needs no origin.
        assert Asking(root, user)(method, path, json={}).status_code in LET_IN, user
    for where, headers in SITES.items():
        answer = Asking(root, None)(method, path, json={}, headers=headers | cookie())
        assert answer.status_code == 403, where
        assert "Origin" in words_of(answer)
    for where, headers in OURS.items():
        answer = Asking(root, None)(method, path, json={}, headers=headers | cookie())
        assert answer.status_code in LET_IN, where


def cookie(user="admin"):
    return {"Cookie": f"_token={token_of(user)}"}


@pytest.mark.parametrize(("method", "path"), WRITES)
def test_writing_can_be_given_to_whoever_may_edit_dags(root, sandbox, monkeypatch, method, path):
    monkeypatch.setenv("AIRFLOW__SERVICENOW_DQ__WRITE_ACCESS", "dag")
    assert Asking(root, "user")(method, path, json={}).status_code in LET_IN
    refused = Asking(root, "viewer")(method, path, json={})
    assert refused.status_code == 403
    assert "edit dags" in words_of(refused)


@pytest.mark.parametrize("base_url", ["/airflow", "airflow.example", "/"])
def test_an_address_without_a_host_makes_nobody_our_origin(root, sandbox, monkeypatch, base_url):
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", base_url)
    method, path = WRITES[0]
    headers = {"Origin": "null", **cookie()}
    assert Asking(root, None)(method, path, json={}, headers=headers).status_code == 403


def test_the_address_that_airflow_is_told_is_an_origin_of_ours(root, sandbox, monkeypatch):
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://outside.example/airflow")
    method, path = WRITES[0]
    headers = {"Origin": "https://outside.example", **cookie()}
    assert Asking(root, None)(method, path, json={}, headers=headers).status_code in LET_IN


def test_a_token_counts_more_than_a_cookie(root, sandbox):
    method, path = WRITES[0]
    assert Asking(root, "viewer")(method, path, json={}, headers=cookie()).status_code == 403


def test_a_token_that_airflow_gives_to_everybody_proves_nothing(root, sandbox, monkeypatch):
    monkeypatch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS", "True")
    ask = Asking(root, "admin")
    method, path = WRITES[0]
    assert ask(method, path, json={}, headers=SITES["another site's page"]).status_code == 403
    assert ask(method, path, json={}, headers=OURS["our own page"]).status_code in LET_IN
    assert ask(method, path, json={}).status_code in LET_IN


def test_a_setting_that_means_nothing_lets_nobody_write(root, sandbox, monkeypatch):
    monkeypatch.setenv("AIRFLOW__SERVICENOW_DQ__WRITE_ACCESS", "everybody")
    answer = Asking(root, "admin")("POST", f"{TICKETING}/anomalies/A-1/tickets", json={})
    assert answer.status_code == 503
    assert "write_access" in words_of(answer)
