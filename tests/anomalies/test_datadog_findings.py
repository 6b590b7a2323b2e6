from __future__ import annotations

import copy
import json

import pytest

from airflow_provider_servicenow_dq.anomalies import datadog
from airflow_provider_servicenow_dq.anomalies.model import anomaly_key, occurrence_id
from airflow_provider_servicenow_dq.anomalies.reading import read_report
from airflow_provider_servicenow_dq.exceptions import AnomalyFormatError

SEARCH = "datadog-cassette-search-security-findings-returns-ok-response-with-pagination"
FINDING_ID = "ZGVmLTAway1leWV-aS0wOGE2ZmE2ODdjOWE2ZDJkYg=="
MOMENT = 1765838670804
ISO = "2025-12-15T22:44:30.804000+00:00"


@pytest.fixture
def answer(payload):
    """What Datadog answered to a search for one finding."""
    return payload(SEARCH)["interactions"][0]["response"]["body"]


@pytest.fixture
def finding(answer):
    """Builds a failing finding out of the recorded one; keys are those of its facts."""

    def build(**changes):
        made = copy.deepcopy(answer["data"][0])
        facts = made["attributes"]["attributes"]["custom"]
        facts["compliance"]["evaluation"] = "fail"
        facts.update(changes)
        return made

    return build


def read_one(payload, **options):
    (anomaly,) = datadog.read(payload, **options).anomalies
    return anomaly


def test_a_finding_is_read_from_under_its_envelopes(answer, finding):
    anomaly = read_one({**answer, "data": [finding()]})
    assert (anomaly.source, anomaly.kind, anomaly.type) == ("datadog", "security_finding", "misconfiguration")
    assert (anomaly.external_id, anomaly.anomaly_id) == (FINDING_ID, FINDING_ID)
    assert (anomaly.dataset, anomaly.check_id) == ("i-08a6fa687c9a6d2db", "def-00k-eye")
    assert anomaly.check_name == "The kubelet client certificate rotation should be enabled"
    assert (anomaly.severity, anomaly.status, anomaly.status_changed_at) == ("high", "active", None)
    assert anomaly.observed == "kube-system_nodeless-amd64-d-m6a-2xlarge (kubernetes_worker_node)"
    assert anomaly.message.startswith("## Description\n\nKubelet client")
    assert "%%%" not in anomaly.message
    assert len(anomaly.tags) == 100
    assert anomaly.tags[0] == "scored:true"
    assert anomaly.tags[-1].endswith(" more")


def test_times_are_milliseconds(finding):
    assert read_one(finding()).detected_at.isoformat() == ISO
    assert read_one(finding(last_seen_at=None)).detected_at.isoformat() == ISO
    bare = finding(last_seen_at=None, detection_changed_at=None)
    assert read_one(bare).detected_at.isoformat() == ISO


def test_a_finding_that_is_still_there_is_seen_again_and_stays_the_same_problem(finding):
    before, after = read_one(finding()), read_one(finding(last_seen_at=MOMENT + 86_400_000, severity="low"))
    assert anomaly_key(before) == anomaly_key(after)
    assert occurrence_id(before) != occurrence_id(after)
    assert occurrence_id(before) == occurrence_id(read_one(finding(title="renamed")))


def test_all_forms_of_an_answer_are_read_alike(answer, finding):
    one = finding()
    forms = [{**answer, "data": [one]}, {"data": one}, one, json.dumps({"data": [one]})]
    expected = read_one(one)
    for form in forms:
        assert read_one(form) == expected
    assert [anomaly.anomaly_id for anomaly in read_report([one, one]).anomalies] == [FINDING_ID] * 2
    assert [read_report(form).anomalies for form in forms[:3]] == [[expected]] * 3


def test_facts_without_their_envelope_are_read_as_the_documentation_shows_them(finding):
    one = finding()
    expected = read_one(one)
    one["attributes"]["attributes"] = one["attributes"]["attributes"]["custom"]
    assert read_one(one) == expected


