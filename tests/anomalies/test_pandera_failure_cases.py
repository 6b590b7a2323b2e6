from __future__ import annotations

import json
import tracemalloc

import pandas as pd
import pytest

from airflow_provider_servicenow_dq.anomalies import airflow_sql, pandera
from airflow_provider_servicenow_dq.anomalies.model import anomaly_key
from airflow_provider_servicenow_dq.exceptions import AnomalyFormatError

# (check, columns, kind, failed, unit) of the cars, in the order of their first failure case.
CARS = [
    ("column_in_dataframe", ["VIN"], "schema", None, None),
    ("isin(['USA', 'Europe'])", ["Origin"], "check_failed", 79, "rows"),
    ("not_nullable", ["Horsepower"], "check_failed", 6, "rows"),
    ("not_nullable", ["Miles_per_Gallon"], "check_failed", 8, "rows"),
    ("greater_than(10)", ["Miles_per_Gallon"], "check_failed", 3, "rows"),
]
COLUMNS = ("schema_context", "column", "check", "check_number", "failure_case", "index")


@pytest.fixture
def cars(payload):
    return payload("pandera-cars")


@pytest.fixture
def rows(cars):
    return cars["failure_cases"]


def case(**changes):
    """One failure case as Pandera 0.35 writes it."""
    values = ("Column", "a", "greater_than(0)", 0, -3, 11)
    return {**dict(zip(COLUMNS, values, strict=True)), **changes}


def facts(report):
    return sorted((a.expected, a.columns, a.kind, a.failed_count, a.failed_unit) for a in report.anomalies)


def keys(report):
    return {anomaly_key(anomaly) for anomaly in report.anomalies}


class LazyError(Exception):
    """Has the attributes of SchemaErrors; pickling makes texts of schema and failure_cases."""

    def __init__(self, schema, failure_cases, message):
        super().__init__(message)
        self.schema, self.failure_cases, self.message = schema, failure_cases, message


class Schema:
    name = "cars"


def test_the_rows_of_one_check_are_one_anomaly(cars):
    report = pandera.read(cars)
    assert facts(report) == sorted(CARS)
    assert (report.passed, report.not_run) == (0, 0)
    assert {(a.source, a.dataset, a.severity, a.detected_at) for a in report.anomalies} == {
        ("pandera", "cars", "medium", None)
    }
    named = {a.check_name: a.message for a in report.anomalies}
    assert named["isin(['USA', 'Europe']) (Origin)"] == "79 values fail isin(['USA', 'Europe']) (Origin)"
    assert named["column_in_dataframe (VIN)"] == "column_in_dataframe (VIN) failed: VIN"


def test_every_form_says_the_same(cars, rows):
    frame = pd.DataFrame(rows)
    error = LazyError(Schema(), frame, cars["message"])
    forms = [
        cars,
        json.dumps(cars),
        rows,
        tuple(rows),
        json.dumps(rows),
        frame,
        frame.to_dict("records"),
        frame.to_dict(),
        frame.to_dict("list"),
        json.loads(frame.to_json()),
        frame.to_json(orient="records"),
        {"schema_name": "cars", "failure_cases": frame.to_json()},
        error,
    ]
    reports = [pandera.read(form, dataset="cars") for form in forms]
    assert [facts(report) for report in reports] == [sorted(CARS)] * len(forms)
    assert {frozenset(keys(report)) for report in reports} == {frozenset(keys(pandera.read(cars)))}


def test_a_file_is_read_like_its_document(cars, tmp_path):
    path = tmp_path / "cars.json"
    path.write_text(json.dumps(cars), encoding="utf-8")
    assert pandera.read(path) == pandera.read(str(path)) == pandera.read(cars)


def test_the_message_has_the_same_keys_and_no_counts(cars):
    for form in (
        cars["message"],
        json.dumps(cars["message"]),
        {**cars, "failure_cases": None},
        LazyError("<Schema cars>", "   column check", cars["message"]),
    ):
        report = pandera.read(form)
        assert keys(report) == keys(pandera.read(cars))
        assert {a.failed_count for a in report.anomalies} == {None}
        assert {a.dataset for a in report.anomalies} == {"cars"}


def test_no_bad_value_is_told_unless_asked(cars, rows):
    for form in (cars, cars["message"], rows):
        text = pandera.read(form, dataset="cars").model_dump_json()
        assert "Japan" not in text
        assert "10.0" not in text
    kept = {a.expected: a.samples for a in pandera.read(cars, samples=2).anomalies}
    assert kept["isin(['USA', 'Europe'])"] == [
        '{"index": 246, "failure_case": "Japan"}',
        '{"index": 338, "failure_case": "Japan"}',
    ]
    assert kept["column_in_dataframe"] == []
    assert len(pandera.read(cars, samples=True).anomalies[1].samples) == 79


