from __future__ import annotations

import json

import pytest
from gx_flights import FLIGHTS, expectation_of, keys

from airflow_provider_servicenow_dq.anomalies import great_expectations
from airflow_provider_servicenow_dq.anomalies.model import anomaly_key
from airflow_provider_servicenow_dq.exceptions import AnomalyFormatError


def test_the_full_form_says_everything(full):
    report = great_expectations.read(full)
    assert [
        (expectation_of(a), a.columns, a.kind, a.severity, a.failed_count, a.observed)
        for a in report.anomalies
    ] == FLIGHTS
    assert (report.passed, report.not_run) == (1, 0)
    assert {(a.dataset, a.detected_at.isoformat(), *a.tags) for a in report.anomalies} == {
        ("nyc.flights", "2026-11-21T23:22:22.725439+00:00", "suite:flights_quality")
    }
    not_null = report.anomalies[1]
    assert (not_null.owner, not_null.total_count, not_null.failed_unit) == ("flight-ops", 336776, "rows")
    assert not_null.check_name == "expect_column_values_to_not_be_null (dep_time)"
    assert not_null.message == "8255 of 336776 values are unexpected"
    assert report.anomalies[2].expected == "max_value=300, min_value=-60, mostly=0.9999"
    assert report.anomalies[4].expected == r"regex=^N\d{3,5}[A-Z]{0,2}$"


def test_what_could_not_run_says_why(full):
    error = great_expectations.read(full).anomalies[0]
    assert error.message == 'Error: The column "no_such_col" in BatchData does not exist.'


def test_a_flat_exception_is_an_error_as_well(full):
    info = {"raised_exception": True, "exception_message": "no connection", "exception_traceback": "…"}
    full["results"] = [{**full["results"][1], "exception_info": info, "result": {}}]
    (anomaly,) = great_expectations.read(full).anomalies
    assert (anomaly.kind, anomaly.message) == ("check_error", "no connection")


def test_the_reduced_form_keeps_what_it_has(described):
    report = great_expectations.read(described, dataset="nyc.flights")
    assert [(expectation_of(a), a.columns, a.failed_count, a.observed) for a in report.anomalies] == [
        (expectation, columns, failed, observed) for expectation, columns, _, _, failed, observed in FLIGHTS
    ]
    assert report.passed == 1
    # Lost by describe(): severity, time, suite, and that the first one could not run.
    assert {(a.severity, a.detected_at, *a.tags) for a in report.anomalies} == {("medium", None)}
    assert report.anomalies[0].kind == "check_failed"


def test_the_xcom_of_the_operator_is_read(xcom):
    report = great_expectations.read(xcom, dataset="penguins", suite="nightly")
    assert [(a.check_id, a.failed_count, a.total_count) for a in report.anomalies] == [
        ('expect_column_values_to_be_between(column="nope", max_value=1, min_value=0)', None, None),
        ('expect_column_values_to_not_be_null(column="sex")', 11, 344),
        ('expect_column_values_to_be_unique(column="individual_id")', 268, 344),
    ]
    assert report.passed == 1
    assert {(a.dataset, *a.tags) for a in report.anomalies} == {("penguins", "suite:nightly")}


def test_the_validations_of_a_checkpoint_are_about_a_dataset_each(described):
    described["validation_results"] *= 2
    report = great_expectations.read(described, dataset=["nyc.flights", "nyc.planes"])
    assert [a.dataset for a in report.anomalies] == ["nyc.flights"] * 10 + ["nyc.planes"] * 10
    assert len(set(keys(report))) == 20
    for wrong in ("nyc.flights", ["nyc.flights"], ["a", "b", "c"]):
        with pytest.raises(AnomalyFormatError, match="holds 2 validations"):
            great_expectations.read(described, dataset=wrong)


def test_long_texts_are_cut_with_a_mark(full):
    info = {"raised_exception": True, "exception_message": "m" * 10**7, "exception_traceback": ""}
    full["results"] = [{**full["results"][1], "exception_info": {"k" * 10**6: info}}]
    (anomaly,) = great_expectations.read(full).anomalies
    assert len(anomaly.message) == 4000
    assert anomaly.message.endswith("… [cut]")


def test_values_that_are_no_rows_are_not_counted_as_rows(full):
    # As expect_column_distinct_values_to_be_in_set reports in GX 1.24.
    full["results"][3]["result"] = {
        "observed_value": None,
        "unexpected_count": 1,
        "partial_unexpected_list": ["z"],
    }
    anomaly = great_expectations.read(full).anomalies[3]
    assert (anomaly.failed_count, anomaly.failed_unit, anomaly.message) == (
        1,
        "values",
        "1 values are unexpected",
    )


def test_the_severity_that_the_reduced_form_has_lost_can_be_given(full, described):
    report = great_expectations.read(described, dataset="nyc.flights", severity="critical")
    assert {a.severity for a in report.anomalies} == {"critical"}
    assert [a.severity for a in great_expectations.read(full, severity="info").anomalies] == [
        severity for _, _, _, severity, _, _ in FLIGHTS
    ]


def test_the_result_of_one_expectation_is_read(full, xcom):
    (one,) = great_expectations.read(full["results"][3], dataset="nyc.flights").anomalies
    assert anomaly_key(one) == keys(great_expectations.read(full))[3]
    (reduced,) = great_expectations.read(xcom["expectations"][1], dataset="penguins").anomalies
    assert reduced.failed_count == 11
    assert great_expectations.recognises(full["results"][3])
    assert great_expectations.recognises(xcom["expectations"][1])


def test_a_file_is_read_like_its_document(full, tmp_path):
    path = tmp_path / "result.json"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(full).encode())
    expected = great_expectations.read(full)
    assert great_expectations.read(path) == great_expectations.read(str(path)) == expected
