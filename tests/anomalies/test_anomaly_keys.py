from __future__ import annotations

import hashlib

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from making_anomalies import make

from airflow_provider_servicenow_dq.anomalies.model import Anomaly, anomaly_key, correlation_id, occurrence_id
from airflow_provider_servicenow_dq.exceptions import AnomalyFormatError

TASK = {"dag_id": "d", "run_id": "r", "task_id": "t", "map_index": 1}

# The separator of the hashed parts and its escape are what could glue two parts together.
parts = st.text(alphabet="ab\\\x1f", max_size=5).map("a{}".format)


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
