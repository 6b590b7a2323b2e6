"""Notes and comments whose answer was lost, on instances that show their journals in all kinds of ways."""

from __future__ import annotations

import dataclasses
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from reporting import actions, anomaly, incidents, report
from test_lost_answers import FAULTS, UNDER_WAY
from worlds import World, all_at_once, hurried, with_retries

from airflow_provider_servicenow_dq.anomalies.model import Comment
from airflow_provider_servicenow_dq.desk.desk import Run
from airflow_provider_servicenow_dq.desk.push import push_comments
from airflow_provider_servicenow_dq.sandbox.journal_rewrites import REWRITES

if TYPE_CHECKING:
    from airflow_provider_servicenow_dq.desk.desk import Desk
    from airflow_provider_servicenow_dq.desk.push import Pushed

TIMEOUT_S = 1.0
#: Longer than that, and soon over.
LATE = {"seconds": 1.2, "hang_s": 1.2, "after_s": 0.3}
#: Of the faults, those after which nobody knows whether the write happened.
LOST = {
    name: (kind, {option: LATE.get(option, value) for option, value in options.items()})
    for name, (kind, options) in FAULTS.items()
    if kind not in {"accepted", "rate_limited", "semaphores_full", "unauthorized", "api_acl"}
}
#: What a text survives.
REWRITTEN = tuple(REWRITES.keys() - {"cut_at_emoji"})
#: How an instance shows its journals, and what its clock says.
SHOWN = {
    "readable": {},
    "denied, clock slow": {"journal_acl": True, "clock_offset_s": -300},
    "rewritten, clock fast": {"journal_rewrites": REWRITTEN, "clock_offset_s": 300},
    "own rows hidden, rewritten": {
        "hidden": ("sys_journal_field when sys_created_by=svc_airflow",),
        "journal_rewrites": REWRITTEN,
    },
}
#: Each in one store, and the last, in which we know least, in both: no store knows how a journal is shown.
SHOWN_AND_KEPT = [*((shown, "sqlite") for shown in SHOWN), ("own rows hidden, rewritten", "postgresql")]
#: Everything in it is rewritten somewhere.
ODD = 'rows < 10 & "x" > \U0001f600\U0001f600 why??\x07\nsecond  line \n\nlast \t'


def comment(number: int, body: str = "rows still missing") -> Comment:
    return Comment(id=str(number), author="ann", body=body, created_at=datetime(2026, 1, 5, tzinfo=UTC))


def push(desk: Desk, *comments: Comment) -> Pushed:
    return push_comments(desk, [anomaly(comments=list(comments))], run=Run("dag", "run", "push"))


def notes(world: World) -> list[str]:
    (incident,) = incidents(world.sandbox)
    return world.sandbox.notes(incident["sys_id"])


def told(wrong: dict[object, str]) -> str:
    return "\n\n".join(f"{case}\n{words}" for case, words in wrong.items())


@pytest.mark.parametrize(("shown", "database_kind"), SHOWN_AND_KEPT, indirect=["database_kind"])
def test_a_repeat_and_a_comment_whose_answers_are_lost_are_there_once(store_url, shown):
    worlds = {name: World(store_url, timeout_s=TIMEOUT_S, **SHOWN[shown]) for name in LOST}

    def run(name: str) -> None:
        kind, options = LOST[name]
        with worlds[name] as world:
            desk = world.desk() if kind in UNDER_WAY else hurried(world.desk())
            report(desk, anomaly(hour=0))
            world.sandbox.fail_next(kind, method="PATCH", **options)
            noted = with_retries(lambda: report(desk, anomaly(hour=1, message=ODD)), sleep=desk.sleep)
            world.sandbox.fail_next(kind, method="PATCH", **options)
            with_retries(lambda: push(desk, comment(1, ODD)), sleep=desk.sleep)
            time.sleep(0.5 if kind == "late_commit" else 0)

            assert actions(noted) == ["noted"]
            repeat, copied = notes(world)
            assert "seen again" in repeat
            assert copied.startswith("Comment from ")

    wrong = all_at_once({name: lambda name=name: run(name) for name in worlds})
    assert wrong == {}, told(wrong)


