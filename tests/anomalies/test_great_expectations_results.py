from __future__ import annotations

import json

import pytest

from airflow_provider_servicenow_dq.anomalies import great_expectations
from airflow_provider_servicenow_dq.anomalies.model import anomaly_key
from airflow_provider_servicenow_dq.exceptions import AnomalyFormatError

# (expectation, columns, kind, severity, failed, observed) as the full form has them.
FLIGHTS = [
    ("expect_column_values_to_be_between", ["no_such_col"], "check_error", "critical", None, None),
    ("expect_column_values_to_not_be_null", ["dep_time"], "check_failed", "critical", 8255, None),
    ("expect_column_values_to_be_between", ["dep_delay"], "check_failed", "medium", 610, None),
    ("expect_column_values_to_be_in_set", ["origin"], "check_failed", "critical", 120835, None),
    ("expect_column_values_to_match_regex", ["tailnum"], "check_failed", "low", 22754, None),
    (
        "expect_compound_columns_to_be_unique",
        ["year", "month", "day", "flight"],
        "check_failed",
        "critical",
        62378,
        None,
    ),
    ("expect_table_row_count_to_be_between", [], "check_failed", "critical", None, "336776"),
    (
        "expect_column_pair_values_a_to_be_greater_than_b",
        ["air_time", "distance"],
        "check_failed",
        "critical",
        336776,
        None,
    ),
    ("expect_column_to_exist", ["booking_ref"], "schema", "critical", None, None),
    ("expect_column_mean_to_be_between", ["arr_delay"], "check_failed", "critical", None, "6.89537675731489"),
]


@pytest.fixture
def full(payload):
    return payload("gx-flights-validation-summary")


@pytest.fixture
def described(payload):
    return payload("gx-flights-checkpoint-describe")


@pytest.fixture
def xcom(payload):
    return payload("airflow-xcom-gx_validate_dataframe")


def keys(report):
    return [anomaly_key(anomaly) for anomaly in report.anomalies]


def expectation_of(anomaly):
    return anomaly.check_id.partition("(")[0]


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


def test_one_expectation_has_one_key_in_every_form(full, described):
    (validation,) = described["validation_results"]
    reports = [
        great_expectations.read(full),
        great_expectations.read(full, dataset="nyc.flights"),
        great_expectations.read(described, dataset="nyc.flights"),
        great_expectations.read(described, dataset=["nyc.flights"]),
        great_expectations.read(json.dumps(described), dataset="nyc.flights"),
        great_expectations.read(validation, dataset="nyc.flights", suite="another"),
    ]
    assert {tuple(keys(report)) for report in reports} == {tuple(keys(reports[0]))}
    assert len(set(keys(reports[0]))) == len(FLIGHTS)


def test_another_run_and_another_result_format_have_the_same_keys(full):
    before = keys(great_expectations.read(full))
    full["meta"]["run_id"]["run_time"] = "2027-01-01T00:00:00+00:00"
    for number, result in enumerate(full["results"]):
        config = result["expectation_config"]
        config["id"] = f"another-{number}"
        # As BOOLEAN_ONLY leaves it; another batch; written in another order, and 0.0 as 0.
        result["result"] = {}
        result["exception_info"] = {}
        kwargs = config["kwargs"] | {"batch_id": "another", "row_condition": None}
        config["kwargs"] = {
            key: int(value) if isinstance(value, float) and value.is_integer() else value
            for key, value in sorted(kwargs.items(), reverse=True)
        }
    assert keys(great_expectations.read(full)) == before


def test_other_arguments_are_another_problem(full):
    before = keys(great_expectations.read(full))
    full["results"][2]["expectation_config"]["kwargs"]["max_value"] = 301.0
    after = keys(great_expectations.read(full))
    assert [left == right for left, right in zip(before, after, strict=True)] == [True, True, False] + [
        True
    ] * 7


def test_true_is_not_one(full):
    config = full["results"][2]["expectation_config"]
    ids = set()
    for strict in (True, 1):
        config["kwargs"]["strict_min"] = strict
        ids.add(great_expectations.read(full).anomalies[2].check_id)
    assert len(ids) == 2


