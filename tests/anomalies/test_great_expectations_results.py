from __future__ import annotations

import copy
import json
import tracemalloc

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
            "results[0].expectation_config.kwargs.a",
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


def test_arguments_nested_without_end_are_refused_by_their_place(full):
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    full["results"][3]["expectation_config"]["kwargs"]["value_set"] = deep
    with pytest.raises(AnomalyFormatError, match="nested deeper than 64") as refusal:
        great_expectations.read(full)
    assert refusal.value.path.startswith("results[3].expectation_config.kwargs.value_set[0][0][0]")


def test_a_text_nested_without_end_is_refused_by_its_place(full):
    text = json.dumps(full).replace('"value_set": [', '"value_set": [' + "[" * 5000 + "]" * 5000 + ", ", 1)
    with pytest.raises(AnomalyFormatError, match="nested deeper") as refusal:
        great_expectations.read(text)
    assert refusal.value.path.startswith("results[3].expectation_config.kwargs.value_set[0][0][0]")


@pytest.mark.parametrize(
    ("place", "value", "path"),
    [
        (("results", 3, "expectation_config", "type"), 7, "results[3].expectation_config.type"),
        (("results", 3, "expectation_config", "type"), "a\x00", "results[3].expectation_config.type"),
        (
            ("results", 3, "expectation_config", "kwargs", "value_set"),
            ["JFK", {"a": float("inf")}],
            "results[3].expectation_config.kwargs.value_set[1].a",
        ),
        (
            ("results", 3, "expectation_config", "kwargs", "a.b"),
            {1: 2},
            'results[3].expectation_config.kwargs["a.b"]',
        ),
        (
            ("results", 3, "expectation_config", "kwargs", "max"),
            10**5000,
            "results[3].expectation_config.kwargs.max",
        ),
        (("meta", "run_id", "run_time"), "soon", "meta.run_id.run_time"),
        (
            ("meta", "active_batch_definition", "data_asset_name"),
            "x" * 10**7,
            "meta.active_batch_definition.data_asset_name",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 60 else "",
)
def test_what_is_wrong_is_named_where_it_stands_in_the_payload(full, place, value, path):
    parent = full
    for step in place[:-1]:
        parent = parent[step]
    parent[place[-1]] = value
    with pytest.raises(AnomalyFormatError) as refusal:
        great_expectations.read(full)
    assert refusal.value.path == path
    assert len(str(refusal.value)) < 1000


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ({"dataset": 7.5}, "source_options.dataset"),
        ({"dataset": [True]}, "source_options.dataset[0]"),
        ({"dataset": "x" * 513}, "source_options.dataset"),
        ({"suite": {}}, "source_options.suite"),
        ({"partition_key": " "}, "source_options.partition_key"),
        ({"severity": "bad"}, "source_options.severity"),
        ({"samples": "all"}, "source_options.samples"),
    ],
)
def test_a_wrong_option_is_refused_by_its_name(described, options, path):
    with pytest.raises(AnomalyFormatError) as refusal:
        great_expectations.read(described, **{"dataset": "nyc.flights", **options})
    assert refusal.value.path == path


def test_long_texts_are_cut_with_a_mark(full):
    info = {"raised_exception": True, "exception_message": "m" * 10**7, "exception_traceback": ""}
    full["results"] = [{**full["results"][1], "exception_info": {"k" * 10**6: info}}]
    (anomaly,) = great_expectations.read(full).anomalies
    assert len(anomaly.message) == 4000
    assert anomaly.message.endswith("… [cut]")


@pytest.mark.parametrize("form", ["BOOLEAN_ONLY", "BASIC", "SUMMARY", "COMPLETE"])
def test_every_result_format_has_the_same_keys(full, form):
    known = {
        "BOOLEAN_ONLY": (),
        "BASIC": ("element_count", "unexpected_count", "observed_value", "partial_unexpected_list"),
    }
    before = keys(great_expectations.read(full))
    counts = [anomaly.failed_count for anomaly in great_expectations.read(full).anomalies]
    for result in full["results"]:
        outcome = result["result"]
        if form in known:
            result["result"] = {key: outcome[key] for key in known[form] if key in outcome}
        elif form == "COMPLETE" and "unexpected_count" in outcome:
            outcome["unexpected_list"] = ["EWR"] * 1000
            outcome["unexpected_index_list"] = list(range(1000))
            outcome["unexpected_index_query"] = "df.filter(items=[0, 1], axis=0)"
    report = great_expectations.read(full)
    assert keys(report) == before
    assert [a.failed_count for a in report.anomalies] == ([None] * 10 if form == "BOOLEAN_ONLY" else counts)
    assert "EWR" not in report.model_dump_json()


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


def test_unexpected_values_are_kept_when_asked_the_complete_list_first(full):
    kept = [a.samples for a in great_expectations.read(full, samples=2).anomalies]
    assert (kept[0], kept[3], kept[6]) == ([], ["EWR", "EWR"], [])
    assert kept[5][0].startswith('{"')
    full["results"][3]["result"]["unexpected_list"] = [None, 7, *["x"] * 200]
    assert great_expectations.read(full, samples=3).anomalies[3].samples == ["null", "7", "x"]
    assert len(great_expectations.read(full, samples=True).anomalies[3].samples) == 100
    assert great_expectations.read(json.dumps(full), samples=1).anomalies[3].samples == ["null"]


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


def test_a_checkpoint_of_0_18_has_the_same_keys(full):
    for result in full["results"]:
        config = result["expectation_config"]
        config["expectation_type"] = config.pop("type")
        del config["severity"], config["id"]
    full["meta"]["expectation_suite_name"] = full.pop("suite_name")
    runs = {"ValidationResultIdentifier::flights": {"validation_result": full, "actions_results": {}}}
    report = great_expectations.read({"success": False, "run_results": runs})
    assert [a.check_id for a in report.anomalies] == [
        a.check_id for a in great_expectations.read(full).anomalies
    ]
    assert {(a.dataset, *a.tags) for a in report.anomalies} == {("nyc.flights", "suite:flights_quality")}
    assert great_expectations.recognises({"success": False, "run_results": runs})


def test_a_file_is_read_like_its_document(full, tmp_path):
    path = tmp_path / "result.json"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(full).encode())
    expected = great_expectations.read(full)
    assert great_expectations.read(path) == great_expectations.read(str(path)) == expected


def complete(full, rows):
    """The result as COMPLETE writes it, with every bad row of three columns' pair."""
    for number in (1, 3, 5):
        outcome = full["results"][number]["result"]
        outcome["unexpected_list"] = [{"flight": index, "origin": f"EWR{index}"} for index in range(rows)]
        outcome["unexpected_index_list"] = list(range(rows))
    return full


def peak_of(work):
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_complete_result_is_not_held_twice(full):
    for samples in (0, 5):
        few, many = (
            peak_of(lambda: great_expectations.read(rows, samples=samples))  # noqa: B023 (called at once)
            for rows in (complete(copy.deepcopy(full), 50), complete(full, 5_000))
        )
        assert many < 1.2 * few


def test_rows_in_a_text_are_dropped_while_it_is_read(full, tmp_path):
    text = json.dumps(complete(full, 5_000))
    path = tmp_path / "result.json"
    path.write_text(text, encoding="utf-8")
    whole = peak_of(lambda: json.loads(text))
    # Of three lists of rows one is there at a time.
    assert peak_of(lambda: great_expectations.read(text)) < whole / 2
    assert peak_of(lambda: great_expectations.read(path)) < whole / 2 + 2.2 * len(text)
    assert great_expectations.read(text) == great_expectations.read(complete(full, 1))
