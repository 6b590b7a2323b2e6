"""Whatever goes wrong is told in one format, in words that help, and without any secret."""

from __future__ import annotations

import json

import pytest
from rest_server import TICKETING, Asking, airflow_with, connection_to, impatient_app, words_of

from airflow_provider_servicenow_dq.client.limits import forget_limits
from airflow_provider_servicenow_dq.plugins import reach
from airflow_provider_servicenow_dq.plugins.routing import LARGEST_BODY

SEARCH = f"{TICKETING}/tickets/search"
CREATE = f"{TICKETING}/anomalies/A-1/tickets"
LINK = "/api/anomalies/A-1/ticket-links"


@pytest.fixture
def hasty(monkeypatch):
    """Nothing is tried twice."""
    monkeypatch.setattr(reach, "_PATIENCE_S", 0.0)


@pytest.mark.parametrize(
    "path", ["/", "", "/api", "/docs", "/redoc", "/api/integrations/ticketing/", f"{SEARCH}/"]
)
def test_an_address_that_is_none_of_ours_is_not_found(ask, path):
    answer = ask("GET", path)
    assert answer.status_code == 404
    words_of(answer)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", SEARCH, "GET"),
        ("GET", CREATE, "POST"),
        ("PUT", LINK, "GET, POST"),
        ("GET", f"{LINK}/x", "DELETE"),
    ],
)
def test_what_cannot_be_done_at_an_address_names_what_can(ask, method, path, allowed):
    answer = ask(method, path)
    assert answer.status_code == 405
    assert answer.headers["Allow"] == allowed
    words_of(answer)


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"title": ""}, "body.title"),
        ({"title": "x" * 161}, "body.title"),
        ({"title": ["a"]}, "body.title"),
        ({"priority": "9"}, "body.priority"),
        ({"description": "x" * 4001}, "body.description"),
        ({"sys_id": "0" * 32}, "body.sys_id"),
        ([], "body"),
        ("text", "body"),
        (None, "body"),
    ],
)
def test_a_body_that_is_wrong_is_refused_with_the_place(ask, sandbox, body, place):
    answer = ask("POST", CREATE, json=body)
    assert answer.status_code == 400
    assert words_of(answer).startswith(f"{place}: ")
    assert not sandbox.requests


def test_a_body_that_is_no_json_is_refused(ask, sandbox):
    for content in (b"{", b"\xff", b"[" * 100_000, b'{"title": "\\ud800"}'):
        answer = ask("POST", CREATE, content=content, headers={"Content-Type": "application/json"})
        assert answer.status_code == 400, content[:20]
        words_of(answer)


@pytest.mark.parametrize("content_type", ["text/plain", "application/xml", "multipart/form-data", "json", ""])
def test_a_body_that_is_something_else_than_json_is_refused(ask, sandbox, content_type):
    for method, path in (("POST", CREATE), ("DELETE", "/api/v2/security/findings/cases")):
        answer = ask(method, path, content=b'{"title": "x"}', headers={"Content-Type": content_type})
        assert answer.status_code == 415
        assert "application/json" in words_of(answer)


def test_json_may_be_of_a_kind_and_in_any_case(ask, sandbox, report):
    for number, content_type in enumerate(("Application/JSON; charset=utf-8", "application/vnd.api+json")):
        report(ticket=False, external_id=f"B-{number}", check_name=content_type)
        path = f"{TICKETING}/anomalies/B-{number}/tickets"
        answer = ask("POST", path, content=b'{"title": "x"}', headers={"Content-Type": content_type})
        assert answer.status_code == 201, content_type


@pytest.mark.parametrize(
    ("path", "params"),
    [
        (SEARCH, {"page": 0}),
        (SEARCH, {"page": 10_001}),
        (SEARCH, {"size": 0}),
        (SEARCH, {"size": 101}),
        (SEARCH, {"query": "x" * 201}),
        (SEARCH, {"servicenow_conn_id": "a b"}),
        (SEARCH, {"servicenow_conn_id": ""}),
        (SEARCH, {"project": ""}),
        (f"{TICKETING}/tickets/{'x' * 42}", {}),
        (f"{TICKETING}/tickets/sys_user", {}),
        (f"{TICKETING}/tickets/^active=true", {}),
        (f"{TICKETING}/form-specification", {"language": "../en"}),
        (LINK, {"source": "a-b"}),
        (LINK, {"size": 1000}),
        (f"/api/anomalies/{'x' * 256}/ticket-links", {}),
        ("/api/anomalies/a%00b/ticket-links", {}),
    ],
)
def test_what_is_out_of_bounds_never_goes_anywhere(ask, sandbox, path, params):
    answer = ask("GET", path, params=params)
    assert answer.status_code == 400
    words_of(answer)
    assert not sandbox.requests


