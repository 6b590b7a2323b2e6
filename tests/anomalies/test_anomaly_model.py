from __future__ import annotations

import hashlib
import json
import string
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone

import pendulum
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from airflow_provider_servicenow_dq.anomalies.model import (
    Anomaly,
    Kind,
    Severity,
    Status,
    anomaly_key,
    correlation_id,
    occurrence_id,
    source_name,
)
from airflow_provider_servicenow_dq.exceptions import AnomalyFormatError

DATASET = {"source": "custom", "dataset": "nyc.flights", "check_name": "dep_time not null"}

# The separator of the hashed parts and its escape are what could glue two parts together.
parts = st.text(alphabet="ab\\\x1f", max_size=5).map("a{}".format)
names = st.text(
    alphabet=st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=40
).filter(str.strip)
times = st.datetimes(
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))]), allow_imaginary=False
)


def make(**fields):
    return Anomaly.model_validate({**DATASET, **fields})


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


def test_the_fingerprint_is_the_documented_hash_and_must_never_change():
    text = "1\x1fcustom\x1f\x1fnyc.flights\x1fdep_time not null"
    assert make().fingerprint == hashlib.sha256(text.encode()).hexdigest()[:32]
    by_partition = make(partition_key="JFK", source_instance="east").fingerprint
    text = "1\x1fcustom\x1feast\x1fnyc.flights\x1fdep_time not null\x1fJFK"
    assert by_partition == hashlib.sha256(text.encode()).hexdigest()[:32]


@pytest.mark.parametrize(
    "change",
    [
        {"dataset": "nyc.planes"},
        {"check_id": "another"},
        {"source": "soda"},
        {"source_instance": "east"},
        {"partition_key": "2013-02-08"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_another_problem_has_another_key(change):
    assert anomaly_key(make(**change)) != anomaly_key(make())


@pytest.mark.parametrize(
    "change",
    [
        {"check_name": "renamed", "check_id": "dep_time not null"},
        {"kind": "check_error"},
        {"severity": "critical"},
        {"status": "resolved"},
        {"detected_at": "2026-01-01T00:00:00Z"},
        {"failed_count": 3, "total_count": 4, "observed": "3", "expected": "0"},
        {"message": "another text"},
        {"external_id": "42"},
        {"tags": ["gold"], "owner": "me", "url": "https://example.org"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_the_same_problem_keeps_its_key_whatever_else_is_reported(change):
    assert anomaly_key(make(**change)) == anomaly_key(make())


def test_the_same_problem_in_another_namespace_is_another_one():
    keys = {anomaly_key(make(), namespace) for namespace in ("", "dev", "prod")}
    assert len(keys) == 3


@settings(max_examples=200)
@example(left=("a\x1fb", "c", "d"), right=("a", "b\x1fc", "d"))
@example(left=("a\x1f", "c", "d"), right=("a\\u001f", "c", "d"))
@given(left=st.tuples(parts, parts, parts), right=st.tuples(parts, parts, parts))
def test_parts_cannot_be_glued_into_the_same_key(left, right):
    keys = [
        anomaly_key(make(source_instance=instance, dataset=dataset, check_id=check))
        for instance, dataset, check in (left, right)
    ]
    assert (keys[0] == keys[1]) == (left == right)


def test_shifting_a_character_between_dataset_and_check_changes_the_key():
    assert anomaly_key(make(dataset="ab", check_id="c")) != anomaly_key(make(dataset="a", check_id="bc"))


@pytest.mark.parametrize("source", ["qualytics", "datadog"])
def test_an_object_of_its_source_is_known_by_its_id_alone(source):
    anomaly = make(source=source, external_id=824)
    moved = make(source=source, external_id="824", dataset="elsewhere", check_id="another")
    assert anomaly_key(anomaly) == anomaly_key(moved)
    assert anomaly_key(anomaly) != anomaly_key(make(source=source, external_id=825))
    assert anomaly_key(anomaly, "dev") != anomaly_key(anomaly)


def test_an_object_without_an_id_is_known_by_its_fingerprint():
    assert anomaly_key(make(source="qualytics")) != anomaly_key(make(source="qualytics", dataset="elsewhere"))


def test_a_given_fingerprint_is_kept():
    assert make(fingerprint="0" * 32).fingerprint == "0" * 32


def test_the_correlation_id_fits_the_column():
    text = correlation_id("a" * 40, anomaly_key(make()))
    assert text.startswith("dq:" + "a" * 40 + ":")
    assert len(text) <= 100


@pytest.mark.parametrize(
    ("source", "key"), [("a" * 41, "0" * 32), ("A", "0" * 32), ("a", "0" * 31), ("a\n", "0" * 32)]
)
def test_a_correlation_id_is_made_of_nothing_else(source, key):
    with pytest.raises(AnomalyFormatError):
        correlation_id(source, key)


@pytest.mark.parametrize(("given", "kept"), [(824, 824), ("824", "824"), ("0824", "0824")])
def test_the_source_gets_its_id_back_as_it_was_given(given, kept):
    anomaly = Anomaly.model_validate(make(external_id=given).model_dump(mode="json"))
    assert anomaly.external_id == str(given)
    assert anomaly.anomaly_id == kept
    assert type(anomaly.anomaly_id) is type(kept)


def test_without_an_id_the_fingerprint_stands_for_it():
    assert make().anomaly_id == make().fingerprint


TASK = {"dag_id": "d", "run_id": "r", "task_id": "t", "map_index": 1}


class TestOccurrence:
    def test_the_time_of_the_source_names_it_whoever_reports_it(self):
        anomaly = make(detected_at="2026-01-22T13:22:40.780346+01:00")
        assert occurrence_id(anomaly, **TASK) == occurrence_id(anomaly)
        assert occurrence_id(anomaly) == "at:2026-01-22T12:22:40.780346+00:00"
        assert occurrence_id(anomaly) != occurrence_id(make(detected_at="2026-01-22T13:22:40Z"))

    @pytest.mark.parametrize("change", [{"dag_id": "x"}, {"run_id": "x"}, {"task_id": "x"}, {"map_index": 2}])
    def test_without_a_time_the_reporting_task_names_it(self, change):
        name = occurrence_id(make(), **TASK)
        assert occurrence_id(make(message="other words"), **TASK) == name
        assert occurrence_id(make(), **{**TASK, **change}) != name

    def test_a_task_that_is_not_mapped_has_one_index(self):
        assert occurrence_id(make(), run_id="r", map_index=-1) == occurrence_id(make(), run_id="r")

    def test_without_a_task_the_content_names_it(self):
        assert occurrence_id(make()) == occurrence_id(
            make(status="acknowledged", comments=[{"body": "seen"}])
        )
        assert occurrence_id(make()) != occurrence_id(make(failed_count=7))

    def test_its_name_is_short(self):
        names = [
            occurrence_id(make(detected_at=1)),
            occurrence_id(make(), **TASK),
            occurrence_id(make()),
        ]
        assert max(map(len, names)) <= 35


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
