from __future__ import annotations

import copy
import json
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_servicenow_dq.anomalies.model import Anomaly, Report
from airflow_provider_servicenow_dq.anomalies.reading import AUTO, SOURCES, read_report
from airflow_provider_servicenow_dq.exceptions import AnomalyFormatError

PAYLOADS = Path(__file__).parents[1] / "payloads"
OPTIONS = {"dataset": "nyc.flights", "dag_id": "d", "task_id": "t"}
CUSTOM = {"dataset": "nyc.flights", "check_name": "dep_time not null"}
#: Every real output of the five tools: where it is in its file, its source, how many anomalies it holds.
REAL = [
    ("airflow-callback-sql_check", None, "airflow_sql", 1),
    ("airflow-callback-sql_check_broken", None, "airflow_sql", 1),
    ("airflow-callback-sql_column_check", None, "airflow_sql", 3),
    ("airflow-callback-sql_column_check", "check_results", "airflow_sql", 3),
    ("airflow-callback-sql_column_check", "column_mapping", "airflow_sql", 3),
    ("airflow-callback-sql_table_check", None, "airflow_sql", 2),
    ("airflow-callback-sql_table_check", "checks", "airflow_sql", 2),
    ("airflow-xcom-gx_validate_dataframe", None, "great_expectations", 3),
    ("gx-flights-checkpoint-describe", None, "great_expectations", 10),
    ("gx-flights-validation-summary", None, "great_expectations", 10),
    ("dbt-test-run_results", None, "dbt", 10),
    ("qualytics-n8n-webhook-doc", "payload", "qualytics", 1),
    ("qualytics-seed-anomaly824-ticket", "create_ticket_response", "qualytics", 1),
]


@cache
def real(name, part):
    document = json.loads((PAYLOADS / f"{name}.json").read_text(encoding="utf-8"))
    return document if part is None else document[part]


@pytest.mark.parametrize(("name", "part", "source", "count"), REAL)
def test_every_real_output_is_recognised_by_its_shape(name, part, source, count):
    report = read_report(real(name, part), options=OPTIONS)
    assert [anomaly.source for anomaly in report.anomalies] == [source] * count
    assert read_report(real(name, part), source=source, options=OPTIONS) == report


def test_a_list_of_payloads_keeps_their_order_and_adds_up():
    payloads = [real(name, part) for name, part, _, _ in REAL]
    report = read_report(payloads, options=OPTIONS)
    single = [read_report(payload, options=OPTIONS) for payload in payloads]
    assert report.anomalies == [anomaly for each in single for anomaly in each.anomalies]
    assert report.passed == sum(each.passed for each in single) == 14
    assert read_report([]) == Report()


def test_a_dump_of_an_anomaly_is_read_as_it_was_whatever_the_source():
    payloads = [real(name, part) for name, part, _, _ in REAL]
    report = read_report(payloads, options=OPTIONS)
    dumps = json.loads(json.dumps([anomaly.model_dump(mode="json") for anomaly in report.anomalies]))
    for source in (AUTO, *SOURCES):
        assert read_report(dumps, source=source).anomalies == report.anomalies
    assert read_report(report.anomalies).anomalies == report.anomalies


def test_a_custom_anomaly_names_its_own_source():
    report = read_report([CUSTOM, {**CUSTOM, "source": "pandera"}])
    assert [anomaly.source for anomaly in report.anomalies] == ["custom", "pandera"]


def test_a_payload_whose_shape_says_too_little_may_name_its_source(listing):
    bare = {key: value for key, value in listing().items() if key != "failed_checks"}
    assert read_report({**bare, "source": "qualytics"}).anomalies[0].anomaly_id == 824
    with pytest.raises(AnomalyFormatError, match="no known source"):
        read_report(bare)


def test_null_is_the_same_as_missing():
    nulls = dict.fromkeys(Anomaly.model_fields)
    assert read_report({**nulls, **CUSTOM}) == read_report(CUSTOM)


@pytest.mark.parametrize(
    ("key", "advice"),
    [("colums", "did you mean 'columns'"), ("q" * 10**7, "known are source"), ("Severity", "severity")],
)
def test_an_unknown_key_is_refused_with_the_nearest_known_one(key, advice):
    with pytest.raises(AnomalyFormatError, match=advice) as refusal:
        read_report([CUSTOM, {**CUSTOM, key: 1}])
    assert refusal.value.path == "[1]"
    assert len(str(refusal.value)) < 1000


