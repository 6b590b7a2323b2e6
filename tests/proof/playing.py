"""Plays a history: an instance of its own, processes that die, people who interfere; then time to finish."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import sys
import tempfile
import threading
import time
import traceback
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import ledger
import points
import pulled
import requests
from histories import TIMEOUT_S, History
from judge import Evidence, judge

from airflow_provider_servicenow_dq.anomalies.model import Anomaly, Comment
from airflow_provider_servicenow_dq.client.config import InstanceConfig
from airflow_provider_servicenow_dq.client.names import Names
from airflow_provider_servicenow_dq.client.table import TableApi
from airflow_provider_servicenow_dq.client.transport import Transport
from airflow_provider_servicenow_dq.desk.clear import deliver_waiting
from airflow_provider_servicenow_dq.desk.desk import Desk, Run
from airflow_provider_servicenow_dq.desk.link import link_anomalies
from airflow_provider_servicenow_dq.desk.open import open_tickets
from airflow_provider_servicenow_dq.desk.order import Order
from airflow_provider_servicenow_dq.desk.pull import pull
from airflow_provider_servicenow_dq.desk.push import push_comments, push_status
from airflow_provider_servicenow_dq.exceptions import ServiceNowError
from airflow_provider_servicenow_dq.projects.project import Project
from airflow_provider_servicenow_dq.sandbox.control import SandboxControl
from airflow_provider_servicenow_dq.sandbox.rules import RefusedError
from airflow_provider_servicenow_dq.sandbox.server import Sandbox
from airflow_provider_servicenow_dq.store import outbox, schema
from airflow_provider_servicenow_dq.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_MOST_ROUNDS: Final = 15
_PAUSE_S: Final = 0.05
#: A paused process wakes after its lease and before the time in which an instance ends a request is over.
_SLEPT_S: Final = 2.3 * TIMEOUT_S
_DOUBT_S: Final = 3 * TIMEOUT_S
#: What a late commit leaves of the doubt.
_LAG_S: Final = 0.4

_DONE: Final = {"close_code": "Solution provided", "close_notes": "done"}
_DEEDS: Final[dict[str, tuple[str, dict[str, str]]]] = {
    "assign": ("beth.anglin", {"assigned_to": "46d44a23a9fe19810012d100cca80666"}),
    "work": ("beth.anglin", {"state": "2"}),
    "hold": ("beth.anglin", {"state": "3", "hold_reason": "1"}),
    "note": ("beth.anglin", {"work_notes": "I am looking into it"}),
    "comment": ("beth.anglin", {"comments": "Comment from Custom: rows missing"}),
    "resolve": ("beth.anglin", {"state": "6", **_DONE}),
    "close": ("admin", {"state": "7", **_DONE}),
    "duplicate": ("admin", {"state": "7", "close_code": "Duplicate", "close_notes": "known"}),
    "cancel": ("admin", {"state": "8"}),
}

Task = dict[str, Any]


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
    with tempfile.TemporaryDirectory() as name, _sandbox(Path(name) / "lag") as address:
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


@contextlib.contextmanager
def _sandbox(lag: Path) -> Iterator[str]:
    """Run an instance in a process of its own, which has time to answer whatever happens here.

    :param lag: Where it writes down by how many seconds it was later than it meant to be, at most.
    """
    reading, writing = os.pipe()
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        with Sandbox(port=0) as running:
            os.write(writing, running.url.encode())
            os.close(writing)
            _watch_the_clock(lag, parent)
        os._exit(0)
    os.close(writing)
    try:
        with os.fdopen(reading) as pipe:
            yield pipe.read()
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _watch_the_clock(lag: Path, parent: int) -> None:
    longest = 0.0
    while os.getppid() == parent:
        due = time.monotonic() + 0.05
        time.sleep(0.05)
        late = time.monotonic() - due
        if late > longest:
            longest = late
            new = lag.with_suffix(".new")
            new.write_text(str(longest))
            new.replace(lag)  # whoever reads it finds the old or the new one, never half


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
                self.run([_without_fate(task)])
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
            with points.watched(_fate(task)):
                told.write_text(json.dumps(self.work(task)))
            code = 0
        except BaseException:
            told.with_suffix(".error").write_text(traceback.format_exc())
        finally:
            os._exit(code)

    def work(self, task: Task) -> dict[str, Any]:
        run = Run("dag", task.get("run", "sync"), task.get("task", "deliver"))
        config = InstanceConfig(
            self.control.url, login="svc_airflow", password="airflow-secret", timeout_s=TIMEOUT_S
        )
        with Transport(config) as transport:
            table_api = TableApi(transport)
            desk = Desk(config, table_api, Names(table_api), Store(self.url_of(task)))
            if task["what"] == "deliver":
                clearing = deliver_waiting(desk, run)
                return {"results": [], "failures": clearing.causes, "wait": clearing.retry_after or 0.0,
                        "pending": bool(clearing.causes) and not clearing.refused}  # fmt: skip
            try:
                if task["what"] == "pull":
                    pull(desk, Project(**self.history.rules))
                    return {"results": [], "failures": [], "wait": 0.0, "pending": False}
                came = self.tell(desk, task, run)
            except ServiceNowError as error:
                # Nothing is written down yet: the task fails, and runs again.
                wait = getattr(error, "retry_after", None) or 0.0
                return {"results": [], "failures": [str(error)], "wait": wait, "pending": True}
            waits = [getattr(error, "retry_after", None) or 0.0 for error in came.pending]
            return {"results": came.results, "failures": came.failures, "pending": bool(came.pending),
                    "wait": max(waits, default=0.0)}  # fmt: skip

    def tell(self, desk: Desk, task: Task, run: Run) -> Any:
        rules = Project(**self.history.rules)
        match task["what"]:
            case "report":
                found = [anomaly(*each) for each in task["anomalies"]]
                return open_tickets(desk, found, order=Order(rules, self.history.columns), run=run)
            case "status":
                changed = datetime(2026, 2, 1, tzinfo=UTC) + timedelta(minutes=task["minute"])
                fact = anomaly(task["check"], status=task["status"], status_changed_at=changed)
                return push_status(desk, [fact], run=run, project=rules)
            case "link":
                return link_anomalies(
                    desk, [anomaly(task["check"])], incident=self.theirs, run=run, project=rules
                )
        comments = [Comment(id=name, body=text) for name, text in task["comments"]]
        return push_comments(desk, [anomaly(task["check"], comments=comments)], run=run, project=rules)

    def person(self, wish: dict[str, Any]) -> None:
        """Let somebody do something to one of our tickets, if the instance lets them."""
        there = incidents(self.control)
        if not there:
            return
        incident = there[wish["pick"] % len(there)]
        who, values = self.deed(wish["act"], incident)
        followed = pulled.followed(self.store)
        with contextlib.suppress(RefusedError):
            self.control.act_as(who, "incident", incident["sys_id"], values)
            self.deeds.append(pulled.Deed(incident["sys_id"], values, incident["sys_id"] in followed))

    def deed(self, act: str, incident: dict[str, str]) -> tuple[str, dict[str, str]]:
        """Return who does it, and the columns that change."""
        if act == "edit":
            return "beth.anglin", {"short_description": f"{incident['short_description']} (edited)"}
        if act == "copy":
            texts = self.control.notes(incident["sys_id"])
            return "beth.anglin", {"work_notes": texts[-1] if texts else "nothing yet"}
        return _DEEDS[act]

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
            slowest_s=slowest(logged, books, self.history.latest_s),
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


def anomaly(check: str, hour: int | None = None, severity: str = "high", **fields: Any) -> Anomaly:
    detected_at = None if hour is None else datetime(2026, 1, 5, tzinfo=UTC) + timedelta(hours=hour)
    return Anomaly(
        source="custom", dataset="nyc.flights", check_name=check, severity=severity, detected_at=detected_at,
        **fields,
    )  # fmt: skip


def incidents(control: SandboxControl) -> list[dict[str, str]]:
    return [row for row in control.records("incident") if row["correlation_id"].startswith("dq:")]


def by_number(control: SandboxControl, number: str) -> list[dict[str, str]]:
    return [row for row in control.records("incident") if row["number"] == number]


def opened_by_a_person(control: SandboxControl) -> str:
    """Let a person open a ticket; return its number."""
    answer = requests.post(
        f"{control.url}/api/now/table/incident",
        json={"short_description": "Flights look wrong"},
        auth=("admin", "admin"),
        timeout=30,
    )
    answer.raise_for_status()
    return str(answer.json()["result"]["number"])


def slowest(logged: list[Any], books: list[list[ledger.Line]], late_s: float) -> float:
    """Return the longest time between writing down that a request leaves and its end on the instance.

    :param late_s: How long after it was dropped a request may still be committed.
    """
    left: dict[str, list[float]] = {}
    for line in (line for book in books for line in book):
        for event in line.events:
            if event.write:
                left.setdefault(_mark(event.write.get("values") or event.write), []).append(event.at)
    longest = 0.0
    for each in logged:
        if each.method in {"POST", "PATCH"} and each.body:
            before = [at for at in left.get(_mark(each.body), ()) if at <= each.started]
            ended = each.finished + (0 if each.status else late_s)
            longest = max(longest, ended - max(before, default=ended))
    return longest


def _mark(values: dict[str, Any]) -> str:
    return str(values.get("work_notes") or values.get("comments") or values.get("sys_id"))


def _without_fate(task: Task) -> Task:
    return {name: value for name, value in task.items() if name not in {"killed_at", "paused_at", "person"}}


def _fate(task: Task) -> Callable[[str], None]:
    """Return what is to happen to the process of a task at each of its moments."""
    if "killed_at" in task:
        return points.kill_at(task["killed_at"])
    left = [task.get("paused_at", 0)]
    lock = threading.Lock()

    def pause(_: str) -> None:
        with lock:
            left[0] -= 1
            due = left[0] == 0
        if due:
            # The whole process stands still, as when its machine sleeps.
            with lock:
                time.sleep(_SLEPT_S)

    return pause


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
