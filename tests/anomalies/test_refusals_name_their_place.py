"""Whatever is wrong in a payload, it is read or refused, and a refusal names a place that is there."""

from __future__ import annotations

import copy
import json
import re
from functools import cache

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from real_payloads import content, places

from airflow_provider_servicenow_dq.anomalies import (
    airflow_sql,
    custom,
    datadog,
    dbt,
    great_expectations,
    pandera,
    qualytics,
    soda,
)
from airflow_provider_servicenow_dq.anomalies.places import MAX_NESTING, joined, not_json, step_to, too_deep
from airflow_provider_servicenow_dq.exceptions import AnomalyFormatError

#: Real outputs: the file, the part of it that is the payload, its adapter, and the options that it needs.
REAL = [
    ("airflow-callback-sql_check", None, airflow_sql, {"dag_id": "d", "task_id": "t"}),
    ("airflow-callback-sql_column_check", None, airflow_sql, {}),
    ("airflow-callback-sql_column_check", "column_mapping", airflow_sql, {"dataset": "nyc.flights"}),
    ("airflow-callback-sql_table_check", None, airflow_sql, {}),
    ("airflow-xcom-gx_validate_dataframe", None, great_expectations, {"dataset": "penguins"}),
    ("gx-flights-checkpoint-describe", None, great_expectations, {"dataset": "nyc.flights"}),
    ("gx-flights-validation-summary", None, great_expectations, {"samples": 3}),
    ("dbt-test-run_results", None, dbt, {}),
    ("pandera-cars", None, pandera, {"samples": 3}),
    ("pandera-cars", "failure_cases", pandera, {"dataset": "cars"}),
    ("pandera-cars", "message", pandera, {"dataset": "cars"}),
    ("qualytics-seed-anomaly824-ticket", "create_ticket_response", qualytics, {}),
    ("qualytics-n8n-webhook-doc", "payload", qualytics, {}),
    ("soda3-flights-scan", None, soda, {}),
    ("soda3-flights-scan-error", None, soda, {}),
    ("soda4-flights-contract", None, soda, {}),
    (
        "datadog-cassette-search-security-findings-returns-ok-response-with-pagination",
        "interactions/0/response/body",
        datadog,
        {"base_url": "https://app.datadoghq.com"},
    ),
]
STEP = re.compile(r'\.?(?:([\w$-]+)|\[(\d+)\]|\[("(?:[^"\\]|\\.)*")\])')


def real(name, part):
    return content(name, part or "")


@cache
def real_places(name, part):
    return list(places(real(name, part)))


def at(value, steps):
    for step in steps:
        value = value[step]
    return value


def refusal_of(adapter, payload, options):
    """What reading says is wrong, None where it reads the payload to its end."""
    try:
        adapter.read(payload, **options).model_dump_json()
    except AnomalyFormatError as refusal:
        return refusal
    return None


def written(steps):
    path = ""
    for step in steps:
        path = joined(path, f"[{step}]" if isinstance(step, int) else step_to(step))
    return path


def key_named(step, value):
    plain, index, quoted = step.groups()
    if index is not None:
        return int(index)
    key = plain if quoted is None else json.loads(quoted)
    if key.endswith("…"):
        return next(known for known in value if known.startswith(key[:-1]))
    return key


def assert_is_a_place(payload, path):
    """Every step of the path is there; the last one may be a key that is missing."""
    value = payload
    end = 0
    while end < len(path):
        step = STEP.match(path, end)
        if step is None:
            assert path.endswith("…"), path
            return
        key = key_named(step, value)
        end = step.end()
        if isinstance(key, int):
            value = value[key]
        else:
            assert isinstance(value, dict), path
            assert key in value or end == len(path), path
            value = value.get(key)


deep: list = []
for _ in range(MAX_NESTING + 2):
    deep = [deep]