def test_a_search_that_found_nothing_is_no_anomaly(answer):
    assert read_report({**answer, "data": []}).anomalies == []


def test_a_search_that_ran_out_of_time_is_read_and_said(answer, finding, caplog):
    assert read_one({**answer, "data": [finding()], "meta": {"status": "timeout"}})
    assert "may be more findings" in caplog.text


@pytest.mark.parametrize(
    ("severity", "details", "read_as"),
    [
        ("critical", {"base": {"value": "low"}, "adjusted": {"value": "low"}}, "critical"),
        (None, {"base": {"value": "medium"}, "adjusted": {"value": "low"}}, "low"),
        (None, {"adjusted": {"value": "low"}, "user_adjusted": {"value": "Critical"}}, "critical"),
        (None, {"base": {"value": "medium"}}, "medium"),
        ("none", None, "info"),
        ("unknown", {"base": {"value": "high"}}, "high"),
        ("unknown", None, "medium"),
        (None, None, "medium"),
    ],
)
def test_the_adjusted_severity_counts(finding, severity, details, read_as):
    assert read_one(finding(severity=severity, severity_details=details)).severity == read_as


@pytest.mark.parametrize(
    ("status", "mute", "read_as"),
    [
        ("open", None, "active"),
        ("open", {"is_muted": False}, "active"),
        ("in-progress", None, "acknowledged"),
        ("some new word", None, "active"),
        (None, None, "active"),
        ("open", {"is_muted": True, "reason": "FALSE_POSITIVE"}, "invalid"),
        ("muted", {"is_muted": True, "reason": "false_positive"}, "invalid"),
        ("muted", {"is_muted": True, "reason": "DUPLICATE"}, "duplicate"),
        *(
            ("muted", {"is_muted": True, "reason": reason}, "discarded")
            for reason in (
                *("HUMAN_ERROR", "NO_FIX", "NO_LONGER_ACCEPTED_RISK", "NO_PENDING_FIX"),
                *("OTHER", "PENDING_FIX", "RISK_ACCEPTED"),
            )
        ),
        ("muted", None, "discarded"),
        ("auto_closed", {"is_muted": False}, "resolved"),
        ("auto_closed", {"is_muted": True, "reason": "OTHER"}, "resolved"),
        ("resolved", None, "resolved"),
    ],
)
def test_status_and_muting_become_our_status(finding, status, mute, read_as):
    assert read_one(finding(status=status, workflow={"mute": mute})).status == read_as


def test_what_passes_its_rule_is_resolved_though_datadog_lists_it_as_open(answer):
    facts = answer["data"][0]["attributes"]["attributes"]["custom"]
    assert (facts["compliance"]["evaluation"], facts["status"]) == ("pass", "open")
    anomaly = read_one(answer)
    assert (anomaly.status, anomaly.status_changed_at.isoformat()) == ("resolved", ISO)


@pytest.mark.parametrize(
    ("status", "workflow"),
    [
        ("auto_closed", {"auto_closed_at": MOMENT, "mute": {"is_muted": False}}),
        ("muted", {"mute": {"is_muted": True, "reason": "OTHER", "muted_at": MOMENT}}),
    ],
)
def test_it_is_known_since_when_a_finding_is_closed_or_muted(finding, status, workflow):
    anomaly = read_one(finding(status=status, workflow=workflow, detection_changed_at=1))
    assert anomaly.status_changed_at.isoformat() == ISO


