from __future__ import annotations

import json
import logging

import pytest
from soda_objects import objects, record

from airflow_provider_servicenow_dq.anomalies import airflow_sql, soda
from airflow_provider_servicenow_dq.anomalies.model import anomaly_key
from airflow_provider_servicenow_dq.exceptions import AnomalyFormatError

# check_id, name, columns, failed, observed, expected: each as the contract of the flights has it.
FLIGHTS = [
    ("291b2ce6", "dep_time must be present", ["dep_time"], 8255, "8255", "must be 0"),
    ("cba6202f", "No invalid values (origin)", ["origin"], 120835, "120835", "must be 0"),
    (
        "09e15bc8",
        "No missing values (arr_delay)",
        ["arr_delay"],
        9430,
        "2.800080765850298",
        "must be less than 2",
    ),
    (
        "80953386",
        "Metric function meets threshold (arr_delay)",
        ["arr_delay"],
        None,
        "6.89537675731489",
        "must be greater than -5 and must be less than 5",
    ),
    ("04b7330c", "Row count meets expected threshold", [], None, "336776", "must be less than 300000"),
    ("d65c8d34", "No duplicate values", [], 32610, "32610", "must be 0"),
    ("1a86723b", "Departed more than 10 h late", [], 40, "40", "must be 0"),
]


@pytest.fixture
def session(payload):
    return payload("soda4-flights-contract")


@pytest.fixture
def contract(session):
    return session["results"][0]


def read_one(contract, **changes):
    result = contract["check_results"][0]
    one = {**contract, "check_results": [{**result, **changes}]}
    (anomaly,) = soda.read(one).anomalies
    return anomaly


def test_each_failed_check_of_a_contract_is_an_anomaly_and_what_was_not_evaluated_is_none(session):
    report = soda.read(session)
    assert [
        (a.check_id, a.check_name, a.columns, a.failed_count, a.observed, a.expected)
        for a in report.anomalies
    ] == FLIGHTS
    assert (report.passed, report.not_run) == (1, 1)
    assert {a.dataset for a in report.anomalies} == {"nyc.nyc.main.flights"}
    assert {a.detected_at.isoformat() for a in report.anomalies} == {"2026-11-21T23:23:27.664713+00:00"}
    counted = [a for a in report.anomalies if a.failed_count is not None]
    assert {(a.failed_unit, a.total_count) for a in counted} == {("rows", 336776)}


def test_soda_s_own_objects_are_read_like_the_dicts_of_their_attributes(session, contract):
    expected = soda.read(session)
    assert soda.read(objects(session)) == expected
    assert soda.read(objects(contract)) == soda.read(contract) == expected
    assert soda.recognises(objects(session))
    assert soda.recognises(objects(contract))


def test_a_contract_s_results_are_not_taken_for_those_of_a_sql_check(contract):
    assert soda.recognises(contract)
    assert not airflow_sql.recognises(contract)


def test_the_older_names_of_the_same_fields_are_read(session, contract):
    contract["contract"] = contract.pop("check_collection")
    older = {"contract_verification_results": [contract]}
    assert soda.recognises(older)
    assert len(soda.read(older).anomalies) == len(FLIGHTS)


def test_an_outcome_may_be_written_behind_the_name_of_its_enumeration(contract):
    contract["check_results"] = [{**contract["check_results"][0], "outcome": "CheckOutcome.PASSED"}]
    assert soda.read(contract).passed == 1


@pytest.mark.parametrize("outcome", ["NOT_EVALUATED", "EXCLUDED"])
def test_what_was_not_evaluated_is_neither_passed_nor_failed(contract, outcome):
    contract["check_results"] = [{**contract["check_results"][0], "outcome": outcome}]
    report = soda.read(contract)
    assert (report.anomalies, report.passed, report.not_run) == ([], 0, 1)


def test_a_severity_attribute_beats_the_outcome(contract):
    check = contract["check_results"][0]["check"]
    for severity, read_as in [("critical", "critical"), ("LOW", "low"), ("no word of ours", "high")]:
        attributes = {"severity": severity, "owner": "ops", "domain": "flights"}
        anomaly = read_one(contract, check={**check, "attributes": attributes})
        assert (anomaly.severity, anomaly.owner, anomaly.tags) == (read_as, "ops", ["domain:flights"])
    assert read_one(contract, check={**check, "attributes": None}).severity == "high"


