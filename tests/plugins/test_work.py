"""Work runs in few threads of our own; nobody waits for it for long, and a repeat finds what was begun."""

from __future__ import annotations

import asyncio
import threading
import time
from urllib.parse import urlsplit

import psutil
import pytest
from fastapi import HTTPException
from rest_server import TICKETING, Asking, airflow_with, impatient_app

from airflow_provider_servicenow_dq.plugins import work as working
from airflow_provider_servicenow_dq.plugins.work import About, Work


class Slow:
    """Work that goes on until it is let go; counts how often it was begun, and how many at once."""

    def __init__(self):
        self.go = threading.Event()
        self.begun = 0
        self.at_once = 0
        self.most = 0
        self._lock = threading.Lock()

    def __call__(self):
        with self._lock:
            self.begun += 1
            self.at_once += 1
            self.most = max(self.most, self.at_once)
        self.go.wait(20)
        with self._lock:
            self.at_once -= 1
        return self.begun


async def outcomes(*runs):
    """Return what came of each, the status where it was an error."""
    ended = await asyncio.gather(*runs, return_exceptions=True)
    return [each.status_code if isinstance(each, HTTPException) else each for each in ended]


def test_no_more_than_a_few_run_at_once_and_few_wait():
    slow, work = Slow(), Work(threads=2, waiting=3, limit_s=5)

    async def all_at_once():
        asyncio.get_running_loop().call_later(0.3, slow.go.set)
        return await outcomes(*(work.run(str(number), slow) for number in range(10)))

    ended = asyncio.run(all_at_once())
    assert ended.count(503) == 5
    assert slow.begun == 5
    assert slow.most == 2


def test_whoever_waits_too_long_is_told_when_to_come_back():
    slow, work = Slow(), Work(limit_s=0.05)
    with pytest.raises(HTTPException) as told:
        asyncio.run(work.run("slow", slow))
    slow.go.set()
    assert told.value.status_code == 503
    assert int(told.value.headers["Retry-After"]) > 0
    assert "goes on" in told.value.detail


def test_what_was_given_up_goes_on_and_a_repeat_finds_it():
    slow, work = Slow(), Work(limit_s=0.05)
    assert asyncio.run(outcomes(work.run("same", slow))) == [503]
    assert asyncio.run(outcomes(work.run("same", slow))) == [503]
    slow.go.set()
    assert asyncio.run(outcomes(work.run("same", slow))) == [1]
    assert slow.begun == 1
    assert asyncio.run(outcomes(work.run("same", slow))) == [2], "an outcome is given once"


def test_what_was_given_up_and_has_ended_since_is_found_for_a_while(monkeypatch):
    slow, work = Slow(), Work(limit_s=0.05)
    for kept_s, begun in ((30.0, 1), (0.0, 2)):
        monkeypatch.setattr(working, "KEPT_S", kept_s)
        slow = Slow()
        assert asyncio.run(outcomes(work.run("same", slow))) == [503]
        slow.go.set()
        while slow.at_once:
            time.sleep(0.01)
        time.sleep(0.02)
        assert asyncio.run(outcomes(work.run("same", slow))) == [begun]


def test_the_same_work_at_the_same_time_is_done_once():
    slow, work = Slow(), Work(limit_s=5)

    async def twice():
        asyncio.get_running_loop().call_later(0.1, slow.go.set)
        return await outcomes(work.run("same", slow), work.run("same", slow), work.run("other", slow))

    assert asyncio.run(twice()) == [2, 2, 2]
    assert slow.begun == 2


def test_what_has_not_begun_when_nobody_waits_any_more_is_never_begun():
    slow, work = Slow(), Work(threads=1, limit_s=0.05)
    late = Slow()
    assert asyncio.run(outcomes(work.run("first", slow), work.run("second", late))) == [503, 503]
    slow.go.set()
    assert asyncio.run(outcomes(work.run("third", lambda: "done"))) == ["done"]
    assert late.begun == 0


CHANGE, READ = (About("ann", frozenset({"finding"}), writes) for writes in (True, False))


@pytest.mark.parametrize("has_ended", [True, False])
def test_after_another_change_of_the_same_by_the_same_person_it_is_done_again(has_ended):
    """Put here, given up; put there; put here again: it has to be here at the end, and seen there."""
    work = Work(limit_s=0.05)
    here, there, meanwhile = Slow(), Slow(), Slow()
    assert asyncio.run(outcomes(work.run("here", here, CHANGE))) == [503]
    assert asyncio.run(outcomes(work.run("where", meanwhile, READ))) == [503]
    if has_ended:
        here.go.set()
        meanwhile.go.set()
        time.sleep(0.1)
    there.go.set()
    assert asyncio.run(outcomes(work.run("there", there, CHANGE))) == [1]
    for slow in (here, meanwhile):
        slow.go.set()

    assert asyncio.run(outcomes(work.run("here", here, CHANGE))) == [2]
    assert asyncio.run(outcomes(work.run("where", meanwhile, READ))) == [2]


