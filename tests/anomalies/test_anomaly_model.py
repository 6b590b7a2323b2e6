from __future__ import annotations

import json
import string
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone

import pendulum
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from making_anomalies import make
from pydantic import ValidationError

from airflow_provider_servicenow_dq.anomalies.model import (
    Anomaly,
    Kind,
    Severity,
    Status,
    anomaly_key,
    source_name,
)

names = st.text(
    alphabet=st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=40
).filter(str.strip)
times = st.datetimes(
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))]), allow_imaginary=False
)


@settings(max_examples=60)
@given(
    dataset=names,
    check_name=names,
    message=st.none() | st.text(alphabet=st.characters(codec="utf-8"), max_size=5000),
    kind=st.sampled_from(Kind),
    severity=st.sampled_from(Severity),
    status=st.sampled_from(Status),
    detected_at=st.none() | st.datetimes() | times.filter(lambda t: 1 < t.year < 9999),
    external_id=st.none() | st.integers(min_value=-(10**30), max_value=10**30) | names,
    tags=st.lists(names, max_size=120),
    failed_count=st.none() | st.integers(min_value=0, max_value=2**63 - 1),
)
def test_any_anomaly_survives_json(**fields):
    anomaly = Anomaly(source="custom", **fields) if fields["external_id"] is None else make(**fields)
    text = json.dumps(anomaly.model_dump(mode="json"))
    again = Anomaly.model_validate(json.loads(text))
    assert again == anomaly
    assert anomaly_key(again) == anomaly_key(anomaly)
    assert again.anomaly_id == anomaly.anomaly_id


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("2026-01-22T13:22:40.780346Z", datetime(2026, 1, 22, 13, 22, 40, 780346, UTC)),
        ("2026-01-22 13:22:40+02:00", datetime(2026, 1, 22, 11, 22, 40, tzinfo=UTC)),
        ("2026-01-22T13:22:40", datetime(2026, 1, 22, 13, 22, 40, tzinfo=UTC)),
        (datetime.fromisoformat("2026-01-22T13:00:00"), datetime(2026, 1, 22, 13, tzinfo=UTC)),
        (1769088160780, datetime(2026, 1, 22, 13, 22, 40, 780000, UTC)),
        (pendulum.datetime(2026, 1, 22, 13, tz="Europe/Vienna"), datetime(2026, 1, 22, 12, tzinfo=UTC)),
    ],
)
def test_a_time_becomes_utc(given, kept):
    detected_at = make(detected_at=given).detected_at
    assert detected_at == kept
    assert detected_at.tzinfo is UTC
    assert type(detected_at) is datetime


@pytest.mark.parametrize(
    "bad", [True, float("nan"), float("inf"), "soon", b"x", [], "0001-01-01T00:00:00+14:00"]
)
def test_what_is_no_time_is_refused(bad):
    with pytest.raises(ValidationError):
        make(detected_at=bad)


def test_a_long_text_is_cut_visibly_and_only_once():
    anomaly = make(message="x" * 10_000)
    assert len(anomaly.message) == 4000
    assert anomaly.message.endswith("[cut]")
    assert make(message=anomaly.message).message == anomaly.message
    assert make(message="x" * 4000).message == "x" * 4000


def test_what_cannot_be_stored_or_sent_is_replaced_in_a_text():
    assert make(message="a\x00b\ud800c").message == "a\ufffdb\ufffdc"


def test_of_a_long_list_the_rest_is_counted():
    anomaly = make(failed_checks=[f"check {number}" for number in range(1000)])
    assert len(anomaly.failed_checks) == 100
    assert anomaly.failed_checks[98:] == ["check 98", "… and 901 more"]
    assert Anomaly.model_validate(anomaly.model_dump()) == anomaly


@pytest.mark.parametrize(
    "bad",
    [
        {"source": "Upper"},
        {"source": "a" * 41},
        {"dataset": " "},
        {"dataset": "x" * 513},
        {"dataset": "nul\x00"},
        {"dataset": b"bytes"},
        {"external_id": "x" * 256},
        {"external_id": True},
        {"external_id": 10**5000},
        {"failed_count": -1},
        {"failed_count": float("nan")},
        {"failed_count": 2**63},
        {"failed_unit": "apples"},
        {"severity": "awful"},
        {"kind": "odd"},
        {"status": "gone"},
        {"fingerprint": "abc"},
        {"tags": "finance"},
        {"check_id": "\ud800"},
        {"unheard_of": 1},
    ],
    ids=lambda bad: next(iter(bad)),
)
def test_a_value_that_is_not_one_is_refused_at_birth(bad):
    with pytest.raises(ValidationError):
        make(**bad)


def test_an_anomaly_cannot_be_changed():
    with pytest.raises(ValidationError):
        make().severity = Severity.LOW


def test_words_are_read_in_any_case():
    anomaly = make(severity="HIGH", status="Resolved", kind="Check_Error")
    assert (anomaly.severity, anomaly.status, anomaly.kind) == ("high", "resolved", "check_error")


def test_the_rank_orders_severities():
    assert sorted(Severity, key=lambda severity: severity.rank) == [
        "info",
        "low",
        "medium",
        "high",
        "critical",
    ]


@pytest.mark.parametrize(
    ("status", "is_open"),
    [("active", True), ("acknowledged", True), ("resolved", False), ("duplicate", False), ("invalid", False)],
)
def test_an_archived_anomaly_is_not_open(status, is_open):
    assert make(status=status).is_open is is_open


def test_a_comment_counts_once_for_each_id_and_without_one_for_each_content():
    comments = [
        {"id": 1, "body": "first"},
        {"id": "1", "body": "first again"},
        {"body": "no id", "author": "a", "created_at": "2026-01-22T13:22:40Z"},
        {"body": "no id", "author": "a", "created_at": "2026-01-22T13:22:40Z"},
        {"body": "no id", "author": "b", "created_at": "2026-01-22T13:22:40Z"},
    ]
    kept = make(comments=comments).comments
    assert [(comment.author, comment.body) for comment in kept] == [
        (None, "first"),
        ("a", "no id"),
        ("b", "no id"),
    ]
    assert make(comments=comments) == Anomaly.model_validate(make(comments=comments).model_dump(mode="json"))


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("qualytics", "Qualytics"),
        ("dbt", "dbt"),
        ("great_expectations", "Great Expectations"),
        ("airflow_sql", "Airflow SQL"),
        ("custom", "Custom"),
        ("my_own.tool", "My Own Tool"),
        ("...", "..."),
    ],
)
def test_a_source_is_written_as_people_write_it(source, name):
    assert source_name(source) == name


@settings(max_examples=50)
@given(st.text(alphabet=string.ascii_lowercase + string.digits + "_.", min_size=1, max_size=40))
def test_every_source_has_a_name_to_show(source):
    assert source_name(source).strip()


def test_reading_anomalies_needs_neither_airflow_nor_a_client():
    program = """
import sys, airflow_provider_servicenow_dq.anomalies.reading
heavy = {"airflow", "requests", "sqlalchemy", "alembic", "authlib", "jinja2", "pendulum", "pandas"}
sys.exit(",".join(heavy & {name.partition(".")[0] for name in sys.modules}) or None)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
