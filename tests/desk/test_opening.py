"""What becomes of a report, seen on the instance."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from reporting import actions, anomaly, incidents, report, writes

from airflow_provider_servicenow_dq.desk.order import Order
from airflow_provider_servicenow_dq.exceptions import ServiceNowConfigError
from airflow_provider_servicenow_dq.projects.project import Project

NOW = datetime.now(UTC)


def later(hours: float) -> datetime:
    return NOW + timedelta(hours=hours)


def test_an_anomaly_becomes_one_incident_with_the_seeds_details(desk, sandbox):
    found = anomaly(
        source="qualytics",
        external_id=824,
        type="record",
        status="acknowledged",
        dataset="db.orders",
        failed_checks=["The field 'max_value' has a value that falls outside the declared limits"],
        detected_at=datetime(2026, 1, 22, 13, 22, 40, 780346, tzinfo=UTC),
        url="https://acme.qualytics.io/datastores/23/anomalies?id=824",
    )
    fixed = datetime(2026, 1, 23, 19, 51, 23, tzinfo=UTC)
    object.__setattr__(desk, "now", lambda: fixed)

    (result,) = report(desk, found).results

    (incident,) = incidents(sandbox)
    assert incident["description"] == (
        "## Qualytics Anomaly Linked [2026-01-23 19:51:23 UTC]\n\n"
        "**Anomaly ID:** 824\n**Status:** Acknowledged\n**Type:** record\n"
        "**Detected:** 2026-01-22 13:22:40.780346+00:00\n\n"
        "**Failed Checks:**\n- The field 'max_value' has a value that falls outside the declared limits\n\n"
        "**View in Qualytics:** https://acme.qualytics.io/datastores/23/anomalies?id=824\n"
    )
    assert result["anomaly_id"] == 824
    assert result["message"] == f"Ticket {incident['number']} created and linked to anomaly 824"
    assert result["ticket"]["ticket_id"] == incident["sys_id"]
    assert result["ticket"]["url"] == f"{sandbox.url}/nav_to.do?uri=incident.do?sys_id={incident['sys_id']}"
    assert (result["action"], result["delivered"], result["warnings"]) == ("created", True, [])


def test_a_known_occurrence_changes_nothing(desk, sandbox):
    report(desk, anomaly(hour=0))
    before = len(sandbox.requests)

    again = report(desk, anomaly(hour=0), run="next")

    assert actions(again) == ["unchanged"]
    assert again.results[0]["ticket"]["ticket_number"] == incidents(sandbox)[0]["number"]
    assert len(sandbox.requests) == before


def test_a_task_that_runs_again_returns_what_it_did_the_first_time(desk, sandbox):
    first = report(desk, anomaly(hour=0), anomaly(hour=1))

    again = report(desk, anomaly(hour=0), anomaly(hour=1))

    assert actions(again) == actions(first) == ["created", "noted"]
    assert writes(sandbox) == ["POST", "PATCH"]


def test_repeats_are_noted_when_they_say_something_new(desk, sandbox):
    hours = range(20)

    opening = report(desk, *(anomaly(hour=hour) for hour in hours))

    noted = [hour for hour, action in zip(hours, actions(opening), strict=True) if action == "noted"]
    assert noted == [1, 3, 7, 15]
    assert len(incidents(sandbox)) == 1
    assert len(sandbox.notes(incidents(sandbox)[0]["sys_id"])) == 4


def test_a_repeat_that_is_worse_is_noted_at_once(desk, sandbox):
    report(desk, *(anomaly(hour=hour, severity="medium") for hour in range(5)))

    opening = report(desk, anomaly(hour=6, severity="critical"), anomaly(hour=7, severity="critical"))

    assert actions(opening) == ["noted", "unchanged"]
    assert "severity up from medium to critical" in sandbox.notes(incidents(sandbox)[0]["sys_id"])[-1]


def test_after_a_day_without_a_note_a_repeat_is_noted(make_desk, sandbox):
    report(make_desk(), *(anomaly(hour=hour) for hour in range(5)))

    next_day = make_desk(now=lambda: datetime.now(UTC) + timedelta(hours=25))

    assert actions(report(next_day, anomaly(hour=30), anomaly(hour=31))) == ["noted", "unchanged"]


def test_a_backfill_of_a_year_is_not_365_notes(desk, sandbox):
    opening = report(desk, *(anomaly(hour=24 * day) for day in range(365)))

    assert actions(opening).count("noted") == 8
    assert len(incidents(sandbox)) == 1


def test_different_problems_get_different_tickets_in_input_order(desk, sandbox):
    opening = report(desk, anomaly("b"), anomaly("a"), anomaly("b", hour=1))

    numbers = [result["ticket"]["ticket_number"] for result in opening.results]
    assert numbers[0] == numbers[2] != numbers[1]
    assert len(incidents(sandbox)) == 2


def test_the_successor_of_a_successor_is_found_again(make_desk, sandbox):
    for round_number in range(3):
        report(make_desk(f"store {round_number}"), anomaly(detected_at=later(1 + round_number)))
        newest = max(incidents(sandbox), key=lambda each: each["number"])
        closing = {"state": "7", "close_code": "Solution provided", "close_notes": "done"}
        sandbox.act_as("admin", "incident", newest["sys_id"], closing)

    assert len(incidents(sandbox)) == 3


def test_what_is_below_the_floor_gets_no_ticket(desk, sandbox):
    opening = report(
        desk, anomaly("a", severity="low"), anomaly("b", severity="medium"), min_severity="medium"
    )

    assert actions(opening) == ["suppressed", "created"]
    assert opening.results[0]["ticket"] is None
    assert len(incidents(sandbox)) == 1


@pytest.mark.parametrize("status", ["resolved", "duplicate", "invalid", "discarded"])
def test_what_its_source_has_archived_gets_no_ticket(desk, sandbox, status):
    opening = report(desk, anomaly("a", status=status), anomaly("b", status="acknowledged"))

    assert actions(opening) == ["suppressed", "created"]
    assert f"it is {status} in its source" in opening.results[0]["message"]
    assert len(incidents(sandbox)) == 1


def test_severity_makes_the_priority_and_a_wish_beats_it_and_a_column_beats_both(desk, sandbox):
    wish = Order(Project(), priority="P4")
    explicit = Order(Project(), {"impact": "3", "urgency": "3"}, priority="1")

    severest = report(desk, anomaly("a", severity="critical")).results[0]
    wished = report(desk, anomaly("b", severity="critical"), order=wish).results[0]
    forced = report(desk, anomaly("c", severity="critical"), order=explicit).results[0]

    assert [each["ticket"]["priority"] for each in (severest, wished, forced)] == ["1", "4", "5"]
    assert [each["warnings"] for each in (severest, wished, forced)] == [[], [], []]


def test_a_wish_that_the_instance_does_not_grant_is_a_warning(desk):
    customised = Project(priority_pairs={"2": ("3", "3")})

    (result,) = report(desk, anomaly(), order=Order(customised, priority="2")).results

    assert result["ticket"]["priority"] == "5"
    assert any("priority" in warning for warning in result["warnings"])


def test_what_the_instance_drops_or_changes_is_a_warning(desk, sandbox):
    columns = {"category": "No Such Category", "u_no_such_column": "x", "short_description": "s" * 200}

    (result,) = report(desk, anomaly(), order=Order(Project(), columns)).results

    words = " / ".join(result["warnings"])
    assert "category: sent 'No Such Category', ServiceNow kept 'inquiry'" in words
    assert "u_no_such_column" in words
    assert "short_description is 200 characters long and was cut to 160" in words
    assert result["ticket"]["title"].endswith("[…]")
    assert len(incidents(sandbox)[0]["short_description"]) == 160


def test_a_long_description_of_ones_own_leaves_room_for_the_link_back(desk, sandbox):
    order = Order(Project(), {"description": "d" * 5000})

    (result,) = report(desk, anomaly(url="https://tool.example/anomalies/1"), order=order).results

    (incident,) = incidents(sandbox)
    assert incident["description"].startswith("d" * 3000)
    assert "[…]\n\n## Custom Anomaly Linked" in incident["description"]
    assert "https://tool.example/anomalies/1" in incident["description"]
    assert len(incident["description"]) <= 4000
    assert any(warning.startswith("description is 5000 characters long") for warning in result["warnings"])


def test_names_become_sys_ids_and_what_is_unknown_is_left_out(desk, sandbox):
    group = sandbox.records("sys_user_group")[0]
    named = Order(Project(), {"assignment_group": group["name"], "caller_id": "nobody.of.that.name"})

    (result,) = report(desk, anomaly(), order=named).results

    assert incidents(sandbox)[0]["assignment_group"] == group["sys_id"]
    assert any(warning.startswith("caller_id") for warning in result["warnings"])


def test_a_name_of_two_is_an_error_of_that_anomaly_only(desk, sandbox):
    names = [group["name"] for group in sandbox.records("sys_user_group")]
    twice = next(name for name in names if names.count(name) > 1)
    ambiguous = Order(Project(), {"assignment_group": "{owner}"})

    opening = report(desk, anomaly("a", owner=twice), anomaly("b", owner=names[0]), order=ambiguous)

    assert [result["delivered"] for result in opening.results] == [False, True]
    assert twice in opening.failures[0]
    assert opening.pending == []
    assert len(incidents(sandbox)) == 1


def test_texts_are_filled_from_the_anomaly(desk, sandbox):
    order = Order(
        Project(fields={"u_x": "{check_id}"}), {"short_description": "{check_name} on {dataset}: {severity}"}
    )

    report(desk, anomaly("nulls"), order=order)

    assert incidents(sandbox)[0]["short_description"] == "nulls on nyc.flights: high"


def test_a_text_that_names_no_anomaly_field_is_refused_before_anything_happens(desk, sandbox):
    with pytest.raises(ServiceNowConfigError, match="'no_such' is no anomaly field"):
        report(desk, anomaly(), order=Order(Project(), {"description": "{no_such}"}))

    assert sandbox.requests == []


@pytest.mark.parametrize("column", ["sys_id", "sys_created_on", "correlation_id", "number"])
def test_columns_that_are_not_the_users_are_refused(column):
    with pytest.raises(ServiceNowConfigError, match=column):
        Order(Project(), {column: "x"})
    with pytest.raises(ServiceNowConfigError, match=column):
        Order(Project(fields={column: "x"}))


def test_foreign_markup_is_made_harmless(desk, sandbox):
    report(desk, anomaly(message="[code]<script>alert(1)</script>[/code]"))
    report(desk, anomaly(hour=1, message="[CODE]<b>x</b>[/CODE]"))

    (incident,) = incidents(sandbox)
    assert "[code]" not in incident["description"]
    assert "[code]" not in sandbox.notes(incident["sys_id"])[0].lower()


def test_a_namespace_keeps_environments_apart(make_desk, sandbox):
    report(make_desk("prod", namespace="prod"), anomaly())
    report(make_desk("dev", namespace="dev"), anomaly())

    assert len(incidents(sandbox)) == 2
