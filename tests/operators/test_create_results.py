"""What the create operator returns: one small, plain result per anomaly."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from operating import incidents

from airflow_provider_servicenow_dq.desk.result import for_xcom
from airflow_provider_servicenow_dq.tickets.text import CUT_MARK
from airflow_provider_servicenow_dq.tickets.ticket import integration_id, ticket_view

NULLS = {"dataset": "nyc.flights", "check_name": "dep_time not null", "severity": "high"}
RESULT_KEYS = {
    "schema_version",
    "ticket",
    "anomaly_id",
    "integration_id",
    "message",
    "action",
    "delivered",
    "warnings",
}


def size(result):
    return len(json.dumps(result).encode())


def test_outside_a_dag_it_opens_a_ticket_and_returns_the_result(sandbox, open_tickets):
    (result,) = open_tickets(NULLS)

    (incident,) = incidents(sandbox)
    assert result.keys() == RESULT_KEYS
    assert result["ticket"].keys() == ticket_view({}, base_url="", table="").keys()
    assert result["ticket"]["ticket_number"] == incident["number"]
    assert result["ticket"]["url"] == f"{sandbox.url}/nav_to.do?uri=incident.do?sys_id={incident['sys_id']}"
    assert (result["schema_version"], result["action"], result["delivered"]) == (1, "created", True)
    assert result["integration_id"] == integration_id(sandbox.url.removeprefix("http://"))
    assert (
        result["message"]
        == f"Ticket {incident['number']} created and linked to anomaly {result['anomaly_id']}"
    )
    assert json.loads(json.dumps(result)) == result


def test_the_description_stays_out_of_the_xcom(sandbox, open_tickets):
    (result,) = open_tickets(NULLS)

    assert result["ticket"]["description"] is None
    assert incidents(sandbox)[0]["description"].startswith("## Custom Anomaly Linked")


def test_there_is_one_result_per_anomaly_in_their_order(sandbox, open_tickets):
    checks = ["b", "a", "b", "c"]

    results = open_tickets([{**NULLS, "check_name": check, "external_id": check} for check in checks])

    assert [result["anomaly_id"] for result in results] == checks
    numbers = [result["ticket"]["ticket_number"] for result in results]
    assert numbers[0] == numbers[2]
    assert len(set(numbers)) == len(incidents(sandbox)) == 3


def test_no_anomalies_are_no_results_and_no_request(sandbox, open_tickets):
    assert open_tickets([]) == []
    assert sandbox.requests == []


def test_a_suppressed_result_has_all_keys_and_no_ticket(sandbox, open_tickets):
    (result,) = open_tickets({**NULLS, "severity": "low"}, min_severity="high")

    assert result.keys() == RESULT_KEYS
    assert (result["action"], result["ticket"], result["delivered"]) == ("suppressed", None, True)
    assert "below the project's floor" in result["message"]


def test_a_result_is_small_however_long_its_texts_and_the_log_has_every_warning_whole(
    sandbox, open_tickets, capfd
):
    (result,) = open_tickets(
        {**NULLS, "external_id": "x" * 255, "message": "m" * 4000, "observed": "o" * 4000},
        short_description="s" * 300,
        description="d" * 5000,
        category="c" * 300,
        additional_fields={f"u_{number}": "v" * 300 for number in range(2)},
    )

    assert size(result) < 1500
    assert result.keys() == RESULT_KEYS
    assert result["anomaly_id"] == "x" * 255
    assert len(result["warnings"]) == 5
    logged = capfd.readouterr().out
    assert "short_description is 300 characters long and was cut to 160" in logged
    for words in ("description is ", "category: sent", "u_0: ", "u_1: "):
        assert words in logged


def test_of_more_than_five_warnings_the_rest_is_counted(sandbox, open_tickets):
    (result,) = open_tickets(NULLS, additional_fields={f"u_{number}": "v" for number in range(9)})

    assert [warning.split(":")[0] for warning in result["warnings"]] == [
        "u_0",
        "u_1",
        "u_2",
        "u_3",
        "and 5 more",
    ]


@pytest.mark.parametrize("letter", ["\N{PILE OF POO}", "\N{CJK UNIFIED IDEOGRAPH-4E00}", '"', "\\", "\x01"])
def test_a_result_is_small_in_any_script(sandbox, open_tickets, letter):
    (result,) = open_tickets(
        {**NULLS, "message": letter * 4000},
        short_description="x" + letter * 300,
        category=letter * 40,
        additional_fields={f"u_{number}": letter * 300 for number in range(6)},
    )

    assert size(result) < 1500
    assert result["ticket"]["url"].endswith(result["ticket"]["ticket_id"])
    assert result["ticket"].keys() == ticket_view({}, base_url="", table="").keys()


_text = st.text(max_size=300)
_tickets = st.fixed_dictionaries(
    dict.fromkeys(
        ("short_description", "category", "subcategory", "close_notes", "assigned_to", "caller_id"), _text
    )
)


@settings(max_examples=60, deadline=None)
@given(_tickets, st.lists(st.text(max_size=200), max_size=5), st.text(max_size=400), st.integers())
def test_whatever_the_instance_says_a_result_keeps_its_shape_and_its_address(
    record, warnings, message, anomaly
):
    ticket = ticket_view(
        record | {"sys_id": "a" * 32}, base_url="https://acme.service-now.com", table="incident"
    )
    whole = {
        "schema_version": 1,
        "ticket": ticket,
        "anomaly_id": anomaly,
        "integration_id": 1,
        "message": message,
        "action": "created",
        "delivered": True,
        "warnings": warnings,
    }

    small = for_xcom(whole)

    assert size(small) < 1500
    assert small.keys() == whole.keys()
    assert small["ticket"].keys() == ticket.keys()
    assert small["ticket"]["url"] == ticket["url"]
    for kept, warning in zip(small["warnings"], warnings, strict=False):
        assert kept == warning or (
            kept.endswith(CUT_MARK) and warning.startswith(kept.removesuffix(CUT_MARK))
        )
    assert whole["ticket"]["description"] == ticket["description"], "what was handed in stays as it is"


def test_a_task_that_runs_again_returns_the_same(sandbox, open_tickets, ti):
    anomalies = [{**NULLS, "detected_at": f"2026-01-05T{hour:02}:00:00Z"} for hour in range(3)]
    first = open_tickets(anomalies, ti=ti)
    before = len(sandbox.requests)

    cleared = open_tickets(anomalies, ti=ti)

    assert cleared == first
    assert [result["action"] for result in cleared] == ["created", "noted", "unchanged"]
    assert len(sandbox.requests) == before


def test_a_second_run_over_the_same_data_changes_nothing(sandbox, open_tickets, ti):
    anomaly = {**NULLS, "detected_at": "2026-01-05T00:00:00Z"}
    open_tickets(anomaly, ti=ti)
    ti.run_id = "next"
    before = len(sandbox.requests)

    (result,) = open_tickets(anomaly, ti=ti)

    assert result["action"] == "unchanged"
    assert result["ticket"]["ticket_number"] == incidents(sandbox)[0]["number"]
    assert len(sandbox.requests) == before


def test_mapped_tasks_of_one_run_see_the_same_problem_separately(sandbox, open_tickets, ti):
    open_tickets(NULLS, ti=ti)
    ti.map_index = 0

    (result,) = open_tickets(NULLS, ti=ti)

    assert result["action"] == "noted"
    assert len(incidents(sandbox)) == 1


def test_the_address_of_the_first_ticket_is_left_for_the_link(sandbox, open_tickets, ti):
    low, high = {**NULLS, "check_name": "low", "severity": "low"}, NULLS

    results = open_tickets([low, high], ti=ti, min_severity="high")

    assert ti.xcom["servicenow_url"] == results[1]["ticket"]["url"]


def test_without_a_ticket_no_address_is_left(sandbox, open_tickets, ti):
    open_tickets({**NULLS, "severity": "low"}, ti=ti, min_severity="high")

    assert ti.xcom == {}
