from __future__ import annotations

import json
from pathlib import Path

import pytest

from airflow_provider_servicenow_dq.anomalies import soda
from airflow_provider_servicenow_dq.anomalies.model import anomaly_key
from airflow_provider_servicenow_dq.exceptions import AnomalyFormatError

PAYLOADS = Path(__file__).parents[1] / "payloads"
# check_id, columns, kind, failed, unit, observed: each as the scan of the flights has it.
FLIGHTS = [
    ("cde8a4c8", [], "check_failed", None, None, "336776"),
    ("a87bde51", [], "check_failed", 29768, "groups", "29768"),
    ("3fa64536", ["booking_ref", "flight"], "schema", None, None, "2 schema event(s)"),
    ("dd0c271f", ["tailnum"], "check_failed", 50094, "rows", "50094"),
    ("0c3cafda", [], "check_failed", 40, "rows", "40"),
    ("f1d27fbc", ["dep_time"], "check_failed", 8255, "rows", "8255"),
    ("e8209a4b", ["arr_delay"], "check_failed", 9430, "rows", "2.8"),
    ("2283e756", ["arr_delay"], "check_failed", None, None, "6.89537675731489"),
    ("9f46a4f8", ["origin"], "check_failed", 120835, "rows", "120835"),
    ("9e5f17d5", ["time_hour"], "freshness", None, None, "4707 days, 19:19:40.386285"),
    ("12793d1d", ["sex"], "check_failed", 11, "rows", "11"),
]


@pytest.fixture
def scan(payload):
    return payload("soda3-flights-scan")


@pytest.fixture
def broken(payload):
    return payload("soda3-flights-scan-error")


def read_one(scan, **options):
    (anomaly,) = soda.read(scan, **options).anomalies
    return anomaly


def with_one_check(scan, **changes):
    return {**scan, "checks": [{**scan["checks"][5], **changes}]}


def test_each_failed_check_of_a_scan_is_an_anomaly_and_the_others_are_counted(scan):
    report = soda.read(scan)
    assert [
        (a.check_id, a.columns, a.kind, a.failed_count, a.failed_unit, a.observed) for a in report.anomalies
    ] == FLIGHTS
    assert (report.passed, report.not_run) == (1, 0)
    assert [a.dataset for a in report.anomalies] == ["nyc.flights"] * 10 + ["nyc.penguins_raw"]
    assert {a.severity for a in report.anomalies} == {"high"}
    assert {a.detected_at.isoformat() for a in report.anomalies} == {"2026-11-21T23:19:40+00:00"}


def test_what_was_expected_is_said_as_the_limits_that_fail(scan):
    expected = {anomaly.check_id: anomaly.expected for anomaly in soda.read(scan).anomalies}
    assert expected["cde8a4c8"] == "fails when > 300000 or < 1"
    assert expected["e8209a4b"] == "fails when > 2"
    assert expected["9e5f17d5"] is None


def test_a_schema_check_says_which_columns_are_wrong_and_how(scan):
    scan["checks"][2]["diagnostics"]["present_column_names"] = ["ssn"]
    schema = soda.read(scan).anomalies[2]
    assert schema.message.splitlines() == [
        "booking_ref is missing",
        "ssn must not be there",
        "flight is bigint, expected varchar",
    ]


def test_one_broken_check_that_emptied_the_scan_is_one_check_that_could_not_run(broken):
    report = soda.read(broken)
    (anomaly,) = report.anomalies
    assert (report.passed, report.not_run) == (0, 0)
    assert (anomaly.kind, anomaly.severity, anomaly.dataset) == ("check_error", "high", "nyc.flights")
    assert (anomaly.check_id, anomaly.check_name) == ("scan nyc_nightly", "Soda scan nyc_nightly")
    assert anomaly.message.startswith("duckdb.duckdb.BinderException: Binder Error: Referenced column")
    assert "Traceback" not in anomaly.message


def test_a_scan_that_broke_off_without_a_query_tells_what_it_logged(broken):
    broken["queries"] = []
    anomaly = read_one(broken)
    assert anomaly.dataset == "nyc"
    assert anomaly.message.splitlines()[0].startswith("Query execution error in 1.nyc.flights")
    assert anomaly.message.splitlines()[-1] == "Error occurred while executing scan."
    assert "Soda Core" not in anomaly.message


def test_what_broke_does_not_hide_what_failed(scan, broken):
    scan |= {"hasErrors": True, "queries": broken["queries"] * 2}
    kinds = [anomaly.kind for anomaly in soda.read(scan).anomalies]
    assert kinds.count("check_error") == 1
    assert len(kinds) == len(FLIGHTS) + 1


def test_an_error_that_the_scan_overcame_is_no_anomaly(scan, broken):
    scan["queries"] = broken["queries"]
    assert len(soda.read(scan).anomalies) == len(FLIGHTS)


def test_a_warning_is_milder_than_a_failure_and_tells_its_own_limit(scan):
    checks = scan["checks"]
    anomaly = read_one({**scan, "checks": [{**checks[6], "outcome": "warn"}]})
    assert (anomaly.severity, anomaly.expected) == ("medium", "warns when > 1")