@pytest.mark.parametrize(
    ("changes", "check_id", "check_name"),
    [
        ({"rule": None, "advisory": {"cve": "CVE-2025-1", "id": "TRIVY-1"}, "title": "x"}, "CVE-2025-1", "x"),
        ({"rule": None, "advisory": {"id": "T", "summary": "two\n  lines"}, "title": None}, "T", "two lines"),
        ({"rule": {"id": "r", "name": "rule"}, "title": None}, "r", "rule"),
        ({"rule": None, "title": "only this"}, "only this", "only this"),
        ({"rule": None, "title": None}, "misconfiguration", "misconfiguration"),
        ({"rule": None, "title": None, "finding_type": None}, "security finding", "security finding"),
    ],
)
def test_a_rule_or_an_advisory_says_what_was_found(finding, changes, check_id, check_name):
    anomaly = read_one(finding(**changes))
    assert (anomaly.check_id, anomaly.check_name) == (check_id, check_name)


def test_whoever_it_is_assigned_to_owns_it(finding):
    assert read_one(finding(workflow={"triage": {"assignee": {"name": "Ann"}}})).owner == "Ann"


@pytest.mark.parametrize(
    ("finding_type", "external_id", "page"),
    [
        ("misconfiguration", "a==", "security/compliance?query=%40finding_id%3Aa%3D%3D"),
        (
            "library_vulnerability",
            "ZGZhMDI3ZjdjMDM3YjJmNzcxNTlhZGMwMjdmZWNiNTZ-MTVlYTNmYWU3NjNlOTNlYTE2YjM4N2JmZmI4Yjk5N2Y=",
            "security/appsec/vm/library/vulnerability/dfa027f7c037b2f77159adc027fecb56?detection=static",
        ),
        ("library_vulnerability", "not base64", None),
        ("secret", "a", None),
    ],
)
def test_links_are_those_that_datadog_s_own_cases_have(finding, finding_type, external_id, page):
    one = {**finding(finding_type=finding_type), "id": external_id}
    url = read_one(one, base_url="https://app.datadoghq.eu/").url
    assert url == (page and f"https://app.datadoghq.eu/{page}")
    assert read_one(one).url is None


def test_the_id_among_the_facts_and_the_dataset_option_stand_in(finding):
    one = {**finding(resource_id=None), "id": None}
    anomaly = read_one(one, dataset="cloud")
    assert (anomaly.external_id, anomaly.dataset) == (FINDING_ID, "cloud")
    with pytest.raises(AnomalyFormatError, match="give the option dataset") as refusal:
        datadog.read([one])
    assert refusal.value.path == "[0].attributes.attributes.custom.resource_id"


@pytest.mark.parametrize(
    ("body", "words", "path"),
    [
        ({"data": {"id": "x", "type": "cases", "attributes": {}}}, "a case", "data.type"),
        ({"data": [{"id": "x", "type": "findings"}]}, "nothing but its id", "data[0].type"),
        ({"data": [{"id": "x", "type": "detailed_finding"}]}, "older posture", "data[0].type"),
        (
            {"data": {"id": "x", "type": "finding", "attributes": {"evaluation": "fail", "status": "low"}}},
            "older posture",
            "data",
        ),
        (
            {"errors": [{"status": "404", "title": "Not Found", "detail": "finding not found"}]},
            "404",
            "errors",
        ),
        ({"errors": ["Forbidden"]}, "answered with an error: Forbidden", "errors"),
        ({"data": None}, "object is due", "data"),
        ({}, "'finding' is due", "type"),
    ],
)
def test_what_is_no_finding_is_refused_in_words(body, words, path):
    with pytest.raises(AnomalyFormatError, match=words) as refusal:
        datadog.read(body)
    assert refusal.value.path == path


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"last_seen_at": "yesterday"}, "last_seen_at"),
        ({"severity": ["high"]}, "severity"),
        ({"workflow": {"mute": 1}}, "workflow.mute"),
        ({"resource_id": "r" * 600}, "resource_id"),
        ({"finding_type": "t" * 600}, "finding_type"),
    ],
)
def test_what_no_finding_says_is_refused_by_its_place(finding, changes, path):
    with pytest.raises(AnomalyFormatError) as refusal:
        read_report([{"data": [finding(), finding(**changes)]}])
    assert refusal.value.path == f"[0].data[1].attributes.attributes.custom.{path}"
