"""Tickets that hold many anomalies: by dataset, by DAG run, and beyond a run's share of new ones."""

from __future__ import annotations

import pytest
from reporting import actions, anomaly, incidents, report, writes

from airflow_provider_servicenow_dq.anomalies.model import anomaly_key
from airflow_provider_servicenow_dq.desk.order import Order
from airflow_provider_servicenow_dq.projects.project import Project


def checks(count, **fields):
    return [anomaly(f"check {number:03}", **fields) for number in range(count)]


def texts(sandbox, incident):
    return [incident["description"], *sandbox.notes(incident["sys_id"])]


def is_listed(found, written):
    return sum(anomaly_key(found) in text for text in written)


def test_all_anomalies_of_a_dataset_share_one_ticket(desk, sandbox):
    orders = checks(3, dataset="sales.orders")
    flights = checks(2, dataset="nyc.flights")

    opening = report(desk, *orders, *flights, group_by="dataset")

    assert actions(opening) == ["created", "linked", "linked", "created", "linked"]
    assert len(incidents(sandbox)) == 2
    titles = sorted(incident["short_description"] for incident in incidents(sandbox))
    assert titles == ["Data quality: 2 anomalies on nyc.flights", "Data quality: 3 anomalies on sales.orders"]
    for found in orders:
        assert sum(is_listed(found, texts(sandbox, incident)) for incident in incidents(sandbox)) == 1


def test_a_newcomer_is_noted_on_its_groups_ticket_and_known_ones_are_throttled(desk, sandbox):
    report(desk, *checks(3), group_by="dataset")

    again = report(desk, *checks(4, hour=1), run="next", group_by="dataset")

    (incident,) = incidents(sandbox)
    assert actions(again) == ["unchanged", "unchanged", "unchanged", "linked"]
    assert len(sandbox.notes(incident["sys_id"])) == 1
    assert is_listed(checks(4)[3], texts(sandbox, incident)) == 1


def test_every_dag_run_has_a_ticket_of_its_own(desk, sandbox):
    report(desk, *checks(2), run="monday", group_by="dag_run")
    report(desk, *checks(2, hour=1), run="tuesday", group_by="dag_run")

    assert sorted(incident["short_description"] for incident in incidents(sandbox)) == [
        "Data quality: 2 anomalies in dag/monday",
        "Data quality: 2 anomalies in dag/tuesday",
    ]


def test_exactly_the_limit_of_new_tickets_is_no_rollup(desk, sandbox):
    opening = report(desk, *checks(5), max_new_tickets=5)

    assert actions(opening) == ["created"] * 5
    assert len(incidents(sandbox)) == 5


def test_beyond_the_limit_the_least_severe_share_one_ticket_and_none_is_lost(desk, sandbox):
    mild = checks(60, severity="low")
    grave = [anomaly(f"grave {number}", severity="critical") for number in range(3)]

    opening = report(desk, *mild, *grave, max_new_tickets=5)

    assert len(incidents(sandbox)) == 6
    (rollup,) = [each for each in incidents(sandbox) if each["correlation_id"].startswith("dq:rollup:")]
    own = [each["correlation_id"] for each in incidents(sandbox) if each is not rollup]
    assert all(any(anomaly_key(found) in one for one in own) for found in grave)
    assert all(result["delivered"] and result["ticket"] for result in opening.results)
    joined = [found for found in mild if not any(anomaly_key(found) in one for one in own)]
    assert len(joined) == 58
    assert [is_listed(found, texts(sandbox, rollup)) for found in joined] == [1] * 58
    assert all(len(text) <= 4000 for text in texts(sandbox, rollup))
    assert len(sandbox.notes(rollup["sys_id"])) >= 1
    posts = [each for each in sandbox.requests if each.method == "POST"]
    assert posts[0].body["correlation_id"] == rollup["correlation_id"]


