from __future__ import annotations

import contextlib
import copy
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from real_payloads import FOLDER, OPTIONS, OTHERS, PAYLOADS, content, places

from airflow_provider_servicenow_dq.anomalies import adapters
from airflow_provider_servicenow_dq.anomalies.model import Anomaly, anomaly_key
from airflow_provider_servicenow_dq.anomalies.reading import AUTO, SOURCES, read_report
from airflow_provider_servicenow_dq.exceptions import AnomalyFormatError

each_payload = pytest.mark.parametrize("payload", PAYLOADS, ids=str)


def claims(payload):
    return [source for source in SOURCES if adapters.named(source).recognises(payload)]


def test_every_file_is_read_or_known_to_be_none():
    listed = {payload.name for payload in PAYLOADS} | {name for _, name, _, _ in OTHERS}
    assert {path.stem for path in FOLDER.glob("*.json")} == listed


@each_payload
def test_every_payload_becomes_what_is_known_of_it(payload):
    report = read_report(content(payload.name, payload.part), options=OPTIONS)
    assert {anomaly.source for anomaly in report.anomalies} == {payload.source}
    assert {anomaly.dataset for anomaly in report.anomalies} == payload.datasets
    assert (report.passed, report.not_run) == (payload.passed, payload.not_run)
    assert Counter(anomaly.kind.value for anomaly in report.anomalies) == payload.kinds
    assert Counter(anomaly.severity.value for anomaly in report.anomalies) == payload.severities


@each_payload
def test_every_problem_in_a_payload_is_a_problem_of_its_own(payload):
    report = read_report(content(payload.name, payload.part), options=OPTIONS)
    assert len({anomaly_key(anomaly) for anomaly in report.anomalies}) == payload.count
    assert all(anomaly.samples == [] for anomaly in report.anomalies)


@each_payload
def test_exactly_the_adapter_of_its_tool_claims_a_payload(payload):
    given_payload = content(payload.name, payload.part)
    items = (
        given_payload if isinstance(given_payload, list) and not claims(given_payload) else [given_payload]
    )
    assert [claims(item) for item in items] == [[payload.source]] * len(items)
    assert read_report(given_payload, options=OPTIONS) == read_report(
        given_payload, source=payload.source, options=OPTIONS
    )


@pytest.mark.parametrize(("source", "name", "part", "words"), OTHERS)
def test_what_is_no_payload_is_refused_in_words(source, name, part, words):
    with pytest.raises(AnomalyFormatError, match=r"no known source|is due here"):
        read_report(content(name, part))
    with pytest.raises(AnomalyFormatError, match=words):
        read_report(content(name, part), source=source)


@pytest.mark.parametrize(
    "payload",
    [
        {"items": [{"id": 1}]},
        {"items": []},
        {"data": [], "meta": {"count": 0}},
        {"data": []},
        {"results": []},
    ],
    ids=str,
)
def test_a_shape_that_many_programs_have_is_nobody_s(payload):
    assert claims(payload) == []


def test_all_of_them_in_one_list_are_read_in_their_order():
    report = read_report([content(payload.name, payload.part) for payload in PAYLOADS], options=OPTIONS)
    assert len(report.anomalies) == sum(payload.count for payload in PAYLOADS)
    sources = [payload.source for payload in PAYLOADS for _ in range(payload.count)]
    assert [anomaly.source for anomaly in report.anomalies] == sources


KEYS = sorted(
    {
        step
        for payload in PAYLOADS
        for path in places(content(payload.name, payload.part))
        for step in path
        if isinstance(step, str)
    }
    | (Anomaly.model_fields.keys() - {"source"})
    | {"contract", "detail", "failure_cases", "rows", "x"}
)
VALUES = st.sampled_from(
    [
        None,
        True,
        0,
        -1,
        1.5,
        float("nan"),
        10**5000,
        "",
        " ",
        "fail",
        "\ud800",
        "x" * 5000,
        [],
        [[]],
        {},
        {"x": 1},
    ]
)


@settings(max_examples=250, suppress_health_check=[HealthCheck.data_too_large])
@given(data=st.data())
def test_a_payload_is_never_taken_for_another_tool_s_whatever_is_changed_in_it(data):
    payload = data.draw(st.sampled_from(PAYLOADS))
    changed = copy.deepcopy(content(payload.name, payload.part))
    for _ in range(data.draw(st.integers(1, 3))):
        *way, last = data.draw(st.sampled_from(list(places(changed)) or [("x",)]))
        parent = changed
        for step in way:
            parent = parent[step]
        if isinstance(parent, dict) and data.draw(st.booleans()):
            parent.pop(last, None)
        elif isinstance(parent, dict):
            parent[data.draw(st.sampled_from([last, *KEYS]))] = copy.deepcopy(data.draw(VALUES))
    source = data.draw(st.sampled_from([AUTO, payload.source]))
    with contextlib.suppress(AnomalyFormatError):
        report = read_report(changed, source=source, options=OPTIONS)
        assert {anomaly.source for anomaly in report.anomalies} <= {payload.source}
