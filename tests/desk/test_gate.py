"""The gate: grave tickets on a dataset as they are now, and nothing that failed is taken for none."""

from __future__ import annotations

import dataclasses
import json

import pytest
from linking_them import link, theirs, unlink
from reporting import anomaly, incidents, report

from airflow_provider_servicenow_dq import exceptions
from airflow_provider_servicenow_dq.desk import gate
from airflow_provider_servicenow_dq.projects.project import Project


def found(desk, *datasets, priority=1, **rules):
    return gate.find_open_tickets(
        desk, datasets or ("nyc.flights",), priority=priority, project=Project(**rules)
    )


def change(sandbox, **values):
    (row,) = incidents(sandbox)
    return sandbox.act_as("beth.anglin", "incident", row["sys_id"], values)


@pytest.fixture
def grave(desk):
    """A ticket of priority 1 on the dataset."""
    report(desk, anomaly(severity="critical"))


def test_an_open_ticket_of_priority_1_stands_in_the_way(desk, grave, sandbox):
    (item,) = found(desk)
    (row,) = incidents(sandbox)
    assert item == json.loads(json.dumps(item))
    assert {name: item[name] for name in ("dataset", "priority", "reason")} == {
        "dataset": "nyc.flights",
        "priority": "1",
        "reason": "open",
    }
    assert item["ticket"]["ticket_number"] == row["number"]
    assert item["anomaly_id"] == anomaly().anomaly_id


def test_other_datasets_and_lesser_tickets_do_not(desk, grave):
    assert found(desk, "nyc.weather") == []
    report(desk, anomaly("lesser", severity="high", dataset="nyc.planes"))
    assert found(desk, "nyc.planes") == []
    assert [item["priority"] for item in found(desk, "nyc.planes", "nyc.flights", priority="P2")] == [
        "1",
        "2",
    ]


@pytest.mark.parametrize(
    "values",
    [
        {"state": "6", "close_code": "Solution provided", "close_notes": "done"},
        {"state": "8"},
        {"impact": "3", "urgency": "3"},
    ],
    ids=["resolved", "canceled", "less grave now"],
)
def test_what_people_did_a_moment_ago_counts(desk, grave, sandbox, values):
    change(sandbox, **values)
    assert found(desk) == []


def test_a_ticket_that_became_graver_a_moment_ago_stands_in_the_way(desk, sandbox):
    report(desk, anomaly(severity="low"))
    assert found(desk) == []
    change(sandbox, impact="1", urgency="1")
    assert [item["reason"] for item in found(desk)] == ["open"]


def test_a_ticket_that_is_not_shown_any_more_counts_as_it_was_seen_last(desk, grave, sandbox):
    sandbox.configure(hidden=("incident",))
    assert [item["reason"] for item in found(desk)] == ["not shown any more"]


@pytest.mark.parametrize(
    ("fault", "options"),
    [("error_before", {"retry_after": 3600}), ("api_acl", {}), ("hibernating", {}), ("unauthorized", {})],
)
def test_a_question_that_fails_is_no_answer(desk, grave, sandbox, fault, options):
    sandbox.fail_next(fault, path="/table/incident", count=50, **options)
    with pytest.raises(exceptions.ServiceNowError):
        found(desk)


def test_a_store_that_cannot_be_read_is_no_answer(desk, grave, tmp_path):
    from airflow_provider_servicenow_dq.store.store import Store

    broken = tmp_path / "broken.db"
    broken.write_text("this is no database" * 100)
    with pytest.raises(exceptions.StoreError):
        found(dataclasses.replace(desk, store=Store(f"sqlite:///{broken}")))


def test_a_report_that_is_not_delivered_counts_as_the_ticket_that_it_is_to_become(desk, sandbox):
    sandbox.fail_next("error_before", path="/table/incident", count=50, retry_after=3600)
    report(desk, anomaly(severity="critical"), anomaly("lesser", severity="medium"))
    sandbox.reset()
    (item,) = found(desk)
    assert (item["reason"], item["priority"], item["ticket"]) == ("not delivered", "1", None)
    assert len(found(desk, priority=3)) == 2
    report(desk, anomaly(severity="critical"))
    assert [item["reason"] for item in found(desk)] == ["open"]


def test_a_refused_report_counts_as_well(desk, sandbox):
    sandbox.configure(abort=("incident when short_descriptionLIKEdep_time",))
    report(desk, anomaly(severity="critical"))
    assert [item["reason"] for item in found(desk)] == ["not delivered"]


def test_another_namespace_on_the_same_store_is_another_matter(desk, grave):
    assert found(dataclasses.replace(desk, namespace="staging")) == []


def test_a_ticket_that_many_anomalies_share_counts_for_the_dataset_of_each(desk):
    many = [anomaly(str(n), severity="critical", dataset=f"nyc.{n}") for n in range(3)]
    report(desk, *many, group_by="dag_run")
    assert [item["dataset"] for item in found(desk, "nyc.1")] == ["nyc.1"]


def test_a_ticket_of_somebody_else_counts_while_an_anomaly_of_the_dataset_is_linked_to_it(desk, sandbox):
    foreign = theirs(desk, impact="1", urgency="1")
    assert found(desk) == []
    link(desk, foreign["number"], anomaly(severity="low"))
    (item,) = found(desk)
    assert (item["ticket"]["ticket_number"], item["reason"]) == (foreign["number"], "open")
    unlink(desk, anomaly(severity="low"))
    assert found(desk) == []


def test_the_states_of_a_project_decide_what_is_open(desk, grave, sandbox):
    change(sandbox, state="3", hold_reason="1")
    assert [item["reason"] for item in found(desk)] == ["open"]
    rules = {"status": {"inbound": {"3": "discarded"}}}
    assert found(desk, **rules) == []


def test_hundreds_of_tickets_are_asked_for_in_few_requests(desk, sandbox):
    report(desk, *(anomaly(str(n), severity="critical") for n in range(101)), max_new_tickets=1000)
    asked = len(sandbox.requests)
    assert len(found(desk)) == 101
    assert len(sandbox.requests) - asked == 2


def test_without_a_ticket_the_instance_is_not_even_asked(desk, sandbox):
    asked = len(sandbox.requests)
    assert found(desk) == []
    assert len(sandbox.requests) == asked


def test_what_is_no_priority_is_refused(desk):
    with pytest.raises(exceptions.ServiceNowConfigError):
        found(desk, priority="urgent")
