from __future__ import annotations

import sqlite3

import pytest
from airflow.providers.common.sql.operators.sql import SQLCheckResult

from airflow_provider_servicenow_dq.anomalies import airflow_sql
from airflow_provider_servicenow_dq.anomalies.model import anomaly_key
from airflow_provider_servicenow_dq.exceptions import AnomalyFormatError

COLUMN, TABLE, SINGLE, BROKEN = (
    f"airflow-callback-{name}"
    for name in ("sql_column_check", "sql_table_check", "sql_check", "sql_check_broken")
)


def keys(report):
    return [anomaly_key(anomaly) for anomaly in report.anomalies]


def summary(report):
    return [
        (
            a.dataset,
            a.check_id,
            a.kind,
            a.severity,
            a.columns,
            a.expected,
            a.observed,
            a.failed_count,
            a.failed_unit,
        )
        for a in report.anomalies
    ]


def test_a_column_check_gives_one_anomaly_for_each_failed_check_and_counts_the_rest(payload):
    report = airflow_sql.read(payload(COLUMN))
    assert summary(report) == [
        ("flights", "dep_time.null_check", "check_failed", "high", ["dep_time"], "0", "8255", 8255, "rows"),
        ("flights", "dep_delay.max", "check_failed", "high", ["dep_delay"], "<=600", "1301.0", None, None),
        (
            "flights",
            "tailnum.distinct_check",
            "check_failed",
            "high",
            ["tailnum"],
            ">=5000",
            "4043",
            None,
            None,
        ),
    ]
    assert (report.passed, report.not_run) == (2, 0)
    assert report.anomalies[1].message == "MAX(dep_delay): expected <=600, got 1301.0"


def test_a_table_check_is_about_its_table(payload):
    report = airflow_sql.read(payload(TABLE))
    assert summary(report) == [
        ("flights", "row_count_max", "check_failed", "high", [], "all truthy", "0", None, None),
        ("flights", "arr_after_dep", "check_failed", "high", [], "all truthy", "0", None, None),
    ]
    assert report.passed == 1


def test_a_check_without_a_table_is_known_by_its_task(payload):
    report = airflow_sql.read(payload(SINGLE))
    assert summary(report) == [
        (
            "dq_capture.sql_check",
            "dq_capture/sql_check",
            "check_failed",
            "high",
            [],
            "all truthy",
            "(1, 0)",
            None,
            None,
        )
    ]
    (anomaly,) = airflow_sql.read(payload(SINGLE), dataset="nyc.flights").anomalies
    assert (anomaly.dataset, anomaly.check_id) == ("nyc.flights", "dq_capture/sql_check")


def test_a_check_that_could_not_run_is_an_error_not_a_failed_check(payload):
    report = airflow_sql.read(payload(BROKEN))
    (anomaly,) = report.anomalies
    assert (anomaly.kind, anomaly.check_name, anomaly.severity) == ("check_error", "sql_check_broken", "high")
    assert anomaly.message == "no such table: no_such_table"
    assert report.passed == 0


@pytest.mark.parametrize("name", [COLUMN, TABLE])
def test_objects_dicts_and_mappings_of_the_same_checks_have_the_same_keys(payload, name):
    seen = payload(name)
    objects = [SQLCheckResult(**row) for row in seen["check_results"]]
    mapping = {key: seen[key] for key in ("column_mapping", "checks")}
    reports = [
        airflow_sql.read(seen),
        airflow_sql.read(objects),
        airflow_sql.read(seen["check_results"]),
        airflow_sql.read({**mapping, "table": "flights"}),
        airflow_sql.read({**mapping, "exception": seen["exception"]}, dataset="flights"),
        airflow_sql.read(next(filter(None, mapping.values())), dataset="flights", dag_id="d", task_id="t"),
    ]
    assert {tuple(keys(report)) for report in reports} == {tuple(keys(reports[0]))}
    assert {report.passed for report in reports} == {reports[0].passed}
    assert [len(keys(report)) for report in reports] == [len(keys(reports[0]))] * 6


def test_a_mapping_says_what_was_expected_as_the_results_do(payload):
    seen = payload(COLUMN)
    mapped = airflow_sql.read(seen["column_mapping"], dataset="flights")
    assert summary(mapped) == summary(airflow_sql.read(seen))


def test_one_result_alone_is_read_as_well(payload):
    row = payload(COLUMN)["check_results"][0]
    assert keys(airflow_sql.read(SQLCheckResult(**row))) == keys(airflow_sql.read([row]))


def test_checks_of_a_mapping_that_did_not_run_are_neither_passed_nor_failed():
    report = airflow_sql.read({"column_mapping": {"a": {"min": {"geq_to": 0}}}, "table": "t"})
    assert (report.anomalies, report.passed, report.not_run) == ([], 0, 1)


