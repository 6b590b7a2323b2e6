"""Kills a process at every moment of every story, runs it again, and says what was wrong afterwards.

A program of its own, with one thread, so that it may fork: ``python crash_runner.py PLAN`` where the plan is
JSON (:class:`Plan`); it prints a line of JSON for every case (:class:`Verdict`) as it goes.
"""

from __future__ import annotations

import collections
import dataclasses
import gc
import itertools
import json
import logging
import multiprocessing
import os
import sys
import time
import traceback
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import points
import sqlalchemy as sa
from crash_judge import judge
from crash_scenarios import SCENARIOS
from databases import Postgres, compiling_once
from places import Place, visited_by
from scenes import TIMEOUT_S, Came, Scene, outcome, until_done

from airflow_provider_servicenow_dq.store import schema
from airflow_provider_servicenow_dq.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from crash_story import Scenario

#: Much of a case is waiting for leases and doubts to end.
_AT_ONCE: Final = 8

#: How often it comes depends on the clock, and one time is like the other.
_WHILE_WAITING: Final = "claimed.py:Lease.renew"
_ENOUGH: Final = 2

#: On a slow machine a process may take another way.
_MOST_AIMS: Final = 3


@dataclass(frozen=True)
class Plan:
    """What is to be visited.

    :param instances: Address of a sandbox, by kind of instance.
    :param directory: Where files may be made.
    :param postgres: URL of a server to make stores on; none for files.
    :param every: Visit every moment of the main stories, tell the others too, and kill recoveries; else tell
        the main stories only, and of the moments between which neither side changed visit one.
    :param only: Names of stories, to look at some more closely.
    """

    instances: dict[str, str]
    directory: str
    postgres: str | None = None
    every: bool = True
    only: list[str] | None = None


@dataclass(frozen=True)
class Moment:
    """The n-th time that a step comes, counted from 1."""

    step: str
    time: int

    @property
    def writes(self) -> bool:
        """Whether this side or the other has just changed, or is about to."""
        return "GET" not in self.step and not self.step.endswith("reading")


@dataclass(frozen=True)
class Case:
    """A story with its deaths: one for each process, one after the other.

    :param delivered_by_another: Another process delivers what waits before the task runs again.
    :param patient: Each process lets the lease of the one before it end, so that its steps are always the
        same.
    """

    scenario: str
    instance: str
    deaths: tuple[Moment, ...] = ()
    delivered_by_another: bool = False
    patient: bool = False


@dataclass
class Visit:
    """What came of a case.

    :param steps: Those of the last process, which nobody killed.
    :param end: What the instance and the store hold, and what the task was told.
    :param reached: Whether each process came as far as its death.
    :param due: Whether it had to: a slow machine makes processes wait and look where they else do not.
    :param broken: What broke in the harness, or in a process before its death.
    """

    case: Case
    steps: list[str] = field(default_factory=list)
    end: dict[str, Any] = field(default_factory=dict)
    reached: bool = True
    due: bool = True
    broken: str = ""


@dataclass
class Verdict:
    """A case for the test to read."""

    case: Case
    reached: bool
    wrong: list[str]


