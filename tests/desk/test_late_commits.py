"""The instance commits after the client gave up: its quota is twice the client's time, after a queue.

Whoever goes on then, nothing is doubled: the worker itself, another process after the worker's lease, or one
with an empty store of its own.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from lateness import Pace, StalledError, noting_starts
from reporting import anomaly, incidents, report
from worlds import PausedApi, World, all_at_once, with_retries

from airflow_provider_servicenow_dq.anomalies.model import Comment
from airflow_provider_servicenow_dq.desk.desk import Run
from airflow_provider_servicenow_dq.desk.push import push_comments, push_status

if TYPE_CHECKING:
    from airflow_provider_servicenow_dq.desk.desk import Desk

TIMEOUT_S = 1.0
#: A case that a slow machine has spoilt is played again.
MOST_TIMES = 4
#: How long after the client gave up the instance commits, in times of the client's patience. Its quota ends
#: a request after 60 s, which is twice the patience of a client that has the default timeout.
LATE = (0.2, 0.6, 0.95)


@dataclass
class Write:
    """A write that comes late.

    :param method: By which HTTP method.
    :param hardened: The instance ignores the sys_id that we choose.
    :param before: What has happened before.
    :param act: What writes.
    :param after: What the incident must look like at the end.
    """

    method: str
    before: Any
    act: Any
    after: dict[str, Any]
    hardened: bool = False


def nothing(world: World) -> None:
    pass


def know_the_instance(world: World) -> None:
    for store in ("store", "empty"):
        report(world.desk(store), anomaly(f"another in {store}"))


def open_it(world: World) -> None:
    report(world.desk(), anomaly(hour=0))


def resolve_it(world: World) -> None:
    open_it(world)
    (incident,) = ours(world)
    done = {"state": "6", "close_code": "Solution provided", "close_notes": "done"}
    world.sandbox.act_as("beth.anglin", "incident", incident["sys_id"], done)


def ours(world: World) -> list[dict[str, str]]:
    """Return the incidents that the late write is about."""
    return [each for each in incidents(world.sandbox) if "another" not in each["short_description"]]


def first(desk: Desk) -> Any:
    return report(desk, anomaly(hour=0))


def again(desk: Desk) -> Any:
    return report(desk, anomaly(hour=None), run="next")


def comment(desk: Desk) -> Any:
    said = Comment(
        id="1", author="ann", body="rows still missing", created_at=datetime(2026, 1, 5, tzinfo=UTC)
    )
    return push_comments(desk, [anomaly(comments=[said])], run=Run("dag", "run", "push"))


def resolve(desk: Desk) -> Any:
    changed = datetime(2026, 1, 6, tzinfo=UTC)
    resolved = anomaly(status="resolved", status_changed_at=changed)
    return push_status(desk, [resolved], run=Run("dag", "run", "push"))


CREATES = {
    "create on a known instance": Write("POST", know_the_instance, first, {"notes": 0}),
    "create at first contact": Write("POST", nothing, first, {"notes": 0}),
    "create on a known hardened one": Write("POST", know_the_instance, first, {"notes": 0}, hardened=True),
    "create at first contact with a hardened one": Write("POST", nothing, first, {"notes": 0}, hardened=True),
}
UPDATES = {
    "note": Write("PATCH", open_it, again, {"notes": 1, "state": "1"}),
    "note on a hardened one": Write("PATCH", open_it, again, {"notes": 1, "state": "1"}, hardened=True),
    "comment": Write("PATCH", open_it, comment, {"notes": 1, "state": "1"}),
    "resolve": Write("PATCH", open_it, resolve, {"notes": 1, "state": "6"}),
    "reopen": Write("PATCH", resolve_it, again, {"notes": 1, "state": "2", "reopen_count": "1"}),
}


def the_worker_goes_on(world: World, write: Write) -> None:
    desk = world.desk()
    with_retries(lambda: write.act(desk))


def another_process_takes_over(world: World, write: Write) -> None:
    """The worker stops with its lease, and wakes when the other one has done its work."""
    stopped = world.desk(api=PausedApi)
    stopped.table_api.stops.set()
    worker = threading.Thread(target=write.act, args=(stopped,))
    worker.start()
    assert stopped.table_api.stopped.wait(30)
    other = world.desk()
    with_retries(lambda: write.act(other))
    stopped.table_api.goes_on.set()
    worker.join()


def one_with_an_empty_store_takes_over(world: World, write: Write) -> None:
    """It finds nothing and opens a ticket of its own; both go on until nothing is left to do."""
    first, other = world.desk(), world.desk("empty")
    write.act(first)
    with_retries(lambda: write.act(other))
    time.sleep(2 * TIMEOUT_S)
    with_retries(lambda: write.act(first))
    with_retries(lambda: write.act(other))


def check(world: World, write: Write) -> None:
    time.sleep(1.5 * TIMEOUT_S)  # whatever is still under way has been committed by then
    found = ours(world)
    still_open = [each for each in found if each["state"] not in {"7", "8"}]
    assert len(still_open) == 1, found
    (incident,) = still_open
    if not write.hardened:
        assert len(found) == 1
    seen = {**incident, "notes": len(world.sandbox.notes(incident["sys_id"]))}
    assert {name: seen[name] for name in write.after} == write.after


TAKING_OVER = [
    (the_worker_goes_on, {**CREATES, **UPDATES}),
    (another_process_takes_over, {**CREATES, **UPDATES}),
    (one_with_an_empty_store_takes_over, CREATES),
]


@pytest.mark.parametrize(("go_on", "writes"), TAKING_OVER, ids=[go_on.__name__ for go_on, _ in TAKING_OVER])
def test_what_is_committed_late_is_not_done_again(store_url, go_on, writes):
    cases = [(name, late) for name in writes for late in LATE]
    store_url("store"), store_url("empty")  # made here, not by several threads at once

    def run(name: str, late: float) -> None:
        for left in reversed(range(MOST_TIMES)):
            try:
                play(store_url, starts, go_on, writes[name], late)
            except StalledError:
                if not left:
                    raise
            else:
                return

    with noting_starts() as starts:
        wrong = all_at_once({case: lambda case=case: run(*case) for case in cases})

    assert wrong == {}, "\n\n".join(f"{case}\n{words}" for case, words in wrong.items())


def play(store_url, starts, go_on, write: Write, late: float) -> None:
    world = World(store_url, timeout_s=TIMEOUT_S, admin_only_sys_fields=write.hardened)
    with world, Pace(world.sandbox, starts, TIMEOUT_S):
        write.before(world)
        world.sandbox.fail_next(
            "late_commit", method=write.method, hang_s=TIMEOUT_S, after_s=late * TIMEOUT_S
        )
        go_on(world, write)
        check(world, write)


def test_what_a_machine_commits_after_the_quota_is_told_from_a_broken_promise(store_url):
    """Beyond its quota nothing is promised: the note stands twice."""
    with noting_starts() as starts, pytest.raises(StalledError, match=r"stalled.*'notes': 2"):
        play(store_url, starts, the_worker_goes_on, UPDATES["note"], 2.5)
