from __future__ import annotations

import json

import pytest

from airflow_provider_servicenow_dq.anomalies import great_expectations
from airflow_provider_servicenow_dq.exceptions import AnomalyFormatError


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
