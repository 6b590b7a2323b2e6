"""Stories of what people did to tickets, and of reading it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from crash_acts import opened
from crash_story import IN_PROGRESS, NEW, RESOLVED, SENT, Scenario
from points import unwatched

from airflow_provider_servicenow_dq.anomalies.model import Comment
from airflow_provider_servicenow_dq.desk.open import Opening
from airflow_provider_servicenow_dq.desk.pull import pull, pull_some
from airflow_provider_servicenow_dq.desk.pulling import taking
from airflow_provider_servicenow_dq.projects.project import Project
from airflow_provider_servicenow_dq.store.taken import Consumer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from scenes import Scene

    from airflow_provider_servicenow_dq.desk.desk import Desk
    from airflow_provider_servicenow_dq.desk.push import Pushed

_SAID: Final = "rows still missing"


def _pull_all(desk: Desk) -> None:
    pull(desk, Project())


def _pull(scene: Scene, run: str = "run", reading: Callable[[Desk], object] = _pull_all) -> Opening:
    """Pull, and take what no successful run has got, as the task does; only the run before has succeeded."""

    def succeeded(runs: Sequence[str]) -> Mapping[str, bool]:
        return {each: each.endswith("before") for each in runs}

    # On an instance that many scenes share, what was updated of late is much.
    with scene.patient().desk() as desk:
        reading(desk)
        consumer = Consumer(desk.host, "incident", f"{scene.name}/pull")
        taken = taking.take(desk, consumer, scene.run(run).run_id, succeeded=succeeded)
        told = list(taking.read(desk, taken))
        taking.returned(desk, taken)
    return Opening([_told(change) for change in told])


def _pull_named(scene: Scene) -> Opening:
    """Read the one ticket of which the instance has sent news."""
    with unwatched():
        (incident,) = scene.incidents()
    return _pull(scene, reading=lambda desk: pull_some(desk, Project(), [incident["sys_id"]]))


def _told(change: Mapping[str, Any]) -> Any:
    """Return a change in the form in which stories tell what a task was told."""
    words = f"{change['field']} {change['old']} {change['new']} {change['status']}"
    return {"action": words, "delivered": True, "warnings": []}


def _act(scene: Scene, **values: str) -> None:
    (incident,) = scene.incidents()
    scene.control.act_as("beth.anglin", "incident", incident["sys_id"], values)


def _worked_on(scene: Scene) -> None:
    opened(scene)
    _act(scene, work_notes="What is this?")
    _pull(scene, "before")
    _act(scene, state=IN_PROGRESS, work_notes="I am on it")


def _found_to_be_known(scene: Scene) -> None:
    opened(scene)
    _act(scene, state=RESOLVED, close_code="Duplicate", close_notes="known")


def _commented_on(scene: Scene) -> None:
    opened(scene)
    _act(scene, work_notes=_SAID)
    _pull(scene, "before")


def _copied(scene: Scene) -> None:
    """Let what we wrote be pulled, which is nothing new."""
    opened(scene)
    scene.push_comments(scene.anomaly(comments=[Comment(id="1", author="ann", body=_SAID)]))


def _say_it_back(scene: Scene) -> Pushed:
    said = [Comment(id="1", author="beth.anglin", body=_SAID), Comment(id="2", author="ann", body=_SAID)]
    return scene.push_comments(scene.anomaly(comments=said))


STORIES: Final[list[Scenario]] = [
    Scenario("a pull", _pull, ((IN_PROGRESS, 2),), _worked_on, main=True),
    Scenario("a pull of a ticket that is named", _pull_named, ((IN_PROGRESS, 2),), _worked_on),
    Scenario("a first pull, which tells of a duplicate", _pull, ((RESOLVED, 0),), _found_to_be_known),
    Scenario("a pull of what we wrote", _pull, ((NEW, 1),), _copied),
    Scenario("a comment that came from the ticket", _say_it_back, ((NEW, 2),), _commented_on, again=(SENT,)),
]
