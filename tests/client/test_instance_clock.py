"""The instance's clock, measured by the way."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_servicenow_dq.client.clock import InstanceClock
from airflow_provider_servicenow_dq.client.config import InstanceConfig
from airflow_provider_servicenow_dq.client.table import TableApi
from airflow_provider_servicenow_dq.client.transport import Transport

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
_seconds = st.floats(0, 60).map(lambda seconds: timedelta(seconds=seconds))


def ask(clock, at, *, ahead, there, back):
    """Ask an instance whose clock is ahead; its answer takes its time both ways."""
    says = format_datetime((at + there + ahead).replace(microsecond=0), usegmt=True)
    clock.learn(says, sent=at, received=at + there + back)


@settings(deadline=None)
@given(
    st.floats(-600, 600).map(lambda seconds: timedelta(seconds=seconds)),
    st.lists(st.tuples(_seconds, _seconds), min_size=1, max_size=5),
)
def test_the_instance_is_never_thought_less_ahead_than_it_is_unless_its_clock_may_be_ours(ahead, trips):
    clock = InstanceClock()
    for number, (there, back) in enumerate(trips):
        ask(clock, NOON + timedelta(minutes=number, seconds=number / 7), ahead=ahead, there=there, back=back)

    quickest = min(there for there, _ in trips)
    slowest = max(there + back for there, back in trips)
    if clock.ahead:
        assert ahead <= clock.ahead <= ahead + quickest + timedelta(seconds=1)
    else:
        assert abs(ahead) <= slowest + timedelta(seconds=1)


@settings(deadline=None)
@given(st.lists(st.tuples(_seconds, _seconds), min_size=1, max_size=5))
def test_a_clock_like_ours_is_taken_for_ours_however_slow_the_answers(trips):
    clock = InstanceClock()
    for number, (there, back) in enumerate(trips):
        ask(clock, NOON + timedelta(seconds=100 * number), ahead=timedelta(), there=there, back=back)
    assert clock.ahead == timedelta()


def test_a_clock_that_was_set_is_measured_anew():
    clock = InstanceClock()
    instant = timedelta()
    ask(clock, NOON, ahead=timedelta(minutes=5), there=instant, back=instant)
    ask(clock, NOON, ahead=timedelta(), there=instant, back=instant)
    assert clock.ahead == timedelta()


@pytest.mark.parametrize("date", [None, "", "yesterday", "Mon, 99 Jan 2026 12:00:00 GMT"])
def test_without_a_date_the_clock_is_taken_for_ours(date):
    clock = InstanceClock()
    clock.learn(date, sent=NOON, received=NOON)
    assert clock.ahead == timedelta()


@pytest.mark.parametrize("minutes", [-5, 0, 5])
def test_every_answer_tells_the_clock_refusals_too(sandbox, minutes):
    sandbox.configure(clock_offset_s=60 * minutes)
    config = InstanceConfig(sandbox.url, login="svc_airflow", password="wrong")
    with Transport(config, patience_s=0) as transport:
        with pytest.raises(Exception, match="401"):
            TableApi(transport).first_page("incident", {}, limit=1)
        assert abs(transport.clock.ahead - timedelta(minutes=minutes)) < timedelta(seconds=10)
