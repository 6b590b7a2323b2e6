"""Findings as tasks: tickets and cases for them, attached and detached."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from airflow.sdk.exceptions import AirflowFailException
from operating import ListeningTaskInstance, incidents, payload

from airflow_provider_servicenow_dq.exceptions import DeliveryPendingError
from airflow_provider_servicenow_dq.findings.asked import MOST_FINDINGS
from airflow_provider_servicenow_dq.hooks.store import open_store
from airflow_provider_servicenow_dq.operators.servicenow import (
    ServiceNowAttachFindingsOperator,
    ServiceNowCreateFindingTicketsOperator,
    ServiceNowDetachFindingsOperator,
)
from airflow_provider_servicenow_dq.store.schema import request

CASSETTE = "datadog-cassette-search-security-findings-returns-ok-response-with-pagination"
ID = "ZGVmLTAwcC1pZXJ-aS0wZjhjNjMyZDNmMzRlZTgzNw=="


def item(*ids: str, **attributes: str) -> dict[str, object]:
    return {
        "attributes": attributes,
        "relationships": {"findings": {"data": [{"id": each, "type": "findings"} for each in ids]}},
        "type": "servicenow_tickets",
    }


def create(*items, **options):
    return ServiceNowCreateFindingTicketsOperator(task_id="open", data=list(items), **options)


def attach(url, findings):
    return ServiceNowAttachFindingsOperator(task_id="attach", servicenow_ticket_url=url, findings=findings)


def detach(findings):
    return ServiceNowDetachFindingsOperator(task_id="detach", findings=findings)


def test_each_item_becomes_a_ticket_and_a_case_that_fits_an_xcom(sandbox):
    ti = ListeningTaskInstance()

    (case,) = create(item(ID, title="A title", priority="P4")).execute({"ti": ti})

    (row,) = incidents(sandbox)
    assert case["schema_version"] == 1
    assert case["type"] == "cases"
    assert case["attributes"]["servicenow_ticket"]["result"]["sys_id"] == row["sys_id"]
    assert case["attributes"]["key"] == "DQ-1"
    assert case["attributes"]["created_at"].endswith("Z")
    assert ti.xcom["servicenow_url"].endswith(f"incident.do?sys_id={row['sys_id']}")


def test_what_datadog_told_of_the_findings_stands_on_the_ticket(sandbox):
    pages = [each["response"]["body"] for each in payload(CASSETTE)["interactions"]]
    ids = [finding["id"] for page in pages for finding in page["data"]]

    create(item(*ids), findings=pages).execute({})

    (row,) = incidents(sandbox)
    said = row["description"] + "".join(sandbox.notes(row["sys_id"]))
    for page in pages:
        for finding in page["data"]:
            title = " ".join(finding["attributes"]["attributes"]["custom"]["title"].split())
            assert title[:40] in said


def test_a_task_that_runs_again_opens_nothing_twice_and_another_run_does(sandbox):
    for run in ("one", "one", "two"):
        create(item(ID)).execute({"ti": ListeningTaskInstance(run_id=run)})

    assert len(incidents(sandbox)) == 2


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_task_that_is_cleared_days_later_opens_nothing_either(sandbox, dry_run):
    """Airflow forgets no task instance, so neither do we; an ``Idempotency-Key`` is known for a day."""
    (before,) = create(item(ID)).execute({"ti": ListeningTaskInstance()})
    days_ago = datetime.now(UTC) - timedelta(days=3)
    with open_store().begin() as connection:
        connection.execute(request.update().values(recorded_at=days_ago))

    (after,) = create(item(ID), dry_run=dry_run).execute({"ti": ListeningTaskInstance()})

    assert after["id"] == before["id"]
    assert len(incidents(sandbox)) == 1


def test_one_that_is_refused_fails_the_task_for_good_after_the_others_are_told(sandbox):
    sandbox.configure(abort=("incident when short_descriptionLIKErefused",))
    ti = ListeningTaskInstance()

    with pytest.raises(AirflowFailException, match="DQ-2"):
        create(item("a", title="fine"), item("b", title="refused")).execute({"ti": ti})

    states = [case["attributes"]["servicenow_ticket"]["status"] for case in ti.xcom["return_value"]]
    assert states == ["COMPLETED", "FAILED"]


def test_while_servicenow_is_down_the_task_is_to_be_tried_again(sandbox):
    sandbox.stop()
    try:
        with pytest.raises(DeliveryPendingError, match="a retry goes on from here"):
            create(item(ID)).execute({"ti": ListeningTaskInstance()})
    finally:
        sandbox.start()
    create(item(ID)).execute({"ti": ListeningTaskInstance()})

    assert len(incidents(sandbox)) == 1


@pytest.mark.parametrize(
    ("items", "words"),
    [
        ([], "data: List should have at least 1 item"),
        ([item("a")] * 51, "data: List should have at most 50 items"),
        (
            [item(*map(str, range(MOST_FINDINGS + 1)))],
            "data.0.relationships.findings.data: List should have at most 50",
        ),
        ([item()], "data.0.relationships.findings.data: no finding provided"),
        ([{"type": "servicenow_tickets"}], "data.0.relationships: Field required"),
        ([item("a", priority="P6")], "data.0.attributes.priority"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_done(sandbox, items, words):
    with pytest.raises(ValueError, match=words):
        create(*items).execute({})

    assert incidents(sandbox) == []


def test_findings_are_attached_by_number_and_detached(sandbox):
    create(item(ID)).execute({})
    (row,) = incidents(sandbox)

    case = attach(row["number"], ["another"]).execute({})
    detach([ID, "another"]).execute({})

    assert [each["resource_id"] for each in case["attributes"]["insights"]] == [ID, "another"]
    assert sum("No longer followed here" in note for note in sandbox.notes(row["sys_id"])) == 1


def test_a_finding_never_heard_of_fails_the_task_for_good(sandbox):
    with pytest.raises(AirflowFailException, match="finding not found: nobody"):
        detach(["nobody"]).execute({})


def test_an_unknown_project_fails_the_task_for_good_and_names_the_nearest(sandbox):
    with pytest.raises(AirflowFailException, match="project not found"):
        create(item(ID), project="nobody").execute({})


def test_a_dry_run_sends_nothing_and_says_what_it_would_send(sandbox, tmp_path):
    create(item(ID, title="there")).execute({})
    (there,) = incidents(sandbox)
    before = len([each for each in sandbox.requests if each.method != "GET"])

    (case,) = create(item(ID, "another", title="tried"), dry_run=True).execute({})
    detach_try = ServiceNowDetachFindingsOperator(task_id="detach", findings=[ID], dry_run=True)
    detach_try.execute({})

    assert len([each for each in sandbox.requests if each.method != "GET"]) == before
    assert case["dry_run"] is True
    assert "servicenow_ticket" not in case["attributes"]
    assert [(write["method"], write["values"]["short_description"]) for write in case["would_send"][:1]] == [
        ("POST", "tried")
    ]
    assert there["number"] in str(case["would_send"])
    real = create(item(ID, "another", title="tried")).execute({})
    assert real[0]["attributes"]["key"] == "DQ-2"


def test_a_dry_run_of_what_was_done_before_says_that_nothing_would_be_sent(sandbox):
    ti = ListeningTaskInstance()
    (done,) = create(item(ID)).execute({"ti": ti})
    create(item(ID, "another")).execute({"ti": ListeningTaskInstance(run_id="later")})

    (case,) = create(item(ID), dry_run=True).execute({"ti": ti})

    assert case["id"] == done["id"]
    assert case["would_send"] == []
