"""Both sides in step: what came from a ticket does not go back to it, however often it goes round."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from pulls import by_hand, told
from reporting import actions, anomaly, incidents, report, writes

from airflow_provider_servicenow_dq.anomalies.model import Comment
from airflow_provider_servicenow_dq.desk.desk import Run
from airflow_provider_servicenow_dq.desk.push import push_comments, push_status

SOLVED = {"close_code": "Solution provided", "close_notes": "loaded again"}
NOON = datetime(2024, 1, 15, 12, tzinfo=UTC)


class Source:
    """A tool that keeps an anomaly, and is kept in step with its ticket by two tasks."""

    def __init__(self, desk, *, tells_times):
        self.desk = desk
        self.status = "active"
        self.comments = []
        self._tells_times = tells_times
        self._changed_at = NOON
        self._runs = 0

    def anomaly(self):
        times = {"status_changed_at": self._changed_at} if self._tells_times else {}
        remarks = [Comment(id=str(number), body=body) for number, body in enumerate(self.comments)]
        return anomaly(source="qualytics", external_id="824", status=self.status, comments=remarks, **times)

    def decide(self, status):
        self.status = status
        # Later than whatever the ticket has said so far.
        self._changed_at = datetime.now(UTC) + timedelta(microseconds=self._runs)

    def push(self):
        self._runs += 1
        run = Run("dag", f"run {self._runs}", "push")
        pushed = [
            push_status(self.desk, [self.anomaly()], run=run),
            push_comments(self.desk, [self.anomaly()], run=run),
        ]
        assert not [words for each in pushed for words in each.failures]
        return pushed

    def pull(self):
        changes = told(self.desk)
        for change in changes:
            if change["status"]:
                self.decide(change["status"])
            if change["field"] in {"work_notes", "comments"}:
                self.comments.append(change["new"])
        return changes


@pytest.fixture(params=[True, False], ids=["with times", "without times"])
def source(desk, sandbox, request):
    report(desk, anomaly(source="qualytics", external_id="824"))
    source = Source(desk, tells_times=request.param)
    source.pull()
    sandbox.clear_requests()
    return source


def the_incident(sandbox):
    return incidents(sandbox)[0]


def test_a_status_is_not_pushed_to_the_ticket_that_it_came_from(source, sandbox):
    by_hand(sandbox, the_incident(sandbox), state="6", **SOLVED)
    source.pull()

    status, _ = source.push()

    assert source.status == "resolved"
    assert actions(status) == ["unchanged"]
    assert status.results[0]["message"].endswith("said so itself")
    assert writes(sandbox) == []
    assert sandbox.notes(the_incident(sandbox)["sys_id"]) == []


def test_a_status_that_the_source_takes_back_and_decides_anew_is_pushed(source, sandbox):
    by_hand(sandbox, the_incident(sandbox), state="2")
    source.pull()
    source.push()
    source.decide("resolved")
    source.push()
    by_hand(sandbox, the_incident(sandbox), state="2")
    source.pull()
    source.push()
    source.decide("resolved")

    source.push()

    assert len(sandbox.notes(the_incident(sandbox)["sys_id"])) == 2
    assert the_incident(sandbox)["state"] == "6"
    assert source.pull() == []


def test_other_tickets_of_the_anomaly_get_it(source, sandbox, desk):
    first = the_incident(sandbox)
    by_hand(sandbox, first, user="admin", state="7", **SOLVED)
    source.pull()
    source.decide("active")
    report(desk, anomaly(source="qualytics", external_id="824", hour=None), run="later")
    source.pull()
    second = next(each for each in incidents(sandbox) if each["sys_id"] != first["sys_id"])
    by_hand(sandbox, second, work_notes="solved elsewhere")
    source.pull()

    source.push()

    assert len(incidents(sandbox)) == 2
    assert "solved elsewhere" in sandbox.notes(second["sys_id"])
    assert not [note for note in sandbox.notes(second["sys_id"]) if "Comment from" in note]


def test_a_comment_is_not_pushed_to_the_ticket_that_it_came_from(source, sandbox):
    by_hand(sandbox, the_incident(sandbox), comments="please look again")
    source.pull()

    _, comments = source.push()

    assert actions(comments) == ["unchanged"]
    assert source.comments == ["please look again"]
    assert source.pull() == []


def test_the_same_text_that_somebody_writes_in_the_source_is_pushed(source, sandbox):
    by_hand(sandbox, the_incident(sandbox), comments="ok")
    source.pull()
    source.push()
    source.comments.append("ok")

    _, comments = source.push()

    assert actions(comments) == ["unchanged", "noted"]
    assert sandbox.notes(the_incident(sandbox)["sys_id"])[-1] == "Comment from Qualytics: ok"
    assert source.pull() == []


def test_a_thousand_round_trips_have_no_echo(desk, sandbox):  # noqa: C901 (two sides that take turns)
    """A hundred anomalies, ten times there and back each: every other time their tickets begin."""
    names = [str(number) for number in range(100)]
    statuses = dict.fromkeys(names, "active")
    comments = {name: [] for name in names}

    def anomalies():
        return [
            anomaly(
                source="qualytics",
                external_id=name,
                check=f"check {name}",
                status=statuses[name],
                comments=[Comment(id=str(place), body=body) for place, body in enumerate(comments[name])],
            )
            for name in names
        ]

    def push(number):
        run = Run("dag", f"run {number}", "push")
        for pushed in (push_status(desk, anomalies(), run=run), push_comments(desk, anomalies(), run=run)):
            assert pushed.failures == []

    report(desk, *anomalies(), max_new_tickets=100)
    assert told(desk) == []
    heard = 0
    for number in range(10):
        if number % 4 == 1:
            for name in names:
                statuses[name] = "acknowledged" if statuses[name] == "invalid" else "invalid"
        elif number % 4 == 3:
            for name in names:
                comments[name].append(f"ours {number}")
        else:
            for record in incidents(sandbox):
                moved = {"state": "3" if record["state"] == "2" else "2"}
                by_hand(sandbox, record, work_notes=f"theirs {number}", **moved)
            changes = told(desk)
            heard += len(changes)
            for change in changes:
                statuses[change["anomaly_id"]] = change["status"] or statuses[change["anomaly_id"]]
                if change["field"] == "work_notes":
                    comments[change["anomaly_id"]].append(change["new"])
        push(number)
        assert told(desk) == []

    said = [note for record in incidents(sandbox) for note in sandbox.notes(record["sys_id"])]
    assert heard == 2 * 500
    assert sum(note.startswith("theirs") for note in said) == 500
    assert sum(note.startswith("Comment from Qualytics: ours") for note in said) == 200
    assert sum("Anomaly Status" in note for note in said) == 300
    assert len(said) == 1000