@pytest.mark.parametrize(("shown", "database_kind"), SHOWN_AND_KEPT, indirect=["database_kind"])
def test_equal_comments_on_purpose_are_both_delivered_and_equal_retries_once(store_url, shown):
    cases = {
        (kind, lost): World(store_url, timeout_s=TIMEOUT_S, **SHOWN[shown])
        for kind in ("drop_before", "drop_after", "late_commit", "error_after")
        for lost in (1, 2, 3)
    }

    def run(kind: str, lost: int) -> None:
        with cases[kind, lost] as world:
            desk = world.desk() if kind in UNDER_WAY else hurried(world.desk())
            report(desk, anomaly(hour=0))
            world.sandbox.fail_next(kind, method="PATCH", skip=lost - 1)
            for _ in range(2):
                with_retries(lambda: push(desk, comment(1), comment(2), comment(3)), sleep=desk.sleep)
            time.sleep(1 if kind == "late_commit" else 0)
            assert len(notes(world)) == 3
            assert len(set(notes(world))) == 1

    wrong = all_at_once({case: lambda case=case: run(*case) for case in cases})
    assert wrong == {}, told(wrong)


@pytest.mark.parametrize("kind", ["drop_after", "drop_before"])
@pytest.mark.parametrize("write", ["note", "comment"])
def test_what_nobody_can_read_back_is_unknown_and_no_retry_sends_it_again(store_url, kind, write):
    unreadable = {"journal_acl": True, "unreadable": ("task.work_notes",)}
    with World(store_url, timeout_s=TIMEOUT_S, **unreadable) as world:
        desk = hurried(world.desk())
        report(desk, anomaly(hour=0))
        world.sandbox.fail_next(kind, method="PATCH")

        def send(desk):
            return report(desk, anomaly(hour=1)) if write == "note" else push(desk, comment(1))

        for each in (desk, desk, hurried(world.desk())):
            done = send(each)
            assert "unknown: whether the note arrived" in done.failures[0]
            assert done.pending == []

        assert len([each for each in world.sandbox.requests if each.method == "PATCH"]) == 1


def test_after_an_unknown_note_the_next_ones_go_on(store_url):
    unreadable = {"journal_acl": True, "unreadable": ("task.work_notes",)}
    with World(store_url, timeout_s=TIMEOUT_S, **unreadable) as world:
        desk = hurried(world.desk())
        report(desk, anomaly(hour=0))
        world.sandbox.fail_next("drop_after", method="PATCH")
        push(desk, comment(1, "first"), comment(2, "second"))

        assert [text.split()[-1] for text in notes(world)] == ["first", "second"]


@pytest.mark.parametrize(
    "longer", ["rows still missing in January", "more rows:\n\nComment from Custom: rows still missing"]
)
def test_a_longer_note_does_not_count_as_the_shorter_one_in_it(store_url, longer):
    with World(store_url, timeout_s=TIMEOUT_S, journal_acl=True) as world:
        desk = hurried(world.desk())
        report(desk, anomaly(hour=0))
        with_retries(lambda: push(desk, comment(1, longer)), sleep=desk.sleep)
        world.sandbox.fail_next("drop_before", method="PATCH")

        with_retries(lambda: push(desk, comment(2)), sleep=desk.sleep)

        assert len(notes(world)) == 2


@pytest.mark.parametrize(("shown", "database_kind"), SHOWN_AND_KEPT, indirect=["database_kind"])
def test_what_was_written_before_the_store_was_is_not_written_again(store_url, shown):
    with World(store_url, timeout_s=5, **SHOWN[shown]) as world:
        report(world.desk(), anomaly(hour=0))
        with_retries(lambda: push(world.desk(), comment(1, ODD), comment(2)))

        with_retries(lambda: push(world.desk("empty"), comment(1, ODD), comment(2), comment(3)))

        assert len(notes(world)) == 3