def test_arguments_of_any_size_make_an_identity_of_bounded_size(full):
    kwargs = full["results"][3]["expectation_config"]["kwargs"]
    ids = []
    for last in ("X", "Y"):
        kwargs["value_set"] = [f"airport {number}" for number in range(10_000)] + [last]
        anomaly = great_expectations.read(full).anomalies[3]
        ids.append(anomaly.check_id)
        assert len(anomaly.expected) == 4000
    assert ids[0] != ids[1]
    assert max(map(len, ids)) <= 255


def test_rows_are_not_kept(full, xcom):
    for report in (great_expectations.read(full), great_expectations.read(xcom, dataset="penguins")):
        text = "".join(anomaly.model_dump_json() for anomaly in report.anomalies)
        assert "EWR" not in text
        assert "N1A1" not in text
        assert not any(anomaly.samples for anomaly in report.anomalies)


def test_of_an_observed_list_only_the_size_is_kept(full):
    full["results"][6]["result"]["observed_value"] = ["ann@example.org", "bob@example.org"]
    assert great_expectations.read(full).anomalies[6].observed == "2 values"


def test_the_validations_of_a_checkpoint_are_about_a_dataset_each(described):
    described["validation_results"] *= 2
    report = great_expectations.read(described, dataset=["nyc.flights", "nyc.planes"])
    assert [a.dataset for a in report.anomalies] == ["nyc.flights"] * 10 + ["nyc.planes"] * 10
    assert len(set(keys(report))) == 20
    for wrong in ("nyc.flights", ["nyc.flights"], ["a", "b", "c"]):
        with pytest.raises(AnomalyFormatError, match="holds 2 validations"):
            great_expectations.read(described, dataset=wrong)


def test_the_parts_of_a_table_have_their_own_tickets_only_when_asked(full):
    jfk, lga = (great_expectations.read(full, partition_key=airport) for airport in ("JFK", "LGA"))
    assert not set(keys(jfk)) & set(keys(lga))


def test_without_a_dataset_the_reduced_form_is_refused_with_the_way_out(described, xcom):
    for payload, path in ((described, "validation_results[0]"), (xcom, "")):
        with pytest.raises(AnomalyFormatError, match="give the option dataset") as refusal:
            great_expectations.read(payload)
        assert refusal.value.path == path


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"results": 7}, "results"),
        ({"results": None}, ""),
        ({"meta": "x"}, "meta"),
        ({"results": [None]}, "results[0]"),
        ({"results": [{"success": None}]}, "results[0].success"),
        ({"results": [{"success": False}]}, "results[0].expectation_type"),
        (
            {
                "results": [
                    {"success": False, "expectation_config": {"type": "e", "kwargs": {"a": float("nan")}}}
                ]
            },
            "results[0].expectation_config.kwargs",
        ),
        (
            {"results": [{"success": False, "expectation_config": {"type": "e", "kwargs": {1: 2}}}]},
            "results[0].expectation_config.kwargs",
        ),
        (
            {"results": [{"success": False, "expectation_config": {"type": "e", "severity": "odd"}}]},
            "results[0].expectation_config.severity",
        ),
        (
            {"results": [{"success": False, "expectation_type": "e", "result": {"unexpected_count": "3"}}]},
            "results[0].result.unexpected_count",
        ),
        (
            {"results": [{"success": False, "expectation_type": "e", "exception_info": 7}]},
            "results[0].exception_info",
        ),
    ],
)
def test_garbage_is_refused_by_its_place(full, change, path):
    with pytest.raises(AnomalyFormatError) as refusal:
        great_expectations.read({**full, **change})
    assert (refusal.value.source, refusal.value.path) == ("great_expectations", path)


def test_arguments_nested_without_end_are_refused(full):
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    full["results"][3]["expectation_config"]["kwargs"]["value_set"] = deep
    with pytest.raises(AnomalyFormatError, match="is not JSON"):
        great_expectations.read(full)
