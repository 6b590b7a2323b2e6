from __future__ import annotations

import pytest

from airflow_provider_servicenow_dq.anomalies import qualytics
from airflow_provider_servicenow_dq.anomalies.model import Anomaly, anomaly_key
from airflow_provider_servicenow_dq.exceptions import AnomalyFormatError


def read_one(payload, **options):
    (anomaly,) = qualytics.read(payload, **options).anomalies
    return anomaly


def test_the_builder_has_every_field_that_the_published_models_require(payload, listing):
    models = payload("qualytics-openapi-models")["models"]
    assert listing().keys() == models["GetAnomalyListing@20251024-3d1ade3"]["fields"].keys()


def test_a_listing_says_everything(listing):
    anomaly = read_one(listing(), base_url="https://acme.qualytics.io/")
    assert anomaly == Anomaly.model_validate(
        {
            "source": "qualytics",
            "external_id": 824,
            "dataset": "sales.orders",
            "check_id": "17",
            "check_name": "between",
            "kind": "record",
            "type": "record",
            "columns": ["amount"],
            "severity": "medium",
            "status": "active",
            "detected_at": "2026-01-22T13:22:40.780346Z",
            "failed_count": 3,
            "failed_unit": "rows",
            "message": "amount is 250",
            "failed_checks": ["amount is 250"],
            "tags": ["finance"],
            "url": "https://acme.qualytics.io/datastores/23/anomalies?id=824",
        }
    )
    assert anomaly.anomaly_id == 824


def test_pages_and_lists_keep_their_order(listing):
    anomalies = [listing(id=number) for number in (3, 1, 2)]
    for payload in (anomalies, {"items": anomalies, "total": 3, "page": 1, "size": 100, "pages": 1}):
        assert [a.anomaly_id for a in qualytics.read(payload).anomalies] == [3, 1, 2]
    assert qualytics.read({"items": []}).anomalies == []


@pytest.mark.parametrize(
    ("given", "archived", "status", "is_open"),
    [
        ("Active", False, "active", True),
        ("Acknowledged", False, "acknowledged", True),
        ("Resolved", True, "resolved", False),
        ("Duplicate", True, "duplicate", False),
        ("Invalid", True, "invalid", False),
        ("Discarded", True, "discarded", False),
        ("Snoozed", False, "active", True),
        ("Forgotten", True, "discarded", False),
    ],
)
def test_the_status_is_mapped_and_a_new_word_neither_stops_nor_resolves(
    listing, given, archived, status, is_open
):
    anomaly = read_one(listing(status=given, archived=archived))
    assert (anomaly.status, anomaly.is_open) == (status, is_open)


@pytest.mark.parametrize(
    ("type_name", "kind"), [("record", "record"), ("shape", "shape"), ("other", "check_failed")]
)
def test_the_type_is_kept_as_it_is_named(listing, type_name, kind):
    anomaly = read_one(listing(type=type_name))
    assert (anomaly.type, anomaly.kind) == (type_name, kind)


@pytest.mark.parametrize(
    ("weight", "severity"), [(54, "critical"), (50, "critical"), (49.5, "high"), (3, "medium")]
)
def test_the_weight_becomes_a_severity_only_by_thresholds_of_ones_own(listing, weight, severity):
    assert read_one(listing(weight=weight), weights={"high": 20, "critical": 50}).severity == severity
    assert read_one(listing(weight=weight)).severity == "medium"


def test_comments_come_along(listing):
    comments = [
        {"id": 9, "created": "2026-01-23T08:00:00Z", "message": "on it", "user": {"id": 1, "name": "Ann"}}
    ]
    (comment,) = read_one(listing(comments=comments)).comments
    assert (comment.id, comment.author, comment.body) == ("9", "Ann", "on it")


def test_the_flow_document_is_read(payload):
    document = payload("qualytics-n8n-webhook-doc")["payload"]
    assert read_one(document) == Anomaly.model_validate(
        {
            "source": "qualytics",
            "external_id": 1,
            "dataset": "Production DB.orders",
            "check_name": "Amount Range Check",
            "kind": "check_failed",
            "type": "unexpected_value",
            "columns": ["amount"],
            "detected_at": "2026-01-25T11:59:00Z",
            "message": "Value outside expected range",
            "failed_checks": ["Value outside expected range"],
            "url": "https://demo.qualytics.io/...",
        }
    )


def test_the_ticket_that_qualytics_writes_is_read_back(payload):
    response = payload("qualytics-seed-anomaly824-ticket")["create_ticket_response"]
    message = "The field 'max_value' has a value that falls outside the declared limits"
    assert read_one(response) == Anomaly.model_validate(
        {
            "source": "qualytics",
            "external_id": 824,
            "dataset": "datastores/23",
            "check_name": "record",
            "kind": "record",
            "type": "record",
            "status": "acknowledged",
            "detected_at": "2026-01-22T13:22:40.780346Z",
            "message": message,
            "failed_checks": [message],
            "url": "https://your-qualytics-instance.qualytics.io/datastores/23/anomalies?id=824",
        }
    )


def test_one_anomaly_has_one_key_in_every_form(payload, listing):
    ticket = payload("qualytics-seed-anomaly824-ticket")["create_ticket_response"]
    flow = payload("qualytics-n8n-webhook-doc")["payload"]
    flow["context"]["anomalies"][0]["id"] = 824
    changed = listing(failed_checks=[], status="Resolved", weight=1, container={"name": "moved"})
    assert len({anomaly_key(read_one(form)) for form in (listing(), changed, ticket, flow)}) == 1


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"id": None}, "id"),
        ({"id": True}, "id"),
        ({"id": 10**5000}, "id"),
        ({"created": "soon"}, "created"),
        ({"container": {"name": "x" * 600}}, "container.name"),
        ({"container": None, "datastore": {"name": "x" * 600}}, "datastore.name"),
        ({"failed_checks": {}}, "failed_checks"),
        ({"failed_checks": [{"quality_check": 3}]}, "failed_checks[0].quality_check"),
        ({"datastore": None, "container": None}, ""),
        ({"anomalous_records_count": -1}, "anomalous_records_count"),
        ({"status": 4.5}, "status"),
        ({"comments": [{"id": 1}]}, "comments[0].message"),
        ({"global_tags": "finance"}, "global_tags"),
    ],
)
def test_garbage_is_refused_by_its_place(listing, change, path):
    with pytest.raises(AnomalyFormatError) as refusal:
        qualytics.read(listing(**change))
    assert (refusal.value.source, refusal.value.path) == ("qualytics", path)


@pytest.mark.parametrize(
    ("payload", "path"),
    [
        (None, ""),
        ([7], "[0]"),
        ({"items": 7}, "items"),
        ({"event": "qualytics.flow.triggered"}, "context"),
        ({"ticket": {"description": "by hand"}, "anomaly_id": 1}, "ticket.description"),
        ({"ticket": {}, "anomaly_id": 1}, "ticket.description"),
    ],
)
def test_another_document_is_refused_by_its_place(payload, path):
    with pytest.raises(AnomalyFormatError) as refusal:
        qualytics.read(payload)
    assert refusal.value.path == path
