"""Rate limit rules: headers on every answer, the 429 of what is too much, and whom a rule is about."""

from __future__ import annotations

import re
import time

import pytest
from plain_client import READONLY, error_of
from test_sandbox_batch import create, send

from airflow_provider_servicenow_dq.sandbox.data import SeedUser
from airflow_provider_servicenow_dq.sandbox.server import Sandbox

#: So long that no test meets its end.
AGE = 10**9


@pytest.fixture(autouse=True)
def one_window(sandbox):
    sandbox.configure(rate_window_s=AGE)


def statuses(client, count, rest="incident", **options):
    return [client.table(options.get("method", "GET"), rest).status_code for _ in range(count)]


def test_without_a_rule_nothing_is_said_of_limits(client):
    assert "X-RateLimit-Limit" not in client.table("GET", "incident").headers


def test_every_answer_tells_of_the_rule_and_what_is_too_much_is_denied(sandbox, client):
    sandbox.configure(rate_rule=["2 table"], rate_window_s=3600)
    if 3600 - time.time() % 3600 < 5:
        sandbox.configure(clock_offset_s=60)
    first, second, denied = (client.table("GET", "incident") for _ in range(3))
    assert (first.status_code, second.status_code, denied.status_code) == (200, 200, 429)
    for answer in (first, second, denied):
        assert answer.headers["X-RateLimit-Limit"] == "2"
        assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["X-RateLimit-Rule"])
        assert int(answer.headers["X-RateLimit-Reset"]) % 3600 == 0
        assert "X-RateLimit-Remaining" not in answer.headers
    assert "Retry-After" not in first.headers
    left = int(denied.headers["X-RateLimit-Reset"]) - sandbox.instance.now().timestamp()
    assert 0 < left <= int(denied.headers["Retry-After"]) <= 3600
    assert denied.json() == {
        "error": {
            "message": "Rate limit exceeded",
            "detail": "Rate limit of 2 requests per hour for Table API exceeded",
        },
        "status": "failure",
    }


def test_a_refusal_counts_and_tells_of_the_rule_as_well(sandbox, client):
    sandbox.configure(rate_rule=["1 table"])
    missing = client.table("GET", f"incident/{'0' * 32}")
    assert (missing.status_code, missing.headers["X-RateLimit-Limit"]) == (404, "1")
    assert statuses(client, 1) == [429]


def test_what_is_denied_is_not_executed(sandbox, client):
    sandbox.configure(rate_rule=["1 table"])
    assert [client.table("POST", "incident", json={}).status_code for _ in range(2)] == [201, 429]
    assert len(sandbox.records("incident")) == 1


def test_each_user_has_a_count_of_his_own(sandbox, client):
    sandbox.configure(rate_rule=["1 table"])
    assert statuses(client, 2) == [200, 429]
    assert statuses(client.as_user(READONLY), 2) == [200, 429]


def test_a_rule_may_be_about_one_table_or_another_api(sandbox, client):
    sandbox.configure(rate_rule=["1 table/sys_user", "1 stats"])
    assert statuses(client, 3) == [200] * 3
    assert statuses(client, 2, "sys_user") == [200, 429]
    answers = [client.send("GET", "/api/now/stats/incident") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 429]
    assert error_of(answers[1])["detail"] == "Rate limit of 1 requests per hour for Aggregate API exceeded"


def test_a_users_rule_goes_before_a_roles_and_of_roles_the_lowest_counts():
    someone = SeedUser("two.roles", "Two Roles", "x", ("itil", "snc_read_only"))
    rules = ["1 table", "3 table role itil", "2 table role snc_read_only", "4 table user svc_airflow"]
    from plain_client import Client

    with Sandbox(users=[someone], rate_rule=rules, rate_window_s=AGE) as sandbox:
        client = Client(sandbox.url)
        assert statuses(client, 6).count(200) == 4
        assert statuses(client.as_user(("two.roles", "x")), 6).count(200) == 2
        assert statuses(client.as_user(("admin", "admin")), 6).count(200) == 1


def test_an_edit_of_the_rules_and_a_reset_count_anew(sandbox, client):
    sandbox.configure(rate_rule=["1 table"])
    assert statuses(client, 2) == [200, 429]
    sandbox.configure(rate_rule=["1 table", "5 stats"])
    assert statuses(client, 2) == [200, 429]
    sandbox.reset()
    assert statuses(client, 2) == [200, 429]


def test_the_hour_ends(sandbox, client):
    sandbox.configure(rate_rule=["1 table"], rate_window_s=3600)
    sandbox.configure(clock_offset_s=1800 - time.time() % 3600)
    assert statuses(client, 2) == [200, 429]
    sandbox.configure(clock_offset_s=sandbox.instance.switches.clock_offset_s + 3600)
    assert statuses(client, 2) == [200, 429]


def test_a_limit_may_hold_only_after_the_nodes_have_told_one_another(sandbox, client):
    sandbox.configure(rate_rule=["1 table"], rate_lag_s=0.3)
    assert statuses(client, 3) == [200] * 3
    time.sleep(0.35)
    assert statuses(client, 1) == [429]


@pytest.mark.parametrize(("counts", "expected"), [(True, [201, 429, 429]), (False, [201, 201, 201])])
def test_whether_requests_of_a_batch_count_is_a_switch(sandbox, client, counts, expected):
    sandbox.configure(rate_rule=["1 table"], batch_counts_items=counts)
    content = send(client, create(1), create(2), create(3)).json()
    assert [each["status_code"] for each in content["serviced_requests"]] == expected


@pytest.mark.parametrize("rule", ["table", "x table", "5", "5 tables", "5 table group x", "5 table user"])
def test_a_rule_that_cannot_be_read_is_named(rule):
    with pytest.raises(ValueError, match="LIMIT API"):
        Sandbox(rate_rule=[rule])
