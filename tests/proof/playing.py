"""Plays a history: an instance of its own, processes that die, people who interfere; then time to finish."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import json
import os
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import ledger
import points
import pulled
from histories import TIMEOUT_S, History
from judge import Evidence, judge
from people import by_number, deed, incidents, opened_by_a_person
from sandboxes import forked_sandbox
from tasks import Task, fate_of, without_fate, work

from airflow_provider_servicenow_dq.sandbox.control import SandboxControl
from airflow_provider_servicenow_dq.sandbox.rules import RefusedError
from airflow_provider_servicenow_dq.store import outbox, schema
from airflow_provider_servicenow_dq.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOST_ROUNDS: Final = 15
_PAUSE_S: Final = 0.05
_DOUBT_S: Final = 3 * TIMEOUT_S
#: What a late commit leaves of the doubt.
_LAG_S: Final = 0.4


@dataclass
class Verdict:
    """What came of a history.

    :param wrong: What the judge found, in words.
    :param stalled: The machine was too slow for what the promise rests on: the instance ends a request, and
        a process sends it, before the doubt about it does.
    """

    history: History
    wrong: list[str] = field(default_factory=list)
    stalled: bool = False
    figures: dict[str, int] = field(default_factory=dict)


def play(history: History, urls: list[str]) -> Verdict:
    """Play a history and judge it.

    :param urls: Of two stores; the second is for when the first is lost.
    """
    with tempfile.TemporaryDirectory() as name, forked_sandbox(Path(name) / "lag") as address:
        control = SandboxControl(address)
        control.configure(
            admin_only_sys_fields=history.instance == "hardened", clock_offset_s=history.clock_offset_s
        )
        player = _Player(history, control, urls, Path(name))
        player.play()
        player.finish()
        if history.latest_s:
            time.sleep(history.latest_s + TIMEOUT_S)  # what comes last must find its place as well
        evidence = player.evidence()
        wrong = [*player.wrong, *judge(history, evidence)]
        lag = Path(name) / "lag"
        late = float(lag.read_text()) if lag.exists() else 0.0
        stalled = evidence.slowest_s > _DOUBT_S or late > _LAG_S
        return Verdict(history, wrong, stalled, player.figures(evidence))


def rehearse(url: str, directory: Path) -> None:
    """Do in this process what tasks do, so that its forks find what they need loaded and compiled.

    :param url: Of a store; the next history empties it.
    """
    history = History(seed=0, instance="honouring", clock_offset_s=0, rules={}, columns={})
    anomalies = [["a", 0, "high"]]
    tasks: list[Task] = [
        {"what": "report", "anomalies": anomalies},
        {"what": "report", "anomalies": [["a", 1, "high"]], "task": "again"},
        {"what": "comments", "check": "a", "comments": [["1", "rows missing"]]},
        {"what": "status", "check": "a", "status": "acknowledged", "minute": 1},
        {"what": "deliver"},
        {"what": "pull"},
    ]
    with _opened(url) as store, store.begin() as connection:
        ledger.open_in(connection)
    with forked_sandbox(directory / "lag") as address:
        for task in tasks:
            work(history, task, url=address, store=url, theirs="")
    gc.collect()  # no fork may inherit a connection


class _Player:
    def __init__(self, history: History, control: SandboxControl, urls: list[str], directory: Path) -> None:
        self.history = history
        self.control = control
        self.urls = urls
        self.directory = directory
        self.store = urls[0]
        self.unfinished: list[Task] = []
        self.wrong: list[str] = []
        self.told: list[dict[str, Any]] = []
        self.tasks: list[Task] = []
        self.started = self.crashed = self.faults = 0
        self.deeds: list[pulled.Deed] = []
        self.theirs = opened_by_a_person(control)
        for url in urls:
            with _opened(url) as store, store.begin() as connection:
                for table in reversed(schema.metadata.sorted_tables):
                    connection.execute(table.delete())
                ledger.open_in(connection)

    # ---- what happens ----------------------------------------------------------------------------------

    def play(self) -> None:
        for action in self.history.actions:
            match action["do"]:
                case "task":
                    self.run([action], person=action.get("person"))
                case "two":
                    self.run(action["tasks"])
                case "fault":
                    self.faults += action["count"]
                    named = {name: action[name] for name in ("kind", "method", "count", "skip")}
                    path = "table/(incident|sys_journal_field)"
                    self.control.fail_next(path=path, **named, **action["options"])
                case "person":
                    self.person(action)
                case "journal_acl":
                    self.control.configure(journal_acl=action["on"])
                case "lose the store":
                    # Everything is delivered before: what only the store knew is lost with it.
                    self.finish()
                    self.store = self.urls[1]

    def finish(self) -> None:
        """Let Airflow retry what failed and the sync deliver the rest, until nothing waits any more."""
        self.control.configure(journal_acl=False)
        for _ in range(_MOST_ROUNDS):
            again, self.unfinished = self.unfinished, []
            for task in again:
                self.run([without_fate(task)])
            if not self.unfinished:
                self.run([{"what": "deliver", **place} for place in self.places()])
            if not self.unfinished and not self.waiting():
                self.run([{"what": "pull", **place} for place in self.places()])
            if not self.unfinished and not self.waiting():
                return
            time.sleep(_PAUSE_S)
        self.wrong.append(f"after {_MOST_ROUNDS} rounds this still waits: {self.waiting()}")

    def places(self) -> list[dict[str, str]]:
        """Return where something may wait: the store, and the other one if there is anybody who uses it."""
        others = any("store" in task for task in self.tasks)
        return [{}, {"store": "other"}] if others else [{}]

    def url_of(self, task: Task) -> str:
        return self.urls[1] if "store" in task else self.store

    def waiting(self) -> list[str]:
        states = (outbox.PENDING, outbox.SENDING)
        found = []
        for url in map(self.url_of, self.places()):
            with _opened(url) as store, store.begin() as connection:
                found += [
                    f"{line.id} {line.kind} {line.state} {line.message}"
                    for line in ledger.read(connection)
                    if line.state in states
                ]
        return found

    def run(self, tasks: list[Task], *, person: dict[str, Any] | None = None) -> None:
        """Run tasks at the same time, each in a process of its own."""
        children = [(task, *self.begin(task)) for task in tasks]
        if person is not None:
            time.sleep(person["after_s"])
            self.person(person)
        for task, child, told in children:
            _, status = os.waitpid(child, 0)
            if not os.WIFSIGNALED(status) and os.waitstatus_to_exitcode(status):
                self.wrong.append(f"{task} failed:\n{told.with_suffix('.error').read_text()}")
            elif os.WIFSIGNALED(status):
                self.crashed += 1
                self.unfinished.append(task)
            else:
                came = json.loads(told.read_text())
                self.told.append({"task": task, **came})
                if came["pending"]:
                    self.unfinished.append(task)
                    time.sleep(min(came["wait"], 2.0))

    def begin(self, task: Task) -> tuple[int, Path]:
        self.started += 1
        if task["what"] not in {"deliver", "pull"}:
            self.tasks.append(task)
        told = self.directory / f"{self.started}.json"
        child = os.fork()
        if child:
            return child, told
        code = 1
        try:
            with points.watched(fate_of(task)):
                came = work(
                    self.history, task, url=self.control.url, store=self.url_of(task), theirs=self.theirs
                )
                told.write_text(json.dumps(came))
            code = 0
        except BaseException:
            told.with_suffix(".error").write_text(traceback.format_exc())
        finally:
            os._exit(code)

    def person(self, wish: dict[str, Any]) -> None:
        """Let somebody do something to one of our tickets, if the instance lets them."""
        there = incidents(self.control)
        if not there:
            return
        incident = there[wish["pick"] % len(there)]
        who, values = deed(self.control, wish["act"], incident)
        followed = pulled.followed(self.store)
        with contextlib.suppress(RefusedError):
            self.control.act_as(who, "incident", incident["sys_id"], values)
            self.deeds.append(pulled.Deed(incident["sys_id"], values, incident["sys_id"] in followed))

    # ---- what came of it -------------------------------------------------------------------------------

    def evidence(self) -> Evidence:
        books = []
        for url in self.urls:
            with _opened(url) as store, store.begin() as connection:
                books.append(ledger.read(connection))
        logged = self.control.requests
        return Evidence(
            incidents=[*incidents(self.control), *by_number(self.control, self.theirs)],
            journal=[
                row
                for row in self.control.records("sys_journal_field")
                if row["element"] in {"work_notes", "comments"}
            ],
            books=books,
            told=self.told,
            tasks=self.tasks,
            requests=len(logged),
            slowest_s=ledger.slowest(logged, books, self.history.latest_s),
            deeds=self.deeds,
            changes=pulled.read(self.urls),
        )

    def figures(self, evidence: Evidence) -> dict[str, int]:
        return {
            "actions": len(self.history.actions),
            "processes": self.started,
            "requests": evidence.requests,
            "faults": self.faults,
            "crashes": self.crashed,
            "tickets": len(evidence.incidents),
            "notes": sum(row["sys_created_by"] == "svc_airflow" for row in evidence.journal),
        }


@contextlib.contextmanager
def _opened(url: str) -> Iterator[Store]:
    store = Store(url)
    try:
        yield store
    finally:
        store.close()


def main() -> None:
    """Play the history that is given as JSON: one that was cut down by hand."""
    ledger.keep()
    history = History(**json.loads(sys.argv[1]))
    with tempfile.TemporaryDirectory() as directory:
        verdict = play(history, [f"sqlite:///{directory}/{name}.db" for name in ("one", "two")])
    print(json.dumps(dataclasses.asdict(verdict), indent=1))


if __name__ == "__main__":
    main()