WRONG = [
    None,
    True,
    7,
    -1,
    2.5,
    float("nan"),
    float("inf"),
    10**5000,
    "",
    " ",
    "x" * 100_000,
    "\x00",
    "\ud800",
    b"bytes",
    object,
    {"a.b": 1},
    {7: 1},
    {"k" * 5000: {"raised_exception": True, "exception_message": 7}},
    [],
    ["x", {"y": None}],
    deep,
]


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.data_too_large])
@given(data=st.data())
def test_a_real_output_broken_anywhere_is_read_or_refused_at_a_place_that_is_there(data):
    name, part, adapter, options = data.draw(st.sampled_from(REAL))
    payload = copy.deepcopy(real(name, part))
    for _ in range(data.draw(st.integers(1, 3))):
        steps = data.draw(st.sampled_from(real_places(name, part)))
        try:
            at(payload, steps[:-1])[steps[-1]] = data.draw(st.sampled_from(WRONG))
        except (TypeError, KeyError, IndexError):
            continue  # what was broken before is not there any more
    refusal = refusal_of(adapter, payload, options)
    if refusal is not None:
        assert refusal.source == adapter.SOURCE
        assert len(str(refusal)) < 1500
        if not refusal.path.startswith("source_options"):
            assert_is_a_place(payload, refusal.path)


@pytest.mark.parametrize(("name", "part", "adapter", "options"), REAL)
def test_a_value_of_the_wrong_type_is_refused_where_it_stands(name, part, adapter, options):
    payload = copy.deepcopy(real(name, part))
    # A long list is as good as its beginning.
    shown = [steps for steps in real_places(name, part) if all(s < 4 for s in steps if isinstance(s, int))]
    for steps in shown:
        parent = at(payload, steps[:-1])
        kept = parent[steps[-1]]
        for wrong in (7, [7], {"x": 7}):
            parent[steps[-1]] = wrong
            refusal = refusal_of(adapter, payload, options)
            if refusal is not None:
                assert_is_a_place(payload, refusal.path)
                broken = written(steps)
                # With another event it is another document, and what is missing there is told.
                assert broken == "event" or refusal.path.startswith(broken) or broken.startswith(refusal.path)
        parent[steps[-1]] = kept


@pytest.mark.parametrize(
    "options",
    [{name: wrong} for name in ("dataset", "samples", "partition_key", "severity") for wrong in WRONG],
    ids=lambda options: (
        f"{next(iter(options))} {str(next(iter(options.values())))[:20]!a}"
        if not isinstance(next(iter(options.values())), int)
        else next(iter(options))
    ),
)
def test_a_wrong_option_is_taken_or_refused_by_its_name(options):
    for adapter, payload in (
        (great_expectations, real("airflow-xcom-gx_validate_dataframe", None)),
        (pandera, real("pandera-cars", "failure_cases")),
    ):
        refusal = refusal_of(adapter, payload, {"dataset": "d", **options})
        if refusal is not None:
            wanted = f"source_options.{next(iter(options))}"
            assert refusal.path.startswith(wanted) or "give the option dataset" in refusal.reason


def test_weights_that_are_no_numbers_are_refused(listing):
    with pytest.raises(AnomalyFormatError) as refusal:
        qualytics.read(listing(), weights={"high": "much"})
    assert refusal.value.path == "source_options.weights.high"


def test_a_dataset_that_is_no_text_is_refused_for_our_own_dicts():
    with pytest.raises(AnomalyFormatError) as refusal:
        custom.read({"check_name": "a"}, dataset=[1])
    assert refusal.value.path == "source_options.dataset"


@pytest.mark.parametrize(
    ("path", "step", "whole"),
    [
        ("", "a", "a"),
        ("a", "b", "a.b"),
        ("a", "[0]", "a[0]"),
        ("", "[0]", "[0]"),
        ("a", "", "a"),
        ("[1]", step_to("b c"), '[1]["b c"]'),
        ("a", step_to("[0]"), 'a["[0]"]'),
        ("a", step_to('say "x"'), 'a["say \\"x\\""]'),
    ],
)
def test_steps_cannot_be_mistaken_for_one_another(path, step, whole):
    assert joined(path, step) == whole


def test_a_path_has_an_end():
    path = "a"
    for _ in range(1000):
        path = joined(path, step_to("k" * 10_000))
    assert len(path) <= 400
    assert path.endswith("…")


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**80), 2**80)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=100, deadline=None)
@given(value=json_values)
def test_what_json_can_say_is_let_pass(value):
    assert not_json(value) is None
    assert too_deep(json.dumps(value)) == ""


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(st.integers(0, 3) | st.text(max_size=6), min_size=MAX_NESTING, max_size=MAX_NESTING + 20)
)
def test_where_a_text_is_too_deep_is_the_same_place_as_in_its_object(steps):
    value = ["bottom"]
    for step in reversed(steps):
        value = [*["{[:,"] * step, value] if isinstance(step, int) else {"]}": 'a"\\', step: value}
    fault = not_json(value)
    assert fault is not None
    assert fault[0] == too_deep(json.dumps(value))