def test_a_warning_tells_the_threshold_that_it_is_about(contract):
    check = contract["check_results"][0]["check"] | {"attributes": None}
    threshold = {**check["threshold"], "level": "warn", "must_be": None, "must_be_less_than_or_equal": 5}
    anomaly = read_one(contract, outcome="WARN", check={**check, "warn_threshold": threshold})
    assert (anomaly.severity, anomaly.expected) == ("medium", "must be less than or equal 5")
    assert read_one(contract, outcome="WARN", check=check).expected == "must be 0"
    assert read_one(contract, check={**check, "warn_threshold": threshold}).expected == "must be 0"


@pytest.mark.parametrize(("kind", "read_as"), [("schema", "schema"), ("freshness", "freshness")])
def test_schema_and_freshness_are_kinds_of_their_own(contract, kind, read_as):
    check = {**contract["check_results"][0]["check"], "type": kind}
    anomaly = read_one(contract, check=check)
    assert (anomaly.kind, anomaly.failed_count) == (read_as, None)


def test_a_contract_that_broke_off_could_not_run(contract):
    contract |= {"status": "ERROR", "check_results": []}
    broken = objects(contract)
    broken.log_records = [record(logging.INFO, "fine"), record(logging.ERROR, "no such table")]
    (anomaly,) = soda.read(broken).anomalies
    assert (anomaly.kind, anomaly.dataset) == ("check_error", "nyc.nyc.main.flights")
    assert anomaly.message == "no such table now"
    (dumped,) = soda.read({**contract, "error": "boom"}).anomalies
    assert anomaly_key(dumped) == anomaly_key(anomaly)
    assert dumped.message == "boom"
    broken.error, broken.log_records = OSError("gone"), None
    assert soda.read(broken).anomalies[0].message == "OSError: gone"


def test_what_broke_does_not_hide_what_failed(contract):
    kinds = [anomaly.kind for anomaly in soda.read({**contract, "status": "ERROR"}).anomalies]
    assert kinds == ["check_failed"] * len(FLIGHTS) + ["check_error"]


def test_a_session_that_broke_off_before_its_contracts_could_not_run(session):
    session |= {"results": [], "session_log_records": []}
    broken = objects(session)
    broken.session_log_records = [record(logging.ERROR, "cannot connect")]
    assert soda.recognises(broken)
    with pytest.raises(AnomalyFormatError, match=r"cannot connect now.*give the option dataset"):
        soda.read(broken)
    (anomaly,) = soda.read(broken, dataset="nyc").anomalies
    assert (anomaly.kind, anomaly.dataset, anomaly.message) == ("check_error", "nyc", "cannot connect now")
    assert soda.read(session).anomalies == []


def test_a_rerun_has_the_same_keys_whatever_else_changed(session, contract):
    before = [anomaly_key(anomaly) for anomaly in soda.read(session).anomalies]
    contract["data_timestamp"] = "2027-01-01T00:00:00Z"
    for result in contract["check_results"]:
        result |= {"threshold_value": 1, "diagnostic_metric_values": {}}
        result["check"] |= {"name": "renamed", "threshold": None, "contract_file_line": 1}
    assert [anomaly_key(anomaly) for anomaly in soda.read(session).anomalies] == before


@pytest.mark.parametrize(
    ("place", "value", "path"),
    [
        (["outcome"], "BROKEN", "results[0].check_results[0].outcome"),
        (["check"], None, "results[0].check_results[0].check"),
        (["check", "attributes"], [], "results[0].check_results[0].check.attributes"),
        (
            ["diagnostic_metric_values", "missing_count"],
            1.5,
            "results[0].check_results[0].diagnostic_metric_values.missing_count",
        ),
    ],
)
def test_what_no_contract_says_is_refused_by_its_place(session, contract, place, value, path):
    parent = contract["check_results"][0]
    for step in place[:-1]:
        parent = parent[step]
    parent[place[-1]] = value
    with pytest.raises(AnomalyFormatError) as refusal:
        soda.read(json.dumps(session))
    assert refusal.value.path == path


def test_a_result_without_its_checks_or_its_check_s_identity_is_refused(contract):
    with pytest.raises(AnomalyFormatError, match="list of results is due") as refusal:
        soda.read({**contract, "check_results": None})
    assert refusal.value.path == "check_results"
    check = contract["check_results"][0]["check"]
    check |= {"identity": None, "check_path": "", "relative_path": None}
    with pytest.raises(AnomalyFormatError, match="which check"):
        soda.read(contract)