def test_many_wrong_things_are_not_all_listed(ask, sandbox):
    answer = ask("POST", CREATE, json={f"field_{number}": 1 for number in range(5000)})
    assert answer.status_code == 400
    assert len(answer.json()["errors"]) == 20


@pytest.mark.parametrize("path", [CREATE, LINK])
def test_a_body_that_is_announced_too_large_is_not_read(ask, sandbox, path):
    answer = ask(
        "POST", path, content=b" " * (LARGEST_BODY + 1), headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 413
    assert str(LARGEST_BODY) in words_of(answer)


@pytest.mark.parametrize("path", [CREATE, LINK])
def test_a_body_that_grows_too_large_is_not_read_to_its_end(ask, sandbox, path):
    def chunks():
        for _ in range(LARGEST_BODY // 65536 + 2):
            yield b" " * 65536

    answer = ask("POST", path, content=chunks(), headers={"Content-Type": "application/json"})
    assert answer.status_code == 413
    words_of(answer)


def test_a_body_of_just_the_largest_size_is_read(ask, sandbox, report):
    report(ticket=False)
    body = json.dumps({"title": "as large as can be"}).encode()
    content = body + b" " * (LARGEST_BODY - len(body))
    answer = ask("POST", CREATE, content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == 201


def test_an_instance_that_asks_to_wait_is_obeyed(ask, sandbox):
    sandbox.fail_next("rate_limited", retry_after=37, count=9)
    answer = ask("GET", SEARCH)
    assert answer.status_code == 429
    assert answer.headers["Retry-After"] == "37"
    assert answer.headers["X-RateLimit-Reset"] == "37"
    assert "429" in words_of(answer)


def test_an_instance_that_asks_to_wait_before_a_ticket_is_opened_is_obeyed(ask, sandbox, report):
    report(ticket=False)
    sandbox.fail_next("rate_limited", method="POST", retry_after=37)
    answer = ask("POST", CREATE, json={"title": "later"})
    assert answer.status_code == 429
    assert answer.headers["Retry-After"] == "37"
    words_of(answer)
    forget_limits()  # the wait is over
    assert ask("POST", CREATE, json={"title": "later"}).status_code == 201
    assert len(sandbox.records("incident")) == 1


@pytest.mark.parametrize(
    "fault",
    [
        "drop_before",
        "error_before",
        "hibernating",
        "login",
        "offline",
        "unauthorized",
        "redirect",
        "cancelled",
    ],
)
def test_an_instance_that_cannot_be_used_is_said_to_be_unavailable(ask, sandbox, hasty, fault):
    sandbox.fail_next(fault, count=99)
    answer = ask("GET", SEARCH)
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) >= 1
    words_of(answer)


def test_an_instance_that_is_down_is_said_to_be_unavailable(ask, sandbox, report, hasty, monkeypatch):
    report(ticket=False)
    monkeypatch.setenv("AIRFLOW_CONN_SERVICENOW_DEFAULT", connection_to("http://127.0.0.1:9"))
    for method, path, body in (("GET", SEARCH, None), ("POST", LINK, {"ticket_id": "INC0000001"})):
        answer = ask(method, path, json=body)
        assert answer.status_code == 503
        assert "Retry-After" in answer.headers
        assert "127.0.0.1:9" in words_of(answer)


def test_work_that_takes_too_long_is_found_by_a_repeat(root, sandbox, report):
    report(ticket=False)
    ask = Asking(airflow_with(impatient_app(0.2)), "admin")
    sandbox.fail_next("delay", method="POST", seconds=1.0)
    given_up = ask("POST", CREATE, json={"title": "slow"})
    assert given_up.status_code == 503
    assert "goes on" in words_of(given_up)
    while (answer := ask("POST", CREATE, json={"title": "slow"})).status_code == 503:
        assert "Retry-After" in answer.headers
    assert answer.status_code == 201
    assert len(sandbox.records("incident")) == 1


def test_a_store_that_cannot_be_used_is_not_described(ask, sandbox, monkeypatch, tmp_path):
    monkeypatch.setenv("AIRFLOW__SERVICENOW_DQ__STORE", f"sqlite:///{tmp_path}/missing/store.db")
    answer = ask("GET", LINK)
    assert answer.status_code == 503
    assert words_of(answer) == "The store cannot be used now"