def test_a_lost_note_like_one_from_before_the_store_is_sent_again(store_url):
    with World(store_url, timeout_s=TIMEOUT_S, journal_acl=True) as world:
        report(world.desk(), anomaly(hour=0))
        with_retries(lambda: push(world.desk(), comment(1)))
        desk = hurried(world.desk("empty"))
        with_retries(lambda: push(desk, comment(1)), sleep=desk.sleep)
        world.sandbox.fail_next("drop_before", method="PATCH")

        with_retries(lambda: push(desk, comment(2)), sleep=desk.sleep)

        assert len(notes(world)) == 2


def test_a_text_that_somebody_else_wrote_does_not_count_as_ours(store_url):
    with World(store_url, timeout_s=TIMEOUT_S) as world:
        desk = hurried(world.desk())
        report(desk, anomaly(hour=0))
        (incident,) = incidents(world.sandbox)
        words = {"work_notes": "Comment from Custom: rows still missing"}
        world.sandbox.act_as("beth.anglin", "incident", incident["sys_id"], words)
        world.sandbox.fail_next("drop_before", method="PATCH")

        with_retries(lambda: push(desk, comment(1)), sleep=desk.sleep)

        assert len(notes(world)) == 2


@pytest.mark.parametrize("kind", ["drop_after", "drop_before"])
@pytest.mark.parametrize("journal_acl", [False, True], ids=["readable", "denied"])
def test_of_a_text_that_lost_its_end_nothing_is_doubled_and_nothing_forgotten(store_url, kind, journal_acl):
    rewrites = {"journal_rewrites": ("cut_at_emoji",), "journal_acl": journal_acl}
    with World(store_url, timeout_s=TIMEOUT_S, **rewrites) as world:
        desk = hurried(world.desk())
        report(desk, anomaly(hour=0))
        with_retries(lambda: push(desk, comment(1, "\U0001f44d well done")), sleep=desk.sleep)
        world.sandbox.fail_next(kind, method="PATCH")

        for _ in range(2):
            second = push(desk, comment(2, "\U0001f44e not so well"))
            assert "unknown" in second.failures[0]

        assert len(notes(world)) == (2 if kind == "drop_after" else 1)


@pytest.mark.parametrize("journal_acl", [False, True], ids=["readable", "denied"])
def test_what_may_be_left_of_the_first_note_is_not_sent_again(store_url, journal_acl):
    rewrites = {"journal_rewrites": ("cut_at_emoji",), "journal_acl": journal_acl}
    with World(store_url, timeout_s=TIMEOUT_S, **rewrites) as world:
        desk = hurried(world.desk())
        report(desk, anomaly(hour=0))
        world.sandbox.fail_next("drop_after", method="PATCH")

        assert "unknown" in push(desk, comment(1, "\U0001f44d well done")).failures[0]

        assert notes(world) == ["Comment from Custom: "]


CLOCKS = {"slow": -300.0, "right": 0.0, "fast": 300.0}


def test_a_clock_that_is_wrong_neither_loses_a_refire_nor_makes_one(store_url):
    """What was seen before a person resolved the ticket is settled, what was seen after it is not."""
    worlds = {
        (clock, minutes, by): World(store_url, timeout_s=10, clock_offset_s=CLOCKS[clock])
        for clock in CLOCKS
        for minutes in (-4, -1, 1, 4)
        for by in ("the source's time", "our time")
    }

    def run(clock: str, minutes: int, by: str) -> None:
        with worlds[clock, minutes, by] as world:
            desk = world.desk()
            report(desk, anomaly(hour=None), run="first")
            (incident,) = incidents(world.sandbox)
            done = {"state": "6", "close_code": "Solution provided", "close_notes": "done"}
            world.sandbox.act_as("beth.anglin", "incident", incident["sys_id"], done)
            seen_at = datetime.now(UTC) + timedelta(minutes=minutes)

            if by == "our time":
                then = dataclasses.replace(desk, now=lambda: seen_at)
                again = report(then, anomaly(hour=None), run="next")
            else:
                again = report(desk, anomaly(detected_at=seen_at), run="next")

            assert actions(again) == ["unchanged" if minutes < 0 else "reopened"]

    wrong = all_at_once({case: lambda case=case: run(*case) for case in worlds})
    assert wrong == {}, told(wrong)