def test_a_check_without_an_outcome_is_neither_passed_nor_failed(scan):
    report = soda.read(with_one_check(scan, outcome=None))
    assert (report.anomalies, report.passed, report.not_run) == ([], 0, 1)


def test_monitoring_checks_count_like_the_others(scan):
    monitoring = {**scan["checks"][7], "type": "anomalyDetection", "archetype": "rowConsistency"}
    anomaly = read_one({**scan, "checks": [], "automatedMonitoringChecks": [monitoring]})
    assert anomaly.kind == "drift"


@pytest.mark.parametrize(
    ("severity", "words", "read_as"),
    [
        ("critical", None, "critical"),
        ("Info", None, "info"),
        ("SEV1", {"sev1": "critical"}, "critical"),
        (2, {"2": "LOW"}, "low"),
        ("terrible", None, "high"),
        (None, None, "high"),
    ],
)
def test_a_severity_attribute_beats_the_outcome(scan, severity, words, read_as):
    attributes = [{"name": "Severity", "value": severity}, {"name": "owner", "value": "flight-ops"}]
    anomaly = read_one(with_one_check(scan, resourceAttributes=attributes), severities=words)
    assert (anomaly.severity, anomaly.owner, anomaly.tags) == (read_as, "flight-ops", [])


def test_all_other_attributes_become_tags(scan):
    attributes = [{"name": "team", "value": ["a", "b"]}, {"name": "tier", "value": 1}]
    assert read_one(with_one_check(scan, resourceAttributes=attributes)).tags == [
        "team:a",
        "team:b",
        "tier:1",
    ]


def test_a_rerun_has_the_same_keys_whatever_else_changed(scan):
    before = [anomaly_key(anomaly) for anomaly in soda.read(scan).anomalies]
    scan |= {"dataTimestamp": "2027-01-01T00:00:00Z", "definitionName": "other"}
    for check in scan["checks"]:
        check["diagnostics"]["value"] = 7
        check["diagnostics"]["blocks"] = []
        check |= {"name": "renamed", "location": None}
    scan["checks"].reverse()
    assert [anomaly_key(anomaly) for anomaly in soda.read(scan).anomalies] == before[::-1]


@pytest.mark.parametrize("given", [{"source_identity": "mine"}, {"identities": {"v3": "x", "v4": "mine"}}])
def test_an_identity_that_the_user_gave_outlives_a_new_threshold(scan, given):
    anomalies = [
        read_one(with_one_check(scan, identity=identity, **given)) for identity in ("498662c2", "c0ce0b54")
    ]
    assert {anomaly.check_id for anomaly in anomalies} == {"mine"}
    assert anomaly_key(anomalies[0]) == anomaly_key(anomalies[1])


def test_the_rows_that_failed_are_not_kept(scan):
    assert all(anomaly.samples == [] for anomaly in soda.read(scan).anomalies)


@pytest.mark.parametrize("form", ["path", "text path", "text"])
def test_the_file_of_a_scan_is_read_like_its_results(scan, form):
    path = PAYLOADS / "soda3-flights-scan.json"
    given = {"path": path, "text path": str(path), "text": path.read_text(encoding="utf-8")}[form]
    assert soda.read(given) == soda.read(scan)


def test_the_dataset_option_stands_in_where_the_scan_names_none(scan):
    bare = with_one_check(scan, dataSource=None, table=None)
    assert read_one(bare, dataset="mine").dataset == "mine"
    assert read_one(with_one_check(scan), dataset="mine").dataset == "nyc.flights"
    with pytest.raises(AnomalyFormatError, match="give the option dataset") as refusal:
        soda.read(bare)
    assert refusal.value.path == "checks[0]"


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"outcome": "skip"}, "checks[0].outcome"),
        ({"identity": None}, "checks[0].identity"),
        ({"table": "t" * 600}, "checks[0]"),
        ({"resourceAttributes": {}}, "checks[0].resourceAttributes"),
        ({"diagnostics": []}, "checks[0].diagnostics"),
        (
            {"diagnostics": {"blocks": [{"totalFailingRows": -1}]}},
            "checks[0].diagnostics.blocks[0].totalFailingRows",
        ),
    ],
)
def test_what_no_scan_says_is_refused_by_its_place(scan, changes, path):
    with pytest.raises(AnomalyFormatError) as refusal:
        soda.read(with_one_check(scan, **changes))
    assert refusal.value.path == path


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ({"severities": {"sev1": "terrible"}}, "source_options.severities.sev1"),
        ({"severities": ["sev1"]}, "source_options.severities"),
        ({"dataset": ["nyc"]}, "source_options.dataset"),
    ],
)
def test_a_wrong_option_is_refused_by_its_name(scan, options, path):
    with pytest.raises(AnomalyFormatError) as refusal:
        soda.read(scan, **options)
    assert refusal.value.path == path


@pytest.mark.parametrize("payload", [{}, [], 7, {"checks": []}, json.dumps({"results": 1})], ids=repr)
def test_what_is_no_result_of_soda_is_refused(payload):
    with pytest.raises(AnomalyFormatError):
        soda.read(payload)
