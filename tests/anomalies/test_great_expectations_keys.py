from __future__ import annotations

import json

import pytest
from gx_flights import FLIGHTS, keys

from airflow_provider_servicenow_dq.anomalies import great_expectations


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


def test_the_parts_of_a_table_have_their_own_tickets_only_when_asked(full):
    jfk, lga = (great_expectations.read(full, partition_key=airport) for airport in ("JFK", "LGA"))
    assert not set(keys(jfk)) & set(keys(lga))


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
