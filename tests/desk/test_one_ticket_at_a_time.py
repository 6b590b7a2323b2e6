"""Anomalies of an exclusive project are on one ticket at a time, and both tickets tell of a move."""

from __future__ import annotations

import threading

import pytest
import sqlalchemy as sa
from reporting import actions, anomaly, incidents, report, writes

from airflow_provider_servicenow_dq.anomalies.model import Comment, anomaly_key
from airflow_provider_servicenow_dq.client.limits import forget_limits
from airflow_provider_servicenow_dq.desk.clear import deliver_waiting
from airflow_provider_servicenow_dq.desk.desk import Run
from airflow_provider_servicenow_dq.desk.lookup import look
from airflow_provider_servicenow_dq.desk.push import push_comments, push_status
from airflow_provider_servicenow_dq.projects.project import Project
from airflow_provider_servicenow_dq.store import exclusive, outbox, schema, tickets
from airflow_provider_servicenow_dq.store.outbox import Address


def checks(count, **fields):
    return [anomaly(f"check {number}", hour=None, **fields) for number in range(count)]


def numbers_of(desk, found):
    """Return the numbers of the tickets that an anomaly is linked to."""
    with desk.store.begin() as connection:
        rows = connection.execute(
            sa.select(schema.ticket.c.number)
            .join(schema.link, schema.link.c.ticket_id == schema.ticket.c.id)
            .where(schema.link.c.key == anomaly_key(found, desk.namespace))
        )
        return sorted(rows.scalars())


def notes(sandbox, incident):
    return sandbox.notes(incident["sys_id"])


def by_hand(sandbox, incident, **values):
    sandbox.act_as("admin", "incident", incident["sys_id"], values)


def solve(sandbox, incident, state="6"):
    by_hand(sandbox, incident, state=state, close_code="Solution provided", close_notes="done")


def rollup_of(desk, incident):
    return Address(desk.host, "incident", incident["correlation_id"])


def join_the_group(desk, *found, run="next", **rules):
    return report(desk, *found, run=run, group_by="dataset", exclusive=True, **rules)


def test_without_the_rule_an_anomaly_may_be_on_several_tickets(desk, sandbox):
    (found,) = checks(1)
    report(desk, found)
    report(desk, found, run="next", group_by="dataset")

    assert len(numbers_of(desk, found)) == 2
    assert [notes(sandbox, incident) for incident in incidents(sandbox)] == [[], []]


def test_who_joins_a_group_leaves_its_own_ticket_and_both_say_so(desk, sandbox):
    found, other = checks(2)
    report(desk, found, exclusive=True)

    opening = join_the_group(desk, found, other)

    own, shared = incidents(sandbox)
    assert actions(opening) == ["created", "linked"]
    assert numbers_of(desk, found) == numbers_of(desk, other) == [shared["number"]]
    assert notes(sandbox, own) == [
        f"No longer followed here, now on {shared['number']}:\n- check 0 on nyc.flights"
    ]
    assert notes(sandbox, shared) == [
        f"Followed here from now on:\n- check 0 on nyc.flights, until now on {own['number']}"
    ]


def test_a_move_is_noted_once_however_often_it_is_reported(desk, sandbox):
    (found,) = checks(1)
    report(desk, found, exclusive=True)
    join_the_group(desk, found)
    sandbox.clear_requests()

    join_the_group(desk, found)
    deliver_waiting(desk, Run("sync", "run", "deliver"))

    assert writes(sandbox) == []


def test_many_leave_their_tickets_at_once_with_one_note_on_each(desk, sandbox):
    found = checks(5)
    report(desk, *found, exclusive=True)

    join_the_group(desk, *found)

    *own, shared = incidents(sandbox)
    assert [len(notes(sandbox, incident)) for incident in own] == [1] * 5
    (joined,) = notes(sandbox, shared)
    assert all(f"until now on {incident['number']}" in joined for incident in own)


@pytest.mark.parametrize(("state", "said"), [("6", 1), ("7", 0), ("8", 0)])
def test_a_successor_takes_the_anomaly_and_only_who_can_still_be_written_on_is_told(
    desk, sandbox, state, said
):
    (found,) = checks(1)
    report(desk, found, exclusive=True)
    solve(sandbox, incidents(sandbox)[0], state)

    opening = report(desk, found, run="next", exclusive=True, on_refire="new")

    before, after = incidents(sandbox)
    assert actions(opening) == ["created"]
    assert numbers_of(desk, found) == [after["number"]]
    assert [len(notes(sandbox, before)), len(notes(sandbox, after))] == [said, 0]
    assert f"Follows {before['number']}" in after["description"]
    with desk.store.begin() as connection:
        moves = connection.execute(sa.select(schema.outbox).where(schema.outbox.c.kind == outbox.MOVE)).all()
    assert len(moves) == said


def test_who_joined_a_roll_up_comes_back_from_it_when_it_is_closed(desk, sandbox):
    found = checks(2)
    report(desk, *found, exclusive=True, max_new_tickets=1)
    own, shared = incidents(sandbox)
    if "beyond the limit" in own["short_description"]:
        own, shared = shared, own
    joined = next(each for each in found if numbers_of(desk, each) == [shared["number"]])
    solve(sandbox, shared, "7")

    look(desk, [rollup_of(desk, shared)], run="look")

    report(desk, joined, run="next", exclusive=True)

    newest = incidents(sandbox)[-1]
    assert numbers_of(desk, joined) == [newest["number"]]
    assert notes(sandbox, shared) == []
    assert notes(sandbox, newest) == [
        f"Followed here from now on:\n- {joined.check_name} on nyc.flights, until now on {shared['number']}"
    ]


