"""Passes in a row, whatever the order in which they and failures are heard of."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_servicenow_dq.anomalies.model import Anomaly
from airflow_provider_servicenow_dq.store import anomalies, passes, schema
from airflow_provider_servicenow_dq.store.anomalies import Sighting
from airflow_provider_servicenow_dq.store.passes import Passing, Streak
from airflow_provider_servicenow_dq.store.store import Store

BEGIN = datetime(2026, 1, 5, tzinfo=UTC)
HOURS = st.lists(st.tuples(st.booleans(), st.integers(0, 12)), max_size=12)


def at(hour):
    return BEGIN + timedelta(hours=hour)


def sighting(hour, key="k" * 32):
    seen = Anomaly(source="custom", dataset="d", check_name="c", detected_at=at(hour))
    return Sighting(key, f"at:{hour}", seen)


@given(HOURS)
@settings(max_examples=60, deadline=None)
def test_a_streak_is_what_passed_after_the_last_failure(events):
    with Store("sqlite://").begin() as connection:
        schema.metadata.create_all(connection)
        for has_passed, hour in events:
            if has_passed:
                passes.remember(connection, [Passing("k" * 32, f"at:{hour}", at(hour))])
            else:
                anomalies.remember(connection, [sighting(hour)], now=at(99))
            passes.streaks(connection, ["k" * 32])
        found = passes.streaks(connection, ["k" * 32])

    failures = [hour for has_passed, hour in events if not has_passed]
    good = sorted({hour for has_passed, hour in events if has_passed and failures and hour > max(failures)})
    expected = {"k" * 32: Streak(at(max(failures)), len(good), at(good[0]), at(good[-1]))} if good else {}
    assert found == expected


def test_streaks_of_many_anomalies_do_not_mix(store):
    keys = [f"{number:032x}" for number in range(3)]
    with store.begin() as connection:
        anomalies.remember(connection, [sighting(hour, key) for hour, key in enumerate(keys)], now=at(99))
        passes.remember(connection, [Passing(key, "at:1", at(1)) for key in keys])

        found = passes.streaks(connection, keys)

    assert {key: streak.since for key, streak in found.items()} == {keys[0]: at(0)}


def test_a_streak_ends_when_the_anomaly_is_seen_again(store):
    with store.begin() as connection:
        anomalies.remember(connection, [sighting(0)], now=at(99))
        passes.remember(connection, [Passing("k" * 32, "at:1", at(1))])
        streak = passes.streaks(connection, ["k" * 32])["k" * 32]
        assert passes.goes_on(connection, "k" * 32, streak)

        anomalies.remember(connection, [sighting(2)], now=at(99))

        assert not passes.goes_on(connection, "k" * 32, streak)