def test_rows_are_dropped_unless_asked_for():
    rows = {**CUSTOM, "samples": [{"name": "Ann", "age": 7}, "row two"]}
    assert read_report(rows).anomalies[0].samples == []
    kept = read_report(rows, options={"samples": True}).anomalies[0].samples
    assert kept == ['{"name": "Ann", "age": 7}', "row two"]


def test_what_no_source_writes_is_refused_with_what_was_seen_and_what_is_known():
    with pytest.raises(AnomalyFormatError) as refusal:
        read_report([CUSTOM, {"alerts": [], "total": 3}])
    assert refusal.value.path == "[1]"
    for word in ("'alerts', 'total'", *SOURCES):
        assert word in refusal.value.reason


def test_a_text_is_refused_with_the_way_out():
    with pytest.raises(AnomalyFormatError, match="name the source"):
        read_report("x" * 10_000_000)


@pytest.mark.parametrize(
    "payload", [None, 7, float("nan"), b"{}", {}, object(), 10**5000, {1: 2}, set()], ids=type
)
def test_nothing_usable_is_refused_in_words(payload):
    with pytest.raises(AnomalyFormatError, match="no known source"):
        read_report(payload)


def test_lists_without_end_are_refused():
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(AnomalyFormatError, match="nested too deep"):
        read_report(deep)


@pytest.mark.parametrize(
    ("arguments", "path"),
    [({"source": "great_expectation"}, "source"), ({"options": {"datset": "x"}}, "source_options")],
)
def test_a_wrong_source_or_option_is_refused_with_the_known_ones(arguments, path):
    with pytest.raises(AnomalyFormatError, match="known are") as refusal:
        read_report(CUSTOM, **arguments)
    assert refusal.value.path == path


def test_a_wrong_value_is_refused_by_its_place_in_the_list():
    comments = [{"body": "fine"}, {"body": 3, "created_at": "soon"}]
    with pytest.raises(AnomalyFormatError) as refusal:
        read_report([CUSTOM, {**CUSTOM, "comments": comments}])
    assert refusal.value.path == "[1].comments[1].created_at"


def places(value, path=()):
    yield path
    entries = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, inner in entries:
        yield from places(inner, (*path, key))


@cache
def real_places(name, part):
    return [path for path in places(real(name, part)) if path]


# What the adapters look for, so that garbage gets past their doors.
WORDS = sorted(
    {
        *Anomaly.model_fields,
        *("failed_checks", "quality_check", "datastore", "global_tags", "items", "nodes", "weight"),
        *(
            step
            for name, part, _, _ in REAL
            for path in real_places(name, part)
            for step in path
            if isinstance(step, str)
        ),
    }
)
VALUES = [
    "qualytics.flow.triggered",
    "custom",
    "dbt",
    "fail",
    "pass",
    "error",
    "critical",
    "nyc.flights",
    "2026-01-01",
]
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from(
        [10**4000, float("nan"), float("inf"), -0.0, b"bytes", "", " ", "\ud800", "\x00", "x" * 5000]
    ),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(VALUES),
)
keys = st.sampled_from(WORDS) | st.text(max_size=4) | st.integers() | st.none()
garbage = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=6),
    max_leaves=25,
)


def assert_read_or_refused(payload, source):
    try:
        report, words = read_report(payload, source=source, options=OPTIONS), ""
    except AnomalyFormatError as refusal:
        report, words = Report(), str(refusal)
    assert len(words) < 2000
    json.dumps([anomaly.model_dump(mode="json") for anomaly in report.anomalies]).encode()


@settings(max_examples=200, deadline=None)
@given(payload=garbage, source=st.sampled_from([AUTO, *SOURCES]))
def test_any_garbage_is_read_or_refused_and_nothing_else(payload, source):
    assert_read_or_refused(payload, source)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.data_too_large])
@given(data=st.data())
def test_a_real_output_with_any_place_broken_is_read_or_refused_and_nothing_else(data):
    name, part, source, _ = data.draw(st.sampled_from(REAL))
    path = data.draw(st.sampled_from(real_places(name, part)))
    payload = copy.deepcopy(real(name, part))
    parent = payload
    for step in path[:-1]:
        parent = parent[step]
    parent[path[-1]] = data.draw(garbage)
    assert_read_or_refused(payload, data.draw(st.sampled_from([AUTO, source])))
