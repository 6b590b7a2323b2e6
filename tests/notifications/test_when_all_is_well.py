"""What the notifier does when a task, a check or a DAG is well again."""

from __future__ import annotations

from notifying import deliver, failed, from_payload, incidents, notes, notify, of_dag, the_state, well

from airflow_provider_servicenow_dq.client.limits import forget_limits


def test_a_success_resolves_the_ticket_and_the_next_failure_opens_it_again(sandbox):
    for failing, state in ((True, "1"), (False, "6"), (True, "2"), (False, "6")):
        notify(failed() if failing else well(), resolve_on_success=True)
        assert the_state(sandbox) == state

    assert sum("load on etl passed, and did not fail since" in note for note in notes(sandbox)) == 2


def test_a_success_is_told_once_and_only_where_something_is_open(sandbox):
    notify(failed())
    notify(well(), resolve_on_success=True)
    sandbox.clear_requests()

    notify(well(run_id="next"), resolve_on_success=True)
    notify(well(task_id="never failed"), resolve_on_success=True)

    assert sandbox.requests == []


def test_checks_that_pass_again_are_resolved_one_by_one(sandbox):
    notify(from_payload("sql_column_check"))
    context = from_payload("sql_column_check", run_id="next", state="success") | {"exception": None}
    results = context["task"].check_results
    for result in results:
        result.success = result.success or result.name != "dep_delay.max"
    context["task"].check_results = [result for result in results if result.success]

    notify(context, resolve_on_success=True)

    states = {each["short_description"].split()[0]: each["state"] for each in incidents(sandbox)}
    assert states == {"dep_delay.max": "1", "dep_time.null_check": "6", "tailnum.distinct_check": "6"}


def test_a_dag_that_succeeds_resolves_what_it_told(sandbox, monkeypatch):
    notify(of_dag("timed_out"))

    notify(of_dag("success", run_id="manual__2"), resolve_on_success=True)

    assert the_state(sandbox) == "6"


def test_a_person_who_works_on_the_ticket_in_another_state_keeps_it(sandbox):
    notify(failed())
    (incident,) = incidents(sandbox)
    sandbox.act_as("beth.anglin", "incident", incident["sys_id"], {"state": "3", "hold_reason": "1"})

    notify(well(), resolve_on_success=True)

    assert the_state(sandbox) == "3"


def test_where_the_project_counts_passes_one_success_resolves_nothing(sandbox, connect):
    connect(sandbox.url, projects={"default": {"resolve_after": 2}})
    notify(failed())

    notify(well(), resolve_on_success=True)
    notify(well(run_id="next"), resolve_on_success=True)

    assert the_state(sandbox) == "1", "24 hours must be quiet as well"


def test_a_success_while_the_instance_is_down_fails_no_task(sandbox, caplog):
    notify(failed())
    sandbox.fail_next("error_before", count=1000)

    notify(well(), resolve_on_success=True)

    assert "servicenow_sync" in caplog.text
    sandbox.service.faults.clear()
    forget_limits()
    deliver()
    assert the_state(sandbox) == "6"
