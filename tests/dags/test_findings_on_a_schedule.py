"""Security findings, run after run: one ticket for each rule and team, which follows what Datadog says."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag

from airflow_provider_servicenow_dq.exceptions import DeliveryPendingError
from airflow_provider_servicenow_dq.operators.servicenow import (
    ServiceNowAttachFindingsOperator,
    ServiceNowCreateFindingTicketsOperator,
    ServiceNowPullIncidentsOperator,
)

DAG_FILE = Path(__file__).parents[2] / "dags" / "security_findings.py"
NOTHING = {"open": [], "move": [], "leave": []}
KUBELET = "The kubelet client certificate rotation should be enabled"
BUCKETS = "S3 buckets should not be public"


@pytest.fixture(scope="module")
def dag():
    bag = DagBag(DAG_FILE)
    assert bag.import_errors == {}
    return bag.dags["security_findings"]


class Datadog:
    """What Datadog says of its findings, which changes from run to run.

    :param path: Where the DAG reads it.
    """

    def __init__(self, path):
        self.path = path
        self.answer = json.loads(DAG_FILE.with_suffix(".json").read_text())
        self.write()

    def write(self):
        self.path.write_text(json.dumps(self.answer))

    def facts(self, name):
        """Return what is known of the finding on a resource; it may be changed."""
        (found,) = [
            each["attributes"]["attributes"]["custom"]
            for each in self.answer["data"]
            if each["attributes"]["attributes"]["custom"]["resource_name"] == name
        ]
        return found

    def say(self, name, *, team=None, **facts):
        self.facts(name).update(facts)
        for each in self.answer["data"]:
            if team and each["attributes"]["attributes"]["custom"]["resource_name"] == name:
                each["attributes"]["tags"] = [f"team:{team}"]
        self.write()

    def find(self, *numbers):
        """Find the rule about kubelets broken on further machines of its team."""
        for number in numbers:
            found = copy.deepcopy(self.answer["data"][0])
            found["id"] = f"further-{number}"
            found["attributes"]["attributes"]["custom"].update(
                finding_id=found["id"], resource_id=f"i-{number}", resource_name=f"further-{number}"
            )
            self.answer["data"].append(found)
        self.write()


@pytest.fixture
def datadog(tmp_path):
    return Datadog(tmp_path / "answer.json")


def run(dag, datadog):
    """Run the DAG; give the tasks that were not skipped."""
    dag_run = dag.test(run_conf={"answer": str(datadog.path)})
    assert str(dag_run.state) == "success"
    states = {ti.task_id: str(ti.state) for ti in dag_run.get_task_instances()}
    return {"open_tickets", "move", "take_off"} & {
        name for name, state in states.items() if state == "success"
    }


def plan(dag, datadog):
    asked = {"answer": str(datadog.path), "project": "default"}
    return dag.get_task("plan").python_callable(params=asked)


def open_tickets(dag, datadog):
    """Do what a first run does, without a run."""
    (tickets,) = plan(dag, datadog)["open"]
    ServiceNowCreateFindingTicketsOperator(
        task_id="open", data=tickets, findings=str(datadog.path), project="default"
    ).execute({})


def opened(instance):
    return {
        row["short_description"]: row
        for row in instance.records("incident")
        if row["correlation_id"].startswith("dq:")
    }


def said(instance, title):
    row = opened(instance)[title]
    return "\n".join([row["description"], *instance.notes(row["sys_id"])])


def test_each_rule_and_team_gets_one_ticket_and_another_run_changes_nothing(dag, instance, datadog):
    assert run(dag, datadog) == {"open_tickets"}

    first = opened(instance)
    assert set(first) == {f"{KUBELET} (compute)", f"{KUBELET} (payments)", f"{BUCKETS} (payments)"}
    for machine in ("i-08a6fa687c9a6d2db", "i-0b1c2d3e4f5061728"):
        assert machine in said(instance, f"{KUBELET} (compute)")
    # What is muted or closed has no ticket.
    assert "acme-old-reports" not in said(instance, f"{BUCKETS} (payments)")

    asked = len(instance.requests)
    assert run(dag, datadog) == set()
    assert {request.method for request in instance.requests[asked:]} == {"GET"}
    assert opened(instance) == first


def test_a_finding_whose_team_has_changed_moves_and_both_tickets_say_so(dag, instance, datadog):
    open_tickets(dag, datadog)
    datadog.say("kube-system-nodeless-2", team="payments")
    datadog.say("acme-invoices", team="web")

    assert run(dag, datadog) == {"open_tickets", "move"}

    assert set(opened(instance)) == {
        f"{KUBELET} (compute)",
        f"{KUBELET} (payments)",
        f"{BUCKETS} (payments)",
        f"{BUCKETS} (web)",
    }
    assert "No longer followed here" in said(instance, f"{KUBELET} (compute)")
    assert "i-0b1c2d3e4f5061728" in said(instance, f"{KUBELET} (payments)")
    assert "acme-invoices" in said(instance, f"{BUCKETS} (web)")
    assert plan(dag, datadog) == NOTHING


def test_a_muted_finding_leaves_its_ticket_and_comes_back_when_it_is_not_muted_any_more(
    dag, instance, datadog
):
    open_tickets(dag, datadog)
    datadog.say("kube-system-nodeless-2", workflow={"mute": {"is_muted": True, "reason": "RISK_ACCEPTED"}})
    assert run(dag, datadog) == {"take_off"}
    assert "No longer followed here" in said(instance, f"{KUBELET} (compute)")
    assert plan(dag, datadog) == NOTHING

    datadog.say("kube-system-nodeless-2", workflow={"mute": {"is_muted": False}})
    planned = plan(dag, datadog)
    (joining,) = planned["move"]
    compute = opened(instance)[f"{KUBELET} (compute)"]
    assert joining["servicenow_ticket_url"].endswith(compute["sys_id"])
    assert planned["open"] == []


def test_a_ticket_is_resolved_when_all_its_findings_are_closed_and_opened_again_when_one_returns(
    dag, instance, datadog
):
    open_tickets(dag, datadog)
    closed = {
        "status": "auto_closed",
        "workflow": {"mute": {"is_muted": False}, "auto_closed_at": 1766000000000},
    }
    states = []
    for name in ("kube-system-nodeless-1", "kube-system-nodeless-2"):
        datadog.say(name, **closed)
        assert run(dag, datadog) == set()
        states.append(opened(instance)[f"{KUBELET} (compute)"]["state"])
    datadog.say("kube-system-nodeless-1", status="open", workflow={})
    assert run(dag, datadog) == set()
    states.append(opened(instance)[f"{KUBELET} (compute)"]["state"])

    assert states == ["1", "6", "2"]
    assert len(opened(instance)) == 3


def test_what_people_did_stays_and_the_pull_tells_of_it(dag, instance, datadog):
    open_tickets(dag, datadog)
    row = opened(instance)[f"{KUBELET} (compute)"]
    instance.act_as("beth.anglin", "incident", row["sys_id"], {"short_description": "Ours", "state": "2"})

    assert plan(dag, datadog) == NOTHING
    changes = ServiceNowPullIncidentsOperator(task_id="pull").execute({})["changes"]
    assert {(change["ticket"], change["new"]) for change in changes if change["field"] == "state"} == {
        (row["number"], "2")
    }
    assert {change["anomaly_id"] for change in changes} == {each["id"] for each in datadog.answer["data"][:2]}


def test_a_ticket_that_people_resolved_too_early_gets_a_successor(dag, instance, datadog):
    open_tickets(dag, datadog)
    title = f"{BUCKETS} (payments)"
    solved = {"state": "6", "close_code": "Solution provided", "close_notes": "done"}
    instance.act_as("beth.anglin", "incident", opened(instance)[title]["sys_id"], solved)

    open_tickets(dag, datadog)

    assert [row["state"] for row in instance.records("incident") if row["short_description"] == title] == [
        "6",
        "1",
    ]
    assert plan(dag, datadog) == NOTHING


def test_a_ticket_holds_fifty_findings_and_a_further_one_goes_where_there_is_room(dag, instance, datadog):
    datadog.find(*range(58))
    ((*tickets,),) = plan(dag, datadog)["open"]
    sizes = [len(ticket["relationships"]["findings"]["data"]) for ticket in tickets]
    assert sorted(sizes) == [1, 1, 10, 50]
    open_tickets(dag, datadog)

    datadog.find(*range(58, 108))
    planned = plan(dag, datadog)

    assert [len(each["findings"]["data"]) for each in planned["move"]] == [40]
    assert [len(each["relationships"]["findings"]["data"]) for each in planned["open"][0]] == [10]


def test_a_ticket_on_which_people_have_put_more_gets_no_further_ones(dag, instance, datadog):
    datadog.find(*range(48))
    open_tickets(dag, datadog)
    full = opened(instance)[f"{KUBELET} (compute)"]["number"]
    datadog.find(48, 49)
    ServiceNowAttachFindingsOperator(
        task_id="attach", servicenow_ticket_url=full, findings=["further-48", "further-49"]
    ).execute({})
    datadog.find(50, 51, 52)

    planned = plan(dag, datadog)

    assert planned["move"] == []
    assert [len(each["relationships"]["findings"]["data"]) for each in planned["open"][0]] == [3]


def test_a_request_asks_for_fifty_tickets_at_most(dag, instance, datadog):
    datadog.find(*range(60))
    for number in range(60):
        datadog.say(f"further-{number}", team=f"team-{number}")

    assert [len(request) for request in plan(dag, datadog)["open"]] == [50, 13]


def test_a_ticket_that_waits_for_servicenow_is_not_opened_a_second_time(dag, instance, datadog):
    (tickets,) = plan(dag, datadog)["open"]
    instance.fail_next("error_before", method="POST", count=20)
    with pytest.raises(DeliveryPendingError):
        ServiceNowCreateFindingTicketsOperator(task_id="open", data=tickets, project="default").execute({})

    assert plan(dag, datadog) == NOTHING
