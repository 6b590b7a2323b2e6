"""Checks that passed are known by the key that their anomalies would have, whatever the tool."""

from __future__ import annotations

import copy
import gc
import tracemalloc

import pytest

from airflow_provider_servicenow_dq.anomalies.model import Anomaly, Pass, anomaly_key, occurrence_id
from airflow_provider_servicenow_dq.anomalies.reading import read_report
from airflow_provider_servicenow_dq.exceptions import AnomalyFormatError

OUTCOMES = {"fail": "pass", "warn": "pass", "FAILED": "PASSED"}
DBT = {"fail": "pass", "error": "pass", "warn": "pass"}
REAL = {
    "airflow-callback-sql_check": {"dag_id": "d", "task_id": "t"},
    "airflow-callback-sql_column_check": {},
    "airflow-callback-sql_table_check": {},
    "airflow-xcom-gx_validate_dataframe": {"dataset": "nyc.flights"},
    "dbt-test-run_results": {},
    "gx-flights-checkpoint-describe": {"dataset": "nyc.flights"},
    "gx-flights-validation-summary": {},
    "soda3-flights-scan": {},
    "soda4-flights-contract": {},
}


def all_of(value, *, passed):
    """Let every check that ran have passed, or failed; a task of which all checks passed has not failed."""
    if isinstance(value, list):
        return [all_of(item, passed=passed) for item in value]
    if not isinstance(value, dict):
        return value
    words = dict(OUTCOMES if passed else {"pass": "fail", "PASSED": "FAILED"})
    statuses = DBT if passed else {"pass": "fail"}
    changed = {}
    for key, item in value.items():
        if key == "success" and isinstance(item, bool):
            changed[key] = passed
        elif key == "outcome":
            changed[key] = words.get(item, item)
        elif key == "status" and "unique_id" in value:
            changed[key] = statuses.get(item, item)
        elif key == "exception":
            changed[key] = None
        else:
            changed[key] = all_of(item, passed=passed)
    return changed


@pytest.mark.parametrize("name", REAL)
def test_a_pass_has_the_key_and_the_occurrence_of_the_anomaly_in_its_place(payload, name):
    found, options = payload(name), REAL[name]

    failed = read_report(all_of(found, passed=False), options=options)
    passed = read_report(all_of(found, passed=True), options=options)

    assert passed.anomalies == []
    assert len(passed.passes) == passed.passed == len(failed.anomalies) > 0
    assert [anomaly_key(each) for each in passed.passes] == [anomaly_key(each) for each in failed.anomalies]
    runs = {"dag_id": "d", "run_id": "r", "task_id": "t"}
    assert [occurrence_id(each, **runs) for each in passed.passes] == [
        occurrence_id(each, **runs) for each in failed.anomalies
    ]


@pytest.mark.parametrize("name", REAL)
def test_a_real_report_names_as_many_passes_as_it_counts(payload, name):
    report = read_report([payload(name)], options=REAL[name])

    assert len(report.passes) == report.passed
    assert not {each.fingerprint for each in report.passes} & {each.fingerprint for each in report.anomalies}


def test_with_a_manifest_a_dbt_test_keeps_its_key(payload):
    options = {"manifest": payload("dbt-manifest-trimmed")}
    found = payload("dbt-test-run_results")

    failed = read_report(all_of(found, passed=False), options=options)
    passed = read_report(all_of(found, passed=True), options=options)

    assert [each.fingerprint for each in passed.passes] == [each.fingerprint for each in failed.anomalies]


def test_a_dbt_model_that_was_built_stands_against_its_failure_and_is_no_check(payload):
    found = payload("dbt-test-run_results")
    found["results"] = [{**found["results"][0], "unique_id": "model.nyc.flights", "status": "error"}]
    built = copy.deepcopy(found)
    built["results"][0]["status"] = "success"

    (anomaly,), report = read_report(found).anomalies, read_report(built)

    assert [each.fingerprint for each in report.passes] == [anomaly.fingerprint]
    assert report.passed == 0


def test_what_was_skipped_is_no_pass(payload):
    found = payload("dbt-test-run_results")
    found["results"] = [{**result, "status": "skipped"} for result in found["results"]]

    assert read_report(found).passes == []


@pytest.mark.parametrize("status", ["passed", "Passed"])
def test_a_dict_of_ones_own_says_that_its_check_passed(status):
    own = {"dataset": "sales", "check_name": "nulls", "source": "own_tool", "external_id": 7}

    report = read_report([{**own, "status": status, "detected_at": "2026-01-05T00:00:00Z"}, own])

    (passed,), (anomaly,) = report.passes, report.anomalies
    assert (report.passed, anomaly_key(passed)) == (1, anomaly_key(anomaly))
    assert passed.detected_at.isoformat() == "2026-01-05T00:00:00+00:00"


def test_a_dict_of_ones_own_that_passed_is_read_as_strictly_as_any():
    with pytest.raises(AnomalyFormatError, match="did you mean 'check_name'"):
        read_report({"dataset": "sales", "check_nam": "nulls", "source": "custom", "status": "passed"})


def test_an_object_that_passed_is_known_by_its_id():
    seen = Anomaly(source="qualytics", external_id="824", dataset="d", check_name="c")

    assert anomaly_key(Pass.of(seen), "ns") == anomaly_key(seen, "ns")


def test_a_pass_that_does_not_say_of_which_check_is_counted_and_stands_against_nothing():
    nameless = {"name": "not null", "check_type": "not_null", "success": True}

    report = read_report(nameless)

    assert (report.passed, report.passes) == (1, [])


def test_without_time_and_task_two_passes_of_a_check_are_the_same():
    one, other = (Pass("custom", digit * 32) for digit in "ab")

    assert occurrence_id(one) == occurrence_id(one) != occurrence_id(other)


def test_many_passes_take_little_room(payload):
    found = payload("gx-flights-validation-summary")
    result = {**next(each for each in found["results"] if each["success"]), "result": {"observed": "x" * 100}}
    config = result["expectation_config"]
    found["results"] = [
        {**result, "expectation_config": {**config, "kwargs": {"column": f"c{number}"}}}
        for number in range(2000)
    ]
    tracemalloc.start()
    report = read_report(found)
    gc.collect()
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()

    assert len(report.passes) == 2000
    assert kept / 2000 < 300