def test_a_cell_of_the_wrong_type_is_data_too():
    row = case(check="dtype('int64')", check_number=None, failure_case="secret", index=3)
    report = pandera.read([row], dataset="cars")
    assert "secret" not in report.model_dump_json()
    assert report.anomalies[0].kind == "schema"


def test_what_a_frame_has_for_nothing_is_null_in_a_sample():
    rows = pd.DataFrame([case(check="not_nullable", failure_case=float("nan"))])
    (anomaly,) = pandera.read(rows, dataset="cars", samples=1).anomalies
    assert anomaly.samples == ['{"index": 11, "failure_case": null}']


def test_a_check_over_several_columns_is_one_problem_in_all_of_them():
    report = pandera.read(
        [
            case(schema_context="DataFrameSchema", column=column, check="a_lt_c", index=index)
            for index in (1, 2)
            for column in ("a", "c")
        ],
        dataset="cars",
    )
    (anomaly,) = report.anomalies
    assert (anomaly.columns, anomaly.failed_count, anomaly.failed_unit) == (["a", "c"], 4, "values")


def test_a_check_of_the_whole_that_only_says_no_counts_nothing():
    whole = case(
        schema_context="DataFrameSchema", column="cars", check="whole", failure_case=False, index=None
    )
    (anomaly,) = pandera.read({"schema_name": "cars", "failure_cases": [whole]}).anomalies
    assert (anomaly.columns, anomaly.failed_count, anomaly.message) == ([], None, "whole failed")


@pytest.mark.parametrize(
    ("row", "kind", "observed"),
    [
        (case(check="broken", failure_case='AttributeError("no nope")', index=None), "check_error", None),
        (case(check="dtype('str')", check_number=None, failure_case="int64", index=None), "schema", "int64"),
        (
            case(check="dtype('x')", check_number=None, failure_case="SomeError(1)", index=None),
            "schema",
            "SomeError(1)",
        ),
        (
            case(check="not_nullable", check_number=None, failure_case="AnError(1)", index=None),
            "check_failed",
            None,
        ),
        (case(failure_case='AttributeError("is what the cell holds")'), "check_failed", None),
        (case(check="coerce_dtype('int64')", check_number=None, failure_case=None), "check_failed", None),
    ],
)
def test_bad_data_a_bad_schema_and_a_broken_check_are_told_apart(row, kind, observed):
    (anomaly,) = pandera.read([row], dataset="cars").anomalies
    assert (anomaly.kind, anomaly.observed) == (kind, observed)
    if kind == "check_error":
        assert anomaly.message == 'AttributeError("no nope")'


def test_a_message_tells_a_broken_check_and_leaves_the_traceback_out():
    entry = {
        "schema": "cars",
        "column": "a",
        "check": "broken",
        "error": "Error: X(1)Traceback (most recent …",
    }
    (anomaly,) = pandera.read({"DATA": {"CHECK_ERROR": [entry]}}).anomalies
    assert (anomaly.kind, anomaly.message) == ("check_error", "Error: X(1)")


def test_checks_without_a_name_are_told_apart_by_their_number():
    rows = [case(check="<lambda>", check_number=number) for number in (1, 2, 2.0)]
    report = pandera.read(rows, dataset="cars")
    assert [a.failed_count for a in report.anomalies] == [1, 2]
    words = "Column 'a' failed element-wise validator number {}: <Check <lambda>> failure cases: 1"
    entries = [
        {"schema": "cars", "column": "a", "check": "<lambda>", "error": words.format(number)}
        for number in (1, 2)
    ]
    assert keys(pandera.read({"DATA": {"DATAFRAME_CHECK": entries}})) == keys(report)


def test_the_place_of_a_check_in_its_list_is_no_part_of_the_problem():
    one, two = (pandera.read([case(check_number=number)], dataset="cars") for number in (0, 3.0))
    assert keys(one) == keys(two)


def test_columns_of_several_levels_and_of_numbers_have_names():
    rows = [case(column=("x", "y")), case(column=["x", "y"]), case(column=7), case(column=float("nan"))]
    report = pandera.read(rows, dataset="cars")
    assert [(a.columns, a.failed_count) for a in report.anomalies] == [(["x.y"], 2), (["7"], 1), ([], 1)]