@pytest.mark.parametrize("store", ["store", "fresh"])
def test_a_retry_finds_the_rollup_again(make_desk, sandbox, store):
    report(make_desk("store"), *checks(12), max_new_tickets=5)
    before = sorted(incident["sys_id"] for incident in incidents(sandbox))
    notes = sum(len(sandbox.notes(sys_id)) for sys_id in before)

    again = report(make_desk(store), *checks(12), max_new_tickets=5)

    assert sorted(incident["sys_id"] for incident in incidents(sandbox)) == before
    assert sum(len(sandbox.notes(sys_id)) for sys_id in before) == notes
    assert all(result["delivered"] for result in again.results)


def test_a_retry_after_a_crash_between_the_rollup_and_the_rest_loses_none(make_desk, sandbox):
    sandbox.fail_next("error_before", method="POST", skip=3, count=50)
    first = report(make_desk("lost"), *checks(12), max_new_tickets=5)
    assert first.failures
    sandbox.configure()
    sandbox.fail_next("delay", method="POST", seconds=0, count=1)

    for _ in range(12):
        again = report(make_desk("fresh"), *checks(12), max_new_tickets=5)
        if not again.failures:
            break

    written = [text for incident in incidents(sandbox) for text in texts(sandbox, incident)]
    own = [incident["correlation_id"] for incident in incidents(sandbox)]
    for found in checks(12):
        assert is_listed(found, written) or any(anomaly_key(found) in one for one in own)
    assert len([one for one in own if one.startswith("dq:rollup:")]) == 1


def test_the_limit_counts_for_the_whole_dag_run(desk, sandbox):
    report(desk, *checks(4), task="first", max_new_tickets=5)
    report(desk, *checks(8)[4:], task="second", max_new_tickets=5)

    assert len(incidents(sandbox)) == 6


def test_in_the_next_run_an_anomaly_stays_on_the_rollup_while_that_is_open(desk, sandbox):
    report(desk, *checks(12), max_new_tickets=5)
    count = len(incidents(sandbox))

    again = report(desk, *checks(12, hour=1), run="next", max_new_tickets=5)

    assert len(incidents(sandbox)) == count
    assert "created" not in actions(again)
    rollup_number = next(
        each["number"] for each in incidents(sandbox) if each["correlation_id"].startswith("dq:rollup:")
    )
    assert sum(result["ticket"]["ticket_number"] == rollup_number for result in again.results) == 7


def test_a_title_of_ones_own_stays_on_a_groups_ticket(desk, sandbox):
    order = Order(Project(group_by="dataset"), {"short_description": "Trouble on {dataset}"})

    report(desk, *checks(2), order=order)

    assert incidents(sandbox)[0]["short_description"] == "Trouble on nyc.flights"


def test_a_lost_create_of_a_group_is_found_again(desk, sandbox):
    report(desk, anomaly("known"))
    sandbox.fail_next("drop_after", method="POST")

    opening = report(desk, *checks(3), group_by="dataset")

    assert actions(opening) == ["created", "linked", "linked"]
    assert len(incidents(sandbox)) == 2
    assert writes(sandbox).count("POST") == 2


def test_a_task_that_dies_between_two_pages_of_a_list_writes_the_others_when_it_runs_again(
    desk, sandbox, monkeypatch
):
    def die(*_args):
        raise KeyboardInterrupt

    storm = [anomaly(f"{number} {'x' * 450}") for number in range(10)]
    with monkeypatch.context() as dying:
        dying.setattr("airflow_provider_servicenow_dq.desk.delivery.send.update", die)
        with pytest.raises(KeyboardInterrupt):
            report(desk, *storm, group_by="dataset")

    again = report(desk, *storm, group_by="dataset")

    assert again.failures == []
    (incident,) = incidents(sandbox)
    assert len(sandbox.notes(incident["sys_id"])) == 1
    assert [is_listed(found, texts(sandbox, incident)) for found in storm] == [1] * 10
