"""Every route of the application is guarded: who reads, who writes, and from where."""

from __future__ import annotations

import re

import pytest
from rest_server import TICKETING, Asking, words_of

from airflow_provider_servicenow_dq.plugins.api import create_app
from airflow_provider_servicenow_dq.plugins.routing import GuardedRoute
from airflow_provider_servicenow_dq.plugins.signed import SignedRoute

READING = {"GET", "HEAD"}


def routes():
    """Every route that the application has, with something in each place of its path."""
    for route in create_app().routes:
        assert isinstance(route, GuardedRoute), f"{route} is no guarded route"
        if isinstance(route, SignedRoute):
            continue
        for method in sorted(route.methods):
            path = re.sub(r"\{link_id[^}]*\}", "0" * 32, route.path)
            yield method, re.sub(r"\{[^}]*\}", "INC0099999", path)


ROUTES = sorted(routes())
WRITES = [(method, path) for method, path in ROUTES if method not in READING]
READS = [(method, path) for method, path in ROUTES if method in READING]

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


def test_only_what_an_instance_tells_is_signed_instead():
    signed = [route.path for route in create_app().routes if isinstance(route, SignedRoute)]
    assert signed == ["/api/webhooks/servicenow"]


def test_the_application_has_routes_of_both_kinds():
    assert len(READS) >= 5
    assert len(WRITES) >= 3


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_nobody_gets_in_without_a_login(root, sandbox, method, path):
    answer = Asking(root, None)(method, path)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    words_of(answer)
    assert not sandbox.requests


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize("token", ["rubbish", "a.b.c", "Bearer"])
def test_nobody_gets_in_with_something_that_is_no_token(root, sandbox, method, path, token):
    answer = Asking(root, None)(method, path, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 401
    words_of(answer)


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_without_a_login_not_even_the_body_is_judged(root, sandbox, method, path):
    answer = Asking(root, None)(method, path, content=b"{" * 3_000_000)
    assert answer.status_code == 401


@pytest.mark.parametrize(("method", "path"), READS)
def test_whoever_may_see_the_website_may_read(root, sandbox, method, path):
    answer = Asking(root, "viewer")(method, path)
    assert answer.status_code in {200, 404}, answer.text


@pytest.mark.parametrize("user", ["viewer", "user"])
@pytest.mark.parametrize(("method", "path"), WRITES)
def test_whoever_may_not_edit_connections_may_not_write(root, sandbox, method, path, user):
    answer = Asking(root, user)(method, path, json={})
    assert answer.status_code == 403
    assert "edit connections" in words_of(answer)
    assert not sandbox.requests


@pytest.mark.parametrize("user", ["oper", "admin"])
@pytest.mark.parametrize(("method", "path"), WRITES)
def test_whoever_may_edit_connections_may_write(root, sandbox, method, path, user):
    answer = Asking(root, user)(method, path, json={})
    assert answer.status_code in {400, 404}, answer.text


@pytest.mark.parametrize(("method", "path"), WRITES)
def test_writing_can_be_given_to_whoever_may_edit_dags(root, sandbox, monkeypatch, method, path):
    monkeypatch.setenv("AIRFLOW__SERVICENOW_DQ__WRITE_ACCESS", "dag")
    assert Asking(root, "user")(method, path, json={}).status_code in {400, 404}
    refused = Asking(root, "viewer")(method, path, json={})
    assert refused.status_code == 403
    assert "edit dags" in words_of(refused)


@pytest.mark.parametrize("where", SITES)
@pytest.mark.parametrize(("method", "path"), WRITES)
def test_a_browser_that_is_logged_in_writes_for_no_other_site(root, sandbox, method, path, where):
    ask = Asking(root, None)
    cookie = {"Cookie": f"_token={Asking(root, 'admin').token}"}
    answer = ask(method, path, json={}, headers=SITES[where] | cookie)
    assert answer.status_code == 403
    assert "Origin" in words_of(answer)
    assert not sandbox.requests


@pytest.mark.parametrize("where", OURS)
@pytest.mark.parametrize(("method", "path"), WRITES)
def test_a_browser_that_is_logged_in_writes_from_airflows_own_pages(root, sandbox, method, path, where):
    ask = Asking(root, None)
    cookie = {"Cookie": f"_token={Asking(root, 'admin').token}"}
    assert ask(method, path, json={}, headers=OURS[where] | cookie).status_code in {400, 404}


@pytest.mark.parametrize("base_url", ["/airflow", "airflow.example", "/"])
def test_an_address_without_a_host_makes_nobody_our_origin(root, sandbox, monkeypatch, base_url):
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", base_url)
    method, path = WRITES[0]
    headers = {"Origin": "null", "Cookie": f"_token={Asking(root, 'admin').token}"}
    assert Asking(root, None)(method, path, json={}, headers=headers).status_code == 403


def test_the_address_that_airflow_is_told_is_an_origin_of_ours(root, sandbox, monkeypatch):
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://outside.example/airflow")
    method, path = WRITES[0]
    headers = {"Origin": "https://outside.example", "Cookie": f"_token={Asking(root, 'admin').token}"}
    assert Asking(root, None)(method, path, json={}, headers=headers).status_code in {400, 404}


@pytest.mark.parametrize(("method", "path"), READS)
def test_reading_with_the_cookie_needs_no_origin(root, sandbox, method, path):
    headers = {"Cookie": f"_token={Asking(root, 'viewer').token}"}
    assert Asking(root, None)(method, path, headers=headers).status_code in {200, 404}


def test_a_token_counts_more_than_a_cookie(root, sandbox):
    method, path = WRITES[0]
    headers = {"Cookie": f"_token={Asking(root, 'admin').token}"}
    assert Asking(root, "viewer")(method, path, json={}, headers=headers).status_code == 403


def test_a_token_that_airflow_gives_to_everybody_proves_nothing(root, sandbox, monkeypatch):
    monkeypatch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS", "True")
    ask = Asking(root, "admin")
    method, path = WRITES[0]
    assert ask(method, path, json={}, headers=SITES["another site's page"]).status_code == 403
    assert ask(method, path, json={}, headers=OURS["our own page"]).status_code in {400, 404}
    assert ask(method, path, json={}).status_code in {400, 404}


def test_a_setting_that_means_nothing_lets_nobody_write(root, sandbox, monkeypatch):
    monkeypatch.setenv("AIRFLOW__SERVICENOW_DQ__WRITE_ACCESS", "everybody")
    answer = Asking(root, "admin")("POST", f"{TICKETING}/anomalies/A-1/tickets", json={})
    assert answer.status_code == 503
    assert "write_access" in words_of(answer)