def test_a_status_or_comment_goes_to_the_ticket_that_it_is_on_now(desk, sandbox):
    (found,) = checks(1)
    report(desk, found, exclusive=True)
    join_the_group(desk, found)
    project = Project(exclusive=True, group_by="dataset")
    (resolved,) = checks(1, status="resolved", comments=[Comment(id="1", body="Known.")])

    push_comments(desk, [resolved], run=Run("dag", "run", "comment"), project=project)
    pushed = push_status(desk, [resolved], run=Run("dag", "run", "push"), project=project)

    own, shared = incidents(sandbox)
    assert actions(pushed) == ["resolved"]
    assert (own["state"], shared["state"]) == ("1", "6")
    assert [len(notes(sandbox, own)), len(notes(sandbox, shared))] == [1, 3]


def test_a_status_that_was_on_its_way_does_not_bring_the_anomaly_back(desk, sandbox):
    (found,) = checks(1)
    report(desk, found, exclusive=True)
    (seen,) = checks(1, status="acknowledged")
    sandbox.fail_next("rate_limited", method="PATCH", retry_after=100)
    assert push_status(desk, [seen], run=Run("dag", "run", "push"), project=Project(exclusive=True)).pending
    forget_limits()

    join_the_group(desk, found)
    deliver_waiting(desk, Run("sync", "run", "deliver"))

    own, shared = incidents(sandbox)
    assert numbers_of(desk, found) == [shared["number"]]
    assert len(notes(sandbox, own)) == 2


def test_an_old_report_on_a_finished_ticket_takes_nobody_from_an_open_one(desk, sandbox):
    found = anomaly(hour=0)
    report(desk, found, exclusive=True)
    own = incidents(sandbox)[0]
    join_the_group(desk, anomaly(hour=1))
    shared = incidents(sandbox)[1]
    solve(sandbox, own, "7")

    late = report(desk, anomaly(hour=2), run="late", exclusive=True)

    assert actions(late) == ["unchanged"]
    assert numbers_of(desk, found) == [shared["number"]]


def test_a_note_about_a_move_that_could_not_be_sent_is_delivered_later(desk, sandbox):
    (found,) = checks(1)
    report(desk, found, exclusive=True)
    sandbox.fail_next("rate_limited", method="PATCH", retry_after=100)

    opening = join_the_group(desk, found)
    forget_limits()
    own, shared = incidents(sandbox)
    assert opening.pending
    assert numbers_of(desk, found) == [shared["number"]]
    deliver_waiting(desk, Run("sync", "run", "deliver"))

    assert [len(notes(sandbox, own)), len(notes(sandbox, shared))] == [1, 1]


def test_the_retry_of_a_task_delivers_the_notes_that_its_first_try_left(desk, sandbox):
    (found,) = checks(1)
    report(desk, found, exclusive=True)
    sandbox.fail_next("rate_limited", method="PATCH", retry_after=100)
    assert join_the_group(desk, found).pending
    forget_limits()

    again = join_the_group(desk, found)

    own, shared = incidents(sandbox)
    assert (actions(again), again.pending) == (["created"], [])
    assert [len(notes(sandbox, own)), len(notes(sandbox, shared))] == [1, 1]


def test_who_delivers_for_others_delivers_their_moves_too(desk, sandbox):
    (found,) = checks(1)
    report(desk, found, exclusive=True)
    sandbox.fail_next("rate_limited", method="POST", retry_after=100)
    assert join_the_group(desk, found).pending
    forget_limits()

    deliver_waiting(desk, Run("sync", "run", "deliver"))

    own, shared = incidents(sandbox)
    assert [len(notes(sandbox, own)), len(notes(sandbox, shared))] == [1, 1]
    with desk.store.begin() as connection:
        states = connection.execute(sa.select(schema.outbox.c.state)).scalars()
        assert set(states) == {outbox.DONE}


def test_a_lost_store_says_nothing_about_a_move_a_second_time(desk, make_desk, sandbox):
    (found,) = checks(1)
    report(desk, found, exclusive=True)
    solve(sandbox, incidents(sandbox)[0])
    report(desk, found, run="next", exclusive=True, on_refire="new")
    before, after = incidents(sandbox)
    assert len(notes(sandbox, before)) == 1

    another = make_desk("another")
    report(another, found, run="third", exclusive=True)

    assert numbers_of(another, found) == [after["number"]]
    assert [len(notes(sandbox, before)), len(notes(sandbox, after))] == [1, 0]


def test_two_that_move_an_anomaly_at_once_leave_it_on_one_ticket(desk, sandbox):
    found = anomaly()
    report(desk, found, anomaly("other"), exclusive=True)
    key = anomaly_key(found, desk.namespace)
    with desk.store.begin() as connection:
        connection.execute(schema.link.delete())
        ids = connection.execute(sa.select(schema.ticket.c.id)).scalars().all()
    first_is_in = threading.Event()
    let_go = threading.Event()

    def move(ticket_id, *, waits):
        with desk.store.begin() as connection:
            exclusive.alone(connection)
            tickets.link(connection, ticket_id, [key], now=desk.now())
            ticket = tickets.by_ids(connection, [ticket_id])[ticket_id]
            exclusive.take_from_others(connection, ticket, [key], everywhere=False)
            if waits:
                first_is_in.set()
                let_go.wait(0.2)

    one = threading.Thread(target=move, args=(ids[0],), kwargs={"waits": True})
    one.start()
    first_is_in.wait()
    move(ids[1], waits=False)
    one.join()

    assert len(numbers_of(desk, found)) == 1
