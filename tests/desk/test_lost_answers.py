"""Every lost answer on every write of an opening, with retries as Airflow makes them."""

from __future__ import annotations

import time

import pytest
from reporting import actions, anomaly, incidents, report
from worlds import hurried, with_retries

from airflow_provider_servicenow_dq.exceptions import ServiceNowError
from airflow_provider_servicenow_dq.store import outbox

FAULTS = {
    "dropped before the write": ("drop_before", {}),
    "dropped after the write": ("drop_after", {}),
    "committed after the client gave up": ("late_commit", {"hang_s": 0.6, "after_s": 0.3}),
    "answered too late": ("delay", {"seconds": 0.7, "when": "after"}),
    "started too late": ("delay", {"seconds": 0.7, "when": "before"}),
    "202": ("accepted", {}),
    "429 with Retry-After": ("rate_limited", {"retry_after": 1}),
    "429 without": ("semaphores_full", {}),
    "503 before the write": ("error_before", {}),
    "503 after the write": ("error_after", {}),
    "503 with Retry-After": ("error_before", {"retry_after": 1}),
    "500 after the write": ("error_after", {"status": 500}),
    "403 though done": ("forbidden_but_done", {}),
    "403 that passes": ("api_acl", {}),
    "401 once": ("unauthorized", {}),
    "200 with an error, done": ("cancelled", {}),
    "200 with an error, not done": ("cancelled", {"executed": False}),
    "200 with an error, unparsable": ("cancelled", {"parsable": False}),
    "hibernating page": ("hibernating", {}),
    "login page": ("login", {}),
    "offline page": ("offline", {"status": 503}),
}
#: After these the instance still has something to do, or to wait for.
UNDER_WAY = {"late_commit", "delay", "rate_limited", "semaphores_full"}


@pytest.fixture
def desk(make_desk, request):
    """A desk that does not wait for what is over."""
    waits = request.node.callspec.params.get("kind") in UNDER_WAY
    return make_desk() if waits else hurried(make_desk())


def blind_repeats(sandbox, method):
    """Return writes that were sent again although nobody had looked since."""
    blind = []
    last = None
    # The log is in the order of the answers, and some come late.
    for logged in sorted(sandbox.requests, key=lambda each: each.started):
        if logged.method == "GET":
            last = None
        elif logged.method == method:
            if last is not None and last.body == logged.body and last.status not in {202, 401, 429}:
                blind.append(logged)
            last = logged
    return blind


@pytest.mark.parametrize("known_to_honour", [True, False], ids=["known instance", "first contact"])
@pytest.mark.parametrize(("kind", "options"), FAULTS.values(), ids=FAULTS.keys())
def test_a_create_whose_answer_is_lost_makes_one_incident(desk, sandbox, kind, options, known_to_honour):
    if known_to_honour:
        report(desk, anomaly("another problem"))
    expected = len(incidents(sandbox)) + 1
    sandbox.fail_next(kind, method="POST", **options)

    opening = with_retries(lambda: report(desk, anomaly()), sleep=desk.sleep)

    time.sleep(0.4 if kind == "late_commit" else 0)
    assert len(incidents(sandbox)) == expected
    assert opening.results[0]["delivered"]
    assert opening.results[0]["action"] == "created"
    assert blind_repeats(sandbox, "POST") == []


@pytest.mark.parametrize(("kind", "options"), FAULTS.values(), ids=FAULTS.keys())
def test_a_note_whose_answer_is_lost_is_there_once(desk, sandbox, kind, options):
    report(desk, anomaly(hour=0))
    sandbox.fail_next(kind, method="PATCH", **options)

    opening = with_retries(lambda: report(desk, anomaly(hour=1)), sleep=desk.sleep)

    time.sleep(0.4 if kind == "late_commit" else 0)
    assert len(sandbox.notes(incidents(sandbox)[0]["sys_id"])) == 1
    assert actions(opening) == ["noted"]
    assert blind_repeats(sandbox, "PATCH") == []


@pytest.mark.parametrize(("kind", "options"), FAULTS.values(), ids=FAULTS.keys())
def test_a_reopening_whose_answer_is_lost_is_done_once(desk, sandbox, kind, options):
    report(desk, anomaly(hour=0))
    (incident,) = incidents(sandbox)
    done = {"state": "6", "close_code": "Solution provided", "close_notes": "done"}
    sandbox.act_as("beth.anglin", "incident", incident["sys_id"], done)
    sandbox.fail_next(kind, method="PATCH", **options)

    opening = with_retries(lambda: report(desk, anomaly(hour=None), run="next"), sleep=desk.sleep)

    time.sleep(0.4 if kind == "late_commit" else 0)
    (incident,) = incidents(sandbox)
    assert (incident["state"], incident["reopen_count"]) == ("2", "1")
    assert len(sandbox.notes(incident["sys_id"])) == 1
    assert actions(opening) == ["reopened"]


@pytest.mark.parametrize("journal_acl", [False, True], ids=["journal readable", "journal denied"])
@pytest.mark.parametrize("kind", ["drop_after", "drop_before"])
def test_a_lost_note_is_looked_for_in_the_form_where_the_journal_table_is_denied(
    desk, sandbox, kind, journal_acl
):
    report(desk, anomaly(hour=0))
    report(desk, anomaly(hour=1))
    sandbox.configure(journal_acl=journal_acl)
    sandbox.fail_next(kind, method="PATCH")

    with_retries(lambda: report(desk, *(anomaly(hour=hour) for hour in (2, 3))), sleep=desk.sleep)

    assert len(sandbox.notes(incidents(sandbox)[0]["sys_id"])) == 2


def test_a_worker_that_died_in_the_middle_of_a_create_leaves_no_twin(make_desk, sandbox, monkeypatch):
    def die(*_args, **_kwargs):
        raise KeyboardInterrupt

    first = make_desk()
    with monkeypatch.context() as dying:
        dying.setattr("airflow_provider_servicenow_dq.desk.writing.settle.created", die)
        with pytest.raises(KeyboardInterrupt):
            report(first, anomaly())
    assert len(incidents(sandbox)) == 1

    opening = with_retries(lambda: report(make_desk(), anomaly()))

    assert len(incidents(sandbox)) == 1
    assert actions(opening) == ["created"]


def test_with_the_instance_down_it_fails_in_words_and_a_retry_finishes(desk, sandbox):
    sandbox.fail_next("error_before", count=20)

    down = report(desk, anomaly(), anomaly("other"))

    assert [result["delivered"] for result in down.results] == [False, False]
    assert "503" in down.failures[0]
    assert all(isinstance(error, ServiceNowError) for error in down.pending)
    with desk.store.begin() as connection:
        states = [entry.state for entry in outbox.by_ids(connection, [1, 2]).values()]
    assert states == ["pending", "pending"]

    sandbox.reset()
    opening = with_retries(lambda: report(desk, anomaly(), anomaly("other")), sleep=desk.sleep)

    assert actions(opening) == ["created", "created"]
    assert len(incidents(sandbox)) == 2