def test_what_was_read_during_a_change_is_read_again():
    work, changing, reading = Work(limit_s=0.05), Slow(), Slow()
    assert asyncio.run(outcomes(work.run("change", changing, CHANGE))) == [503]
    assert asyncio.run(outcomes(work.run("read", reading, READ))) == [503]
    for slow in (reading, changing):
        slow.go.set()
        time.sleep(0.1)

    assert asyncio.run(outcomes(work.run("read", reading, READ))) == [2]
    assert asyncio.run(outcomes(work.run("change", changing, CHANGE))) == [1]


@pytest.mark.parametrize(
    "other",
    [About("bob", CHANGE.names, writes=True), About("ann", frozenset({"another"}), writes=True), READ],
)
def test_what_others_change_and_what_something_else_is_about_is_no_reason_to_do_it_again(other):
    work, slow = Work(limit_s=0.05), Slow()
    assert asyncio.run(outcomes(work.run("here", slow, CHANGE))) == [503]
    slow.go.set()
    time.sleep(0.1)
    assert asyncio.run(outcomes(work.run("other", lambda: "done", other))) == ["done"]

    assert asyncio.run(outcomes(work.run("here", slow, CHANGE))) == [1]


def test_one_person_who_waits_for_two_changes_that_undo_each_other_takes_no_more_threads():
    work, one, other = Work(threads=8, limit_s=0.02), Slow(), Slow()
    for _ in range(5):
        assert (
            asyncio.run(outcomes(work.run("one", one, CHANGE), work.run("other", other, CHANGE))) == [503] * 2
        )

    assert (one.begun, other.begun) == (2, 2)
    for slow in (one, other):
        slow.go.set()


def test_a_failure_is_not_kept_for_the_next():
    work = Work(limit_s=0.05)
    go, tried = threading.Event(), []

    def failing():
        tried.append(None)
        go.wait(20)
        raise ValueError("broken")

    assert asyncio.run(outcomes(work.run("same", failing))) == [503]
    go.set()
    time.sleep(0.1)
    (error,) = asyncio.run(outcomes(work.run("same", failing)))
    assert isinstance(error, ValueError)
    assert len(tried) == 2


def test_somebody_who_hangs_up_takes_nobody_elses_work_away():
    slow, work = Slow(), Work(limit_s=5)

    async def one_hangs_up():
        leaving = asyncio.create_task(work.run("same", slow))
        staying = asyncio.create_task(work.run("same", slow))
        await asyncio.sleep(0.05)
        leaving.cancel()
        asyncio.get_running_loop().call_later(0.05, slow.go.set)
        return await staying

    assert asyncio.run(one_hangs_up()) == 1


def test_what_was_given_up_leaves_neither_threads_nor_connections_behind(root, sandbox, report):
    """More is asked than there are threads, each time something else, and nobody waits for any of it."""
    report(ticket=False)
    impatient = Asking(airflow_with(impatient_app(0.05)), "admin")
    sandbox.fail_next("delay", method="GET", seconds=0.3, count=8)
    before = {thread.ident for thread in threading.enumerate()}

    answers = [impatient("GET", f"{TICKETING}/tickets/search", params={"query": f"w{n}"}) for n in range(8)]

    assert {answer.status_code for answer in answers} == {503}
    ours = [thread for thread in threading.enumerate() if thread.ident not in before]
    assert len([thread for thread in ours if "servicenow-dq-rest" in thread.name]) <= working.THREADS
    port, me = urlsplit(sandbox.url).port, psutil.Process()
    deadline = time.monotonic() + 20
    while opened := [each for each in me.net_connections() if each.raddr and each.raddr.port == port]:
        assert time.monotonic() < deadline, opened
        time.sleep(0.05)
    assert impatient("GET", "/openapi.json").status_code == 200


def test_what_a_request_is_about_is_known(root, sandbox, report, monkeypatch):
    seen = []
    run = Work.run

    async def noted(self, name, work, about):
        seen.append(about)
        return await run(self, name, work, about)

    monkeypatch.setattr(Work, "run", noted)
    anomaly = report(ticket=False)["fingerprint"]
    refs = {"data": [{"id": each, "type": "findings"} for each in ("a", "b")]}
    item = {"relationships": {"findings": refs, "project": {"data": {"id": "default", "type": "projects"}}}}
    Asking(root, "admin")("GET", f"{TICKETING}/form-specification")
    Asking(root, "admin")("GET", f"/api/anomalies/{anomaly}/ticket-links")
    Asking(root, "oper")("POST", f"{TICKETING}/anomalies/{anomaly}/tickets", json={})
    findings = "/api/v2/security/findings"
    Asking(root, "oper")("POST", f"{findings}/cases", json={"data": [{**item, "type": "cases"}]})
    Asking(root, "oper")("DELETE", f"{findings}/cases", json={"data": {**item, "type": "cases"}})

    of_anomaly, of_findings = frozenset({anomaly}), frozenset({"a", "b"})
    assert seen == [
        About("admin", frozenset(), writes=False),
        About("admin", of_anomaly, writes=False),
        About("oper", of_anomaly, writes=True),
        About("oper", of_findings, writes=True),
        About("oper", of_findings, writes=True),
    ]