class Stage:
    """Makes scenes, one after the other; each finds its stores empty.

    They are made before any fork, so that all processes of a scene have the same.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._count = 0
        self._stores = {name: Store(self._new_url(name)) for name in ("store", "lost", "other")}

    def scene(self, instance: str) -> Scene:
        self._count += 1
        for store in self._stores.values():
            with store.begin() as connection:
                for table in reversed(schema.metadata.sorted_tables):
                    connection.execute(table.delete())
        name = f"s{os.getpid():08}{self._count:06}s"
        return Scene(name, self._plan.instances[instance], self._stores.__getitem__)

    def _new_url(self, name: str) -> str:
        if self._plan.postgres:
            return Postgres(sa.make_url(self._plan.postgres)).new_database()
        return f"sqlite:///{self._plan.directory}/{os.getpid()}-{name}.db"


def play(stage: Stage, case: Case) -> Visit:
    """Play a story; aim again at a moment that was not reached, as long as others reach it."""
    try:
        for _ in range(_MOST_AIMS):
            visit = _play_once(stage, case)
            if visit.reached:
                return visit
            others = _play_once(stage, dataclasses.replace(case, deaths=case.deaths[:-1]))
            if case.deaths[-1] not in moments(others.steps):
                return dataclasses.replace(visit, due=False)
    except Exception:
        return Visit(case, broken=traceback.format_exc())
    return visit


def _play_once(stage: Stage, case: Case) -> Visit:
    scenario = _SCENARIOS[case.scenario]
    scene = stage.scene(case.instance)
    scenario.prepare(scene.patient())
    for moment in case.deaths:
        if not _die(scene, scenario, moment):
            return Visit(case, reached=False)
        if case.patient:
            time.sleep(2 * TIMEOUT_S)
    if case.delivered_by_another:
        with scenario.during(scene):
            until_done(scene.deliver_waiting)
    steps: list[str] = []
    with points.watched(steps.append):
        came = _act(scenario, scene)
    told = sorted([result["action"], result["delivered"], len(result["warnings"])] for result in came.results)
    return Visit(case, steps, {"told": told, "failures": len(came.failures), **outcome(scene)})


def _act(scenario: Scenario, scene: Scene) -> Came:
    with scenario.during(scene):
        return until_done(lambda: scenario.act(scene))


def _die(scene: Scene, scenario: Scenario, moment: Moment) -> bool:
    """Let a process die at a moment of the story; return whether it came that far."""
    child = os.fork()
    if child == 0:
        gc.disable()  # it would write on every page that is shared
        _live_until(moment, lambda: _act(scenario, scene))
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return True
    if os.waitstatus_to_exitcode(status):
        raise RuntimeError(f"the process that was to die at {moment} failed by itself")
    return False


def _live_until(moment: Moment, work: Callable[[], object]) -> None:
    left = [moment.time]

    def on_step(step: str) -> None:
        if step == moment.step:
            left[0] -= 1
            if left[0] == 0:
                points.die()

    code = 1
    try:
        with points.watched(on_step):
            work()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def moments(steps: list[str], *, begins: str = "") -> Iterator[Moment]:
    """Yield every moment of a process that took these steps, from the first that ends so on."""
    times: collections.Counter[str] = collections.Counter()
    begun = False
    for step in steps:
        times[step] += 1
        begun = begun or step.endswith(begins)
        if begun and not (points.place_of(step) == _WHILE_WAITING and times[step] > _ENOUGH):
            yield Moment(step, times[step])


def _deaths(dry: Visit, known: set[Place], *, every: bool) -> list[Case]:
    """Return the cases in which the next process dies as well.

    :param known: Places that have been visited; these are added.
    :param every: At every moment; else, of the moments between which neither side changed, only at one, and
        at places that have not been visited.
    """
    first = not dry.case.deaths
    begins = _SCENARIOS[dry.case.scenario].begins if first else ""
    found = []
    for moment in moments(dry.steps, begins=begins):
        place = visited_by(moment.step)
        if every or moment.writes or place not in known:
            found.append(moment)
            known.add(place)
    return [
        dataclasses.replace(
            dry.case, deaths=(*dry.case.deaths, moment), delivered_by_another=bool(number % 2)
        )
        for number, moment in enumerate(found)
    ]


def _is_killed_again(case: Case) -> bool:
    scenario = _SCENARIOS[case.scenario]
    (moment,) = case.deaths
    is_one = bool(scenario.again) and moment.time == 1 and moment.step.endswith(scenario.again)
    return is_one and case.instance == scenario.instances[0]


def main(plan: Plan) -> None:
    """Play everything: each story alive, then with one death, then some with two."""
    logging.disable(logging.CRITICAL)
    told = [each for each in SCENARIOS if (each.name in plan.only if plan.only else plan.every or each.main)]
    known: set[Place] = set()
    with compiling_once(), multiprocessing.get_context("fork").Pool(_AT_ONCE, _take_stage, [plan]) as pool:
        alive = {
            (visit.case.scenario, visit.case.instance): visit
            for visit in pool.imap(
                _play, [Case(each.name, instance) for each in told for instance in each.instances]
            )
        }
        once = [
            case
            for visit in alive.values()
            for case in _deaths(visit, known, every=_is_told_closely(plan, visit.case))
        ]
        again = [
            dataclasses.replace(case, delivered_by_another=False, patient=True)
            for case in once
            if plan.every and _is_killed_again(case)
        ]
        twice = [
            case for visit in pool.imap_unordered(_play, again) for case in _deaths(visit, known, every=False)
        ]
        for visit in itertools.chain(alive.values(), pool.imap_unordered(_play, [*once, *twice])):
            _tell(visit, alive[visit.case.scenario, visit.case.instance])


def _is_told_closely(plan: Plan, case: Case) -> bool:
    scenario = _SCENARIOS[case.scenario]
    return plan.every and scenario.main and case.instance == scenario.instances[0]


_SCENARIOS: Final = {each.name: each for each in SCENARIOS}
_stage: Stage | None = None


def _take_stage(plan: Plan) -> None:
    global _stage  # noqa: PLW0603 (what a worker process is given once)
    _stage = Stage(plan)
    gc.freeze()  # what is loaded by now stays shared with every fork


def _play(case: Case) -> Visit:
    assert _stage is not None
    return play(_stage, case)


def _tell(visit: Visit, alive: Visit) -> None:
    if visit.broken:
        wrong = [visit.broken]
    elif not visit.reached:
        wrong = ["the process did not come that far"] if visit.due else []
    else:
        wrong = judge(_SCENARIOS[visit.case.scenario], visit.end, alive.end)
    print(json.dumps(dataclasses.asdict(Verdict(visit.case, visit.reached, wrong))), flush=True)


if __name__ == "__main__":
    main(Plan(**json.loads(sys.argv[1])))