def test_each_missing_column_is_a_problem_of_its_own_in_rows_and_in_words():
    rows = [
        case(schema_context="DataFrameSchema", column="cars", check=check, failure_case=name, index=None)
        for check, name in (
            ("column_in_dataframe", "VIN"),
            ("column_in_dataframe", "VIN2"),
            ("column_in_schema", "x"),
        )
    ]
    report = pandera.read(rows, dataset="cars")
    assert [a.columns for a in report.anomalies] == [["VIN"], ["VIN2"], ["x"]]
    words = {"schema": "cars", "column": "cars", "check": "column_in_schema", "error": "column 'x' not in …"}
    message = {"SCHEMA": {"COLUMN_NOT_IN_SCHEMA": [words]}}
    assert keys(pandera.read(message)) < keys(report)


def test_a_list_that_was_cut_counts_at_least_what_it_has(cars):
    cars["failure_cases"] = cars["failure_cases"][:50]
    report = pandera.read(cars)
    assert {a.failed_count for a in report.anomalies} == {None}
    assert report.anomalies[1].message.startswith("at least ")


def test_the_options_name_what_pandera_does_not_know(rows):
    report = pandera.read(rows, dataset="sales.cars", partition_key="EU", severity="HIGH")
    assert {(a.dataset, a.partition_key, a.severity) for a in report.anomalies} == {
        ("sales.cars", "EU", "high")
    }
    with pytest.raises(AnomalyFormatError, match="give the option dataset"):
        pandera.read(rows)


def many(count):
    return [case(column=f"c{number % 3}", failure_case=number, index=number) for number in range(count)]


def test_129_700_failure_cases_of_three_checks_are_three_anomalies():
    report = pandera.read(many(129_700), dataset="flights")
    assert [a.failed_count for a in report.anomalies] == [43_234, 43_233, 43_233]


def test_the_failure_cases_are_read_one_by_one():
    peaks = []
    for rows in (many(30), many(10_000), pd.DataFrame(many(10_000))):
        tracemalloc.start()
        try:
            pandera.read(rows, dataset="flights")
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    few, rows, frame = peaks
    assert rows < 1.2 * few
    assert frame < 3 * few


@pytest.mark.parametrize(
    ("payload", "path"),
    [
        ({"failure_cases": 7}, "failure_cases"),
        ({"failure_cases": None}, "failure_cases"),
        ({"failure_cases": "no JSON"}, "failure_cases"),
        ({"failure_cases": [case(), 7]}, "failure_cases[1]"),
        ({"failure_cases": [{"column": "a"}]}, "failure_cases[0]"),
        ({"failure_cases": [case(check=True)]}, "failure_cases[0].check"),
        ({"failure_cases": [case(check={"a": 1})]}, "failure_cases[0].check"),
        ({"failure_cases": [case(check="x\x00")]}, "failure_cases[0].check"),
        ({"failure_cases": [case(check="<lambda>", check_number="x")]}, "failure_cases[0].check_number"),
        ({"failure_cases": [], "failure_cases_total": -1}, "failure_cases_total"),
        ({"failure_cases": [], "schema_name": ["a"]}, "schema_name"),
        ({"failure_cases": [case()], "schema_name": "x" * 10**7}, "schema_name"),
        ({"check": [1], "failure_case": [1, 2]}, ""),
        ({"check": [1], "failure_case": [1], "index": 7}, "index"),
        ({"SCHEMA": {"WHY": [7]}}, "SCHEMA.WHY[0]"),
        ({"SCHEMA": {"WHY": {"a": 1}}}, "SCHEMA.WHY"),
        ({"SCHEMA": 7}, "SCHEMA"),
        ("{", ""),
        ("no/such/file.json", "'no/such/file.json'"),
        (LazyError(Schema(), "text", "text"), ""),
    ],
    ids=repr,
)
def test_garbage_is_refused_by_its_place(payload, path):
    with pytest.raises(AnomalyFormatError) as refusal:
        pandera.read(payload, dataset=None if isinstance(payload, dict) and "schema_name" in payload else "d")
    assert (refusal.value.source, refusal.value.path) == ("pandera", path)
    assert len(str(refusal.value)) < 500


def test_the_exception_is_no_result_of_a_sql_check(cars):
    error = LazyError(Schema(), pd.DataFrame(cars["failure_cases"]), cars["message"])
    assert pandera.recognises(error)
    assert not airflow_sql.recognises(error)
    assert not pandera.recognises(ValueError("x"))


def test_a_query_that_was_not_run_is_refused_in_words():
    class Lazy:
        columns = COLUMNS

        def __getitem__(self, name):
            return object()

    with pytest.raises(AnomalyFormatError, match="row by row"):
        pandera.read(Lazy(), dataset="cars")
