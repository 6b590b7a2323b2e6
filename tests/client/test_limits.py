"""Rate limits: what one thread is told, no other asks for; what no worker sleeps through becomes an error."""

from __future__ import annotations

import multiprocessing
import threading
import time
from email.utils import formatdate

import pytest
from stub_server import Reply, of, refusal

from airflow_provider_servicenow_dq.client.limits import Limits, forget_limits, limits_of
from airflow_provider_servicenow_dq.client.transport import Transport
from airflow_provider_servicenow_dq.client.waits import asked_wait
from airflow_provider_servicenow_dq.exceptions import RateLimitedError

INCIDENTS, USERS = "/api/now/table/incident", "/api/now/table/sys_user"
ONE = f"{INCIDENTS}/{'a' * 32}"
BARE = Reply(429, b"Too Many Requests", kind="text/html")


def used_up(seconds, rule="rule-1"):
    reply = refusal(429, "Rate limit exceeded", "Rate limit of 100 requests per hour for Table API exceeded")
    reply.headers = {"Retry-After": str(seconds), "X-RateLimit-Limit": "100", "X-RateLimit-Rule": rule}
    return reply


def fine(rule="rule-1"):
    return of([], X_RateLimit_Rule=rule) if rule else of([])


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": " 7.5 "}, 7.5),
        ({"Retry-After": "86400"}, 3600),
        ({"Retry-After": "-1"}, None),
        ({"Retry-After": "1e3"}, None),
        ({"Retry-After": "tomorrow"}, None),
        ({"Retry-After": "\N{ARABIC-INDIC DIGIT SEVEN}"}, None),
        # The instance's clock says when, not ours.
        ({"Retry-After": formatdate(1_000_090, usegmt=True), "Date": formatdate(1_000_000, usegmt=True)}, 90),
        ({"Retry-After": formatdate(1_000_000, usegmt=True), "Date": formatdate(1_000_090, usegmt=True)}, 0),
        (
            {"Retry-After": formatdate(9_000_000, usegmt=True), "Date": formatdate(1_000_000, usegmt=True)},
            3600,
        ),
        ({"Retry-After": "Mon, 12 Jan 1970 13:48:10 -0000", "Date": formatdate(1_000_000)}, 90),
        ({"Retry-After": "Mon, 99 Jan 1970 13:48:10 GMT"}, None),
        ({"X-RateLimit-Reset": "1700003600", "Date": formatdate(1_700_000_000, usegmt=True)}, 3600),
        ({"X-RateLimit-Reset": "soon"}, None),
        ({}, None),
    ],
)
def test_a_wait_is_seconds_or_a_date_of_the_instances_clock_and_an_hour_at_most(headers, seconds):
    assert asked_wait(429, headers) == seconds


def test_a_date_without_a_zone_is_in_utc_wherever_the_worker_is(monkeypatch):
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        date = formatdate(1_000_000, usegmt=True)
        assert asked_wait(429, {"Retry-After": "Mon, 12 Jan 1970 13:48:10 -0000", "Date": date}) == 90
    finally:
        monkeypatch.undo()
        time.tzset()


def test_only_a_rule_that_is_used_up_is_waited_for():
    """The headers of a rule come with every answer that it counts."""
    assert asked_wait(503, {"X-RateLimit-Reset": "1700003600", "Date": formatdate(1_700_000_000)}) is None


def test_what_one_thread_is_told_no_other_asks_for(stub, config):
    """Two connections of a process with the same user: the second is not even asked."""
    forget_limits()
    stub.script = [used_up(1800)]
    with Transport(config()) as first, Transport(config()) as second:
        with pytest.raises(
            RateLimitedError, match=r"429: Rate limit exceeded .* again at \d\d:\d\d:\d\d UTC"
        ):
            first.request("GET", INCIDENTS)
        with pytest.raises(RateLimitedError, match=r"429 before; it may be asked again at") as caught:
            second.request("GET", INCIDENTS)
    assert 1795 < caught.value.retry_after <= 1800
    assert len(stub.asked) == 1


def test_another_user_and_another_instance_are_asked(stub, config):
    forget_limits()
    stub.script = [used_up(1800)]
    for settings in ({}, {"login": "other"}, {"auth_type": "api_key", "api_key": "another-key"}):
        with Transport(config(**settings)) as talk, pytest.raises(RateLimitedError, match="exceeded"):
            talk.request("GET", INCIDENTS)
    assert len(stub.asked) == 3
    assert limits_of(config()) is limits_of(config(timeout_s=1))


