"""The texts of tickets, letter for letter."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_servicenow_dq.anomalies.model import Anomaly
from airflow_provider_servicenow_dq.anomalies.reading import read_report
from airflow_provider_servicenow_dq.tickets import notes

PAYLOADS = Path(__file__).parent.parent / "payloads"
NOW = datetime(2026, 1, 23, 19, 51, 23, tzinfo=UTC)


def payload(name):
    return json.loads((PAYLOADS / f"{name}.json").read_text(encoding="utf-8"))


def anomaly(**fields):
    return Anomaly(
        **{
            "source": "custom",
            "dataset": "nyc.flights",
            "check_name": "dep_time not null",
            "severity": "high",
            "fingerprint": "f" * 32,
            **fields,
        }
    )


def test_a_qualytics_anomaly_is_described_in_the_words_of_the_seed():
    seed = payload("qualytics-seed-anomaly824-ticket")["create_ticket_response"]
    found = Anomaly(
        source="qualytics",
        external_id=seed["anomaly_id"],
        dataset="db.orders",
        check_name="max_value within limits",
        type="record",
        status="acknowledged",
        detected_at=datetime(2026, 1, 22, 13, 22, 40, 780346, tzinfo=UTC),
        failed_checks=["The field 'max_value' has a value that falls outside the declared limits"],
        url="https://your-qualytics-instance.qualytics.io/datastores/23/anomalies?id=824",
    )

    assert notes.details(found, now=NOW) == seed["ticket"]["description"]


def test_another_source_says_its_circumstances_too():
    found = anomaly(
        columns=["dep_time", "origin"],
        expected="no nulls",
        observed="221 nulls",
        failed_count=221,
        total_count=3000,
        failed_unit="rows",
        owner="Data Platform",
        message="dep_time is null",
        url="https://dq.example/1",
    )

    assert notes.details(found, now=NOW) == (
        "## Custom Anomaly Linked [2026-01-23 19:51:23 UTC]\n\n"
        f"**Anomaly ID:** {'f' * 32}\n**Status:** Active\n**Type:** check_failed\n\n"
        "**Dataset:** nyc.flights\n**Columns:** dep_time, origin\n**Severity:** High\n"
        "**Expected:** no nulls\n**Observed:** 221 nulls\n**Failed:** 221 of 3000 rows\n"
        "**Owner:** Data Platform\n\n"
        "**Failed Checks:**\n- dep_time not null: dep_time is null\n\n"
        "**View in Custom:** https://dq.example/1\n"
    )


def test_what_is_not_known_is_not_mentioned():
    assert notes.details(anomaly(), now=NOW) == (
        "## Custom Anomaly Linked [2026-01-23 19:51:23 UTC]\n\n"
        f"**Anomaly ID:** {'f' * 32}\n**Status:** Active\n**Type:** check_failed\n\n"
        "**Dataset:** nyc.flights\n**Severity:** High\n\n"
        "**Failed Checks:**\n- dep_time not null\n"
    )


def test_a_count_of_nothing_is_still_a_count():
    assert "**Failed:** 0\n" in notes.details(anomaly(failed_count=0), now=NOW)


def test_a_dbt_failure_tells_which_test_of_which_model_failed_on_how_many_rows():
    first = read_report(
        payload("dbt-test-run_results"), options={"manifest": payload("dbt-manifest-trimmed")}
    )
    found = next(each for each in first.anomalies if each.kind == "check_failed" and each.failed_count)

    text = notes.details(found, now=NOW)

    assert text.startswith("## dbt Anomaly Linked [2026-01-23 19:51:23 UTC]\n\n**Anomaly ID:** ")
    assert f"**Dataset:** {found.dataset}\n" in text
    assert f"**Failed:** {found.failed_count}" in text
    assert f"**Severity:** {found.severity.capitalize()}\n" in text
    assert f"**Failed Checks:**\n- {found.check_name}" in text


def test_a_great_expectations_failure_tells_its_columns_and_counts():
    report = read_report(payload("gx-flights-validation-summary"))
    found = next(each for each in report.anomalies if each.columns and each.failed_count)

    text = notes.details(found, now=NOW)

    assert text.startswith("## Great Expectations Anomaly Linked ")
    assert f"**Columns:** {', '.join(found.columns)}\n" in text
    assert f"**Failed:** {found.failed_count} of {found.total_count}" in text


def test_a_failed_sql_check_tells_what_was_expected_and_what_was_there():
    report = read_report(payload("airflow-callback-sql_column_check"))
    found = next(each for each in report.anomalies if each.check_name == "dep_time.null_check")

    text = notes.details(found, now=NOW)

    assert text.startswith("## Airflow SQL Anomaly Linked ")
    assert "**Dataset:** flights\n**Columns:** dep_time\n" in text
    assert "**Expected:** 0\n**Observed:** 8255\n" in text


def test_a_check_that_could_not_run_says_so():
    report = read_report(payload("airflow-callback-sql_check_broken"), options={"dataset": "flights"})
    (found,) = report.anomalies

    text = notes.details(found, now=NOW)

    assert "**Type:** check_error\n" in text
    assert "- (the check could not run) " in text
    assert "no such table: no_such_table" in text


def test_of_many_failed_checks_ten_are_listed_and_the_rest_is_counted():
    text = notes.details(anomaly(failed_checks=[f"check\n{number}" for number in range(13)]), now=NOW)

    assert "- check 9\n- and 3 more\n" in text
    assert "check 10" not in text


def test_rows_are_told_when_they_were_asked_for_and_only_then():
    document = payload("gx-flights-validation-summary")
    told = {}
    for asked in ({}, {"samples": 2}, {"samples": True}):
        report = read_report(document, source="great_expectations", options=asked)
        told[len(asked) and asked["samples"]] = notes.details(report.anomalies[3], now=NOW)

    assert "EWR" not in told[0]
    assert told[2].endswith("**Samples:**\n- EWR\n- EWR\n")
    assert told[True].count("- EWR") == 10


def test_times_are_told_in_utc_whatever_zone_they_came_in():
    new_york = timezone(timedelta(hours=-5))
    found = anomaly(detected_at=datetime(2026, 1, 5, 7, 0, tzinfo=new_york))

    text = notes.details(found, now=NOW.astimezone(new_york))

    assert "[2026-01-23 19:51:23 UTC]" in text
    assert "**Detected:** 2026-01-05 12:00:00+00:00\n" in text


def test_the_link_back_to_the_source_survives_texts_of_any_length():
    found = anomaly(failed_checks=["x" * 4000] * 10, message="m" * 4000, url="https://dq.example/1")

    text = notes.details(found, now=NOW)

    assert len(text) <= 4000
    assert "[…]" in text
    assert text.endswith("**View in Custom:** https://dq.example/1\n")


_texts = st.text(max_size=30) | st.integers(min_value=3000, max_value=5000).map(
    lambda length: "ab [code]" * length
)


@settings(max_examples=60, deadline=None)
@given(message=_texts, observed=_texts, checks=st.lists(_texts, max_size=12), url=_texts)
def test_every_text_fits_its_column_and_holds_no_markup(message, observed, checks, url):
    found = anomaly(message=message, observed=observed, failed_checks=checks, url=url)

    texts = [
        notes.details(found, now=NOW),
        notes.repeat_note(found, now=NOW, seen=2, reason="seen again"),
        notes.reopen_note(found, now=NOW, number="INC0010001"),
        *notes.member_pages([found] * 40, namespace="", heading="40 anomalies", now=NOW, first=True),
    ]

    assert max(map(len, texts)) <= 4000
    assert not any("[code]" in text.lower() for text in texts)


def test_a_repeat_says_how_often_when_and_how_bad():
    found = anomaly(
        detected_at=datetime(2026, 1, 5, 12, tzinfo=UTC),
        observed="3 nulls",
        expected="none",
        message="Look:\nhere",
    )

    assert notes.repeat_note(found, now=NOW, seen=4, reason="keeps being seen") == (
        "[2026-01-23 19:51:23 UTC] Custom Anomaly keeps being seen, 4 times by now\n"
        "dep_time not null, on nyc.flights, detected 2026-01-05 12:00:00 UTC, severity high, "
        "observed 3 nulls, expected none\nLook:\nhere"
    )


def test_a_reopening_names_the_ticket_that_was_resolved():
    assert notes.reopen_note(anomaly(), now=NOW, number="INC0010001") == (
        "[2026-01-23 19:51:23 UTC] Custom Anomaly seen again after INC0010001 was resolved: reopened\n"
        "dep_time not null, on nyc.flights, severity high"
    )


def test_a_list_of_anomalies_names_each_with_its_mark():
    members = [
        anomaly(message="a\nb", fingerprint="1" * 32),
        anomaly(check_name="other", fingerprint="2" * 32),
    ]

    (page,) = notes.member_pages(members, namespace="", heading="2 anomalies", now=NOW, first=True)

    marks = [notes.member_mark(member, "") for member in members]
    assert page == (
        "## 2 anomalies [2026-01-23 19:51:23 UTC]\n"
        f"- high: dep_time not null on nyc.flights: a b ({marks[0]})\n"
        f"- high: other on nyc.flights ({marks[1]})"
    )
    assert marks[0] != marks[1] != notes.member_mark(members[1], "prod")


def test_further_pages_of_a_list_are_notes_with_their_time_in_front():
    members = [
        anomaly(check_name=f"check {number}" + "x" * 400, fingerprint=f"{number:032x}")
        for number in range(30)
    ]

    pages = notes.member_pages(members, namespace="", heading="30 anomalies", now=NOW, first=False)

    assert len(pages) > 1
    assert all(page.startswith("[2026-01-23 19:51:23 UTC] 30 anomalies\n- ") for page in pages)
    whole = "\n".join(pages)
    assert [whole.count(notes.member_mark(member, "")) for member in members] == [1] * 30


@pytest.mark.parametrize("length", [1, 512])
def test_the_longest_names_leave_every_mark_whole(length):
    member = anomaly(check_name="c" * length, dataset="d" * length, message="m" * 4000)

    (page,) = notes.member_pages([member], namespace="", heading="h" * 600, now=NOW, first=True)

    assert notes.member_mark(member, "") in page