def test_a_mapping_that_did_not_run_and_an_exception_are_one_error():
    payload = {
        "column_mapping": {"a": {"min": {"geq_to": 0}}},
        "table": "t",
        "dag_id": "d",
        "task_id": "check_a",
        "exception": sqlite3.OperationalError("no such column: a"),
    }
    report = airflow_sql.read(payload)
    (anomaly,) = report.anomalies
    assert (anomaly.kind, anomaly.dataset, anomaly.check_id) == ("check_error", "t", "d/check_a")
    assert anomaly.message == "OperationalError: no such column: a"
    assert report.not_run == 1


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (sqlite3.OperationalError("no such table: x"), "check_error"),
        ("no such table: x", "check_error"),
        (ValueError("Test failed.\nQuery:\nSELECT 0\nResults:\n(0,)"), "check_failed"),
        ("The following tests have failed:\n a: {}", "check_failed"),
        ('Threshold Check: "t" failed.\nDAG: d', "check_failed"),
        (TimeoutError(), "check_error"),
    ],
    ids=["object", "text", "failed", "interval", "threshold", "no words"],
)
def test_a_bare_exception_is_one_anomaly_and_its_words_say_which(failure, kind):
    (anomaly,) = airflow_sql.read(failure, dag_id="d", task_id="t").anomalies
    assert (anomaly.kind, anomaly.dataset, anomaly.check_id) == (kind, "d.t", "d/t")


def test_the_error_and_the_failure_of_one_check_are_the_same_problem(payload):
    seen = payload(SINGLE)
    task = {"dag_id": seen["dag_id"], "task_id": seen["task_id"]}
    assert keys(airflow_sql.read(seen)) == keys(airflow_sql.read(RuntimeError("connection lost"), **task))
    # As a version of common-sql before 2.0.0 leaves it.
    older = {**seen, "check_results": None}
    assert keys(airflow_sql.read(seen)) == keys(airflow_sql.read(older))
    assert airflow_sql.read(older).anomalies[0].kind == "check_failed"


def test_tasks_without_a_table_are_kept_apart():
    ids = [
        airflow_sql.read(RuntimeError("x"), dataset="t", dag_id=dag, task_id=task).anomalies[0].fingerprint
        for dag, task in (("a.b", "c"), ("a", "b.c"), ("a", "c"), ("a.b", None))
    ]
    assert len(set(ids)) == 4


def test_passing_checks_and_an_exception_are_reported_as_the_error():
    row = {"name": "a", "check_type": "x", "success": True, "table": "t"}
    report = airflow_sql.read(
        {"check_results": [row], "exception": "lost connection", "dag_id": "d", "task_id": "t"}
    )
    assert [anomaly.kind for anomaly in report.anomalies] == ["check_error"]
    assert report.passed == 1


@pytest.mark.parametrize(
    ("word", "severity"), [("error", "high"), ("warn", "medium"), ("info", "low"), (None, "high")]
)
def test_the_severity_is_mapped(word, severity):
    row = {"name": "a", "check_type": "x", "success": False, "table": "t", "severity": word}
    assert airflow_sql.read([row]).anomalies[0].severity == severity


def test_the_parts_of_a_table_have_their_own_tickets_only_when_asked(payload):
    rows = payload(COLUMN)["check_results"]
    jfk, lga = (airflow_sql.read(rows, partition_key=airport) for airport in ("JFK", "LGA"))
    assert not set(keys(jfk)) & set(keys(lga))
    assert jfk.anomalies[0].dataset == "flights"


@pytest.mark.parametrize(
    ("broken", "options", "path"),
    [
        ([{"name": "a", "check_type": "x", "success": "no"}], {}, "[0].success"),
        ([{"name": "a", "check_type": "x", "success": False}], {}, "[0]"),
        ([{"name": None, "check_type": "x", "success": False}], {"dataset": "t"}, "[0].name"),
        (
            [{"name": "a", "check_type": "x", "success": False, "severity": "?"}],
            {"dataset": "t"},
            "[0].severity",
        ),
        ([{"name": "a"}], {}, "[0].success"),
        ({"check_results": {"a": 1}}, {}, "check_results"),
        ({"column_mapping": {"a": {"min": 3}}}, {}, "column_mapping.a.min"),
        (
            {
                "column_mapping": {
                    "a": {"null_check": {"equal_to": 0, "success": False, "result": float("nan")}}
                }
            },
            {"dataset": "t"},
            "column_mapping.a.null_check.result",
        ),
        (RuntimeError("x"), {}, ""),
        (7, {}, ""),
        ({}, {}, ""),
    ],
)
def test_garbage_is_refused_by_its_place(broken, options, path):
    with pytest.raises(AnomalyFormatError) as refusal:
        airflow_sql.read(broken, **options)
    assert (refusal.value.source, refusal.value.path) == ("airflow_sql", path)
