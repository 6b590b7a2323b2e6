"""What can be asked of the create operator, and how templates reach it."""

from __future__ import annotations

import json

import pytest
from operating import incidents

from airflow_provider_servicenow_dq.exceptions import AnomalyFormatError, ServiceNowConfigError
from airflow_provider_servicenow_dq.operators.servicenow import ServiceNowCreateIncidentOperator

NULLS = {"dataset": "nyc.flights", "check_name": "dep_time not null", "severity": "high"}
GROUP = "d625dccec0a8016700a222a0f7900d06"


def incident(sandbox):
    (ours,) = incidents(sandbox)
    return ours


def rendered(anomalies, values, **parameters):
    """Return the operator as Airflow has it after it has rendered its templates."""
    operator = ServiceNowCreateIncidentOperator(task_id="open", anomalies=anomalies, **parameters)
    operator.render_template_fields(values)
    return operator


def test_columns_arrive_as_they_were_given(sandbox, open_tickets):
    open_tickets(
        NULLS,
        short_description="Nulls",
        description="Look at this.",
        impact=3,
        urgency="2",
        category="software",
        assignment_group=GROUP,
        assigned_to="beth.anglin",
        contact_type="email",
        watch_list=["beth.anglin", "dq@example.com"],
        additional_fields={"close_notes": "no", "knowledge": True},
    )

    record = incident(sandbox)
    assert (record["short_description"], record["category"], record["contact_type"]) == (
        "Nulls",
        "software",
        "email",
    )
    assert record["description"].startswith("Look at this.\n\n## Custom Anomaly Linked")
    assert (record["impact"], record["urgency"], record["priority"]) == ("3", "2", "4")
    assert record["assignment_group"] == GROUP
    assert record["assigned_to"] == "46d44a23a9fe19810012d100cca80666"
    assert record["watch_list"] == "46d44a23a9fe19810012d100cca80666,dq@example.com"
    assert (record["close_notes"], record["knowledge"]) == ("no", "true")
    (sent,) = [logged.body for logged in sandbox.requests if logged.method == "POST"]
    assert sent["knowledge"] == "true"
    assert all(isinstance(value, str) for value in sent.values())


@pytest.mark.parametrize("wish", ["P2", "2", 2])
def test_a_priority_may_be_wished_for(sandbox, open_tickets, wish):
    (result,) = open_tickets(NULLS, priority=wish)

    assert (result["ticket"]["priority"], result["warnings"]) == ("2", [])


def test_a_column_given_twice_is_an_error_before_anything_happens(sandbox, open_tickets):
    with pytest.raises(ServiceNowConfigError, match="category, impact given twice"):
        open_tickets(
            NULLS, category="software", impact=1, additional_fields={"category": "x", "impact": 2, "u_a": 1}
        )

    assert sandbox.requests == []


def test_the_rules_of_a_project_hold_unless_a_parameter_says_otherwise(sandbox, connect, open_tickets):
    rules = {"fields": {"category": "database", "contact_type": "email"}, "min_severity": "critical"}
    connect(sandbox.url, projects={"sales": rules})

    assert open_tickets(NULLS, project="sales")[0]["action"] == "suppressed"
    (result,) = open_tickets(NULLS, project="sales", min_severity="low", category="software")

    assert result["action"] == "created"
    assert (incident(sandbox)["category"], incident(sandbox)["contact_type"]) == ("software", "email")


def test_a_project_that_is_not_there_is_an_error(sandbox, connect, open_tickets):
    connect(sandbox.url, projects={"sales": {}})

    with pytest.raises(ServiceNowConfigError, match="Did you mean 'sales'"):
        open_tickets(NULLS, project="sale")


def test_a_rule_that_makes_no_sense_is_an_error(sandbox, open_tickets):
    with pytest.raises(ServiceNowConfigError, match="on_refire"):
        open_tickets(NULLS, on_refire="explode")

    assert sandbox.requests == []


def test_another_table_gets_the_tickets(sandbox, open_tickets):
    (result,) = open_tickets(NULLS, table="problem")

    assert [each["correlation_id"][:10] for each in sandbox.records("problem")] == ["dq:custom:"]
    assert "problem.do?sys_id=" in result["ticket"]["url"]


def test_airflows_templates_are_filled_first_then_the_anomalys_fields(sandbox):
    operator = rendered(
        NULLS,
        {"params": {"team": "Ingest"}},
        short_description="{{ params.team }}: {check_name} on {dataset}",
        additional_fields={"close_notes": "{{ params.team }} {severity}"},
    )
    assert operator.short_description == "Ingest: {check_name} on {dataset}"

    operator.execute({})

    assert incident(sandbox)["short_description"] == "Ingest: dep_time not null on nyc.flights"
    assert incident(sandbox)["close_notes"] == "Ingest high"


def test_a_value_from_the_data_is_no_template(sandbox, open_tickets):
    open_tickets({**NULLS, "check_name": "{dataset} {{ params.team }} {0}"}, short_description="{check_name}")

    assert incident(sandbox)["short_description"] == "{dataset} {{ params.team }} {0}"


def test_a_text_that_names_no_field_of_an_anomaly_is_refused(sandbox, open_tickets):
    with pytest.raises(ServiceNowConfigError, match="'chek_name' is no anomaly field"):
        open_tickets(NULLS, short_description="{chek_name}")

    assert sandbox.requests == []


@pytest.mark.parametrize(
    "text", [json.dumps(NULLS), json.dumps([NULLS]), f"\n {json.dumps([NULLS], indent=1)}\n"]
)
def test_anomalies_may_be_json_text_as_a_template_renders_it(sandbox, text):
    rendered("{{ found }}", {"found": text}).execute({})

    assert incident(sandbox)["short_description"] == "dep_time not null failed on nyc.flights"


@pytest.mark.parametrize("value", [[NULLS], NULLS])
def test_a_text_that_is_pythons_and_not_jsons_names_the_way_out(sandbox, value):
    operator = rendered("{{ found }}", {"found": value})

    with pytest.raises(ServiceNowConfigError, match=r"XComArg.*render_template_as_native_obj=True"):
        operator.execute({})

    assert sandbox.requests == []


@pytest.mark.parametrize("nothing", ["None", "", None])
def test_a_task_that_returned_nothing_is_an_error_and_no_ticket(sandbox, open_tickets, nothing):
    with pytest.raises(AnomalyFormatError):
        open_tickets(nothing)

    assert sandbox.requests == []


def test_a_dict_inside_a_template_field_keeps_its_type(sandbox):
    operator = rendered([{**NULLS, "failed_count": 3, "check_name": "{{ check }}"}], {"check": "nulls"})

    assert operator.anomalies == [{**NULLS, "failed_count": 3, "check_name": "nulls"}]