def test_a_rule_holds_for_what_it_counts_and_nothing_else(stub, transport):
    rules = {"GET": {INCIDENTS: "reading", ONE: "reading", USERS: ""}, "POST": {INCIDENTS: "writing"}}
    talk = transport()
    stub.script = lambda asked: fine(rules[asked.method][asked.path])
    for path in (INCIDENTS, ONE, USERS):
        talk.request("GET", path)
    talk.request("POST", INCIDENTS, json={})
    asked = len(stub.asked)

    stub.script = [used_up(1800, "reading"), fine("")]
    for path in (INCIDENTS, ONE, f"{INCIDENTS}/{'b' * 32}"):
        with pytest.raises(RateLimitedError):
            talk.request("GET", path)
    # Which resources a rule counts was learned above.
    assert len(stub.asked) == asked + 1
    talk.request("GET", USERS)
    talk.request("POST", INCIDENTS, json={})
    assert len(stub.asked) == asked + 3


def test_a_limit_without_a_name_holds_for_everything(stub, transport):
    stub.script = [Reply(429, b"", {"Retry-After": "1800"})]
    talk = transport()
    for path in (INCIDENTS, USERS):
        with pytest.raises(RateLimitedError):
            talk.request("GET", path)
    assert len(stub.asked) == 1


def test_when_the_hour_is_over_it_is_asked_again(stub, transport):
    talk = transport(patience_s=0)
    stub.script = [used_up(1800), fine()]
    for _ in range(2):
        with pytest.raises(RateLimitedError):
            talk.request("GET", INCIDENTS)
    talk.slept.append(1799)
    with pytest.raises(RateLimitedError) as caught:
        talk.request("GET", INCIDENTS)
    assert caught.value.retry_after == 1
    talk.slept.append(1)
    assert talk.request("GET", INCIDENTS).result == []
    assert len(stub.asked) == 2


def test_a_rule_that_lets_somebody_through_again_is_not_waited_for(stub, transport):
    """An administrator has changed it: it counts anew."""
    talk = transport(patience_s=0)
    stub.script = [fine(), used_up(1800), fine(), fine()]
    talk.request("GET", INCIDENTS)
    with pytest.raises(RateLimitedError):
        talk.request("GET", INCIDENTS)
    talk.request("POST", INCIDENTS, json={})
    assert talk.request("GET", INCIDENTS).result == []


def test_threads_that_wait_for_a_rule_ask_once_each_when_it_allows_them_again(stub, config):
    forget_limits()
    stub.script = [used_up(1), fine()]
    with Transport(config(max_concurrency=1)) as talk:
        threads = [threading.Thread(target=talk.request, args=("GET", INCIDENTS)) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(stub.asked) == 7


def test_a_busy_instance_is_asked_more_and_more_slowly_and_then_at_once_again():
    now = [0.0]
    limits = Limits(clock=lambda: now[0])

    def waits(count):
        return [limits.turn_s() for _ in range(count)]

    assert waits(3) == [0, 0, 0]
    limits.learn("GET", INCIDENTS, 429, {})
    assert waits(3) == [0.25, 0.5, 0.75]
    limits.learn("GET", USERS, 429, {"Retry-After": "nonsense"})
    assert waits(2) == [1.0, 1.5]
    now[0] = 100
    assert waits(2) == [0, 0.5]
    for _ in range(20):
        limits.learn("GET", INCIDENTS, 429, {})
    now[0] = 1000
    assert waits(2) == [0, 8.0]
    for _ in range(7):
        limits.learn("GET", INCIDENTS, 404, {})
    assert waits(3) == [0, 0, 0]


def test_a_bare_429_makes_all_threads_slow_down(stub, transport):
    talk = transport()
    stub.script = [BARE, fine()]
    talk.request("GET", INCIDENTS)
    talk.slept.clear()
    stub.script = [BARE] * 4 + [fine()]
    with pytest.raises(RateLimitedError):
        talk.request("GET", INCIDENTS)
    before = len(talk.slept)
    talk.request("GET", USERS)
    assert 0 < talk.slept[before] <= 8, "the next request, of whichever thread, waits for its turn"


def test_a_write_whose_turn_comes_too_late_was_not_sent(stub, config):
    limits = Limits(clock=lambda: 0.0)
    for _ in range(9):
        limits.learn("GET", INCIDENTS, 429, {})
    with (
        Transport(config(timeout_s=3), limits=limits) as talk,
        pytest.raises(RateLimitedError, match="busy") as caught,
    ):
        talk.request("POST", INCIDENTS, json={})
    assert caught.value.retry_after > 1.5
    assert stub.asked == []


def test_a_forked_process_learns_for_itself(stub, config):
    forget_limits()
    stub.script = [used_up(1800), fine()]
    with Transport(config()) as talk:
        with pytest.raises(RateLimitedError):
            talk.request("GET", INCIDENTS)
        child = multiprocessing.get_context("fork").Process(
            target=talk.request, args=("GET", INCIDENTS), daemon=True
        )
        child.start()
        child.join(20)
    assert child.exitcode == 0
    assert len(stub.asked) == 2
