"""Stories of anomalies that are linked to a ticket that is there already, and unlinked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import requests
from crash_acts import opened
from crash_story import CLOSED, NEW, SENT, UNSENT, Scenario
from points import unwatched

from airflow_provider_servicenow_dq.desk.link import link_anomalies
from airflow_provider_servicenow_dq.desk.push import Pushed
from airflow_provider_servicenow_dq.desk.unlink import unlink_anomalies
from airflow_provider_servicenow_dq.projects.project import Project

if TYPE_CHECKING:
    from scenes import Scene

    from airflow_provider_servicenow_dq.anomalies.model import Anomaly
    from airflow_provider_servicenow_dq.desk.open import Opening

#: How a ticket that a person has opened is called: so that it comes before ours.
_THEIRS: Final = "Flights of {} look wrong"


def _theirs(scene: Scene, **values: str) -> str:
    """Let a person open a ticket; return its number."""
    answer = requests.post(
        f"{scene.url}/api/now/table/incident",
        json={"short_description": _THEIRS.format(scene.name), **values},
        auth=("admin", "admin"),
        timeout=30,
    )
    answer.raise_for_status()
    return str(answer.json()["result"]["number"])


def _number(scene: Scene, *, theirs: bool = True) -> str:
    with unwatched():
        there = scene.incidents()
    return [each for each in there if each["short_description"].startswith("Flights") == theirs][-1]["number"]


def _link(scene: Scene, *anomalies: Anomaly, theirs: bool = True, run: str = "run", **rules: Any) -> Pushed:
    number = _number(scene, theirs=theirs)
    with scene.desk() as desk:
        return link_anomalies(
            desk, anomalies, incident=number, run=scene.run(run, "link"), project=Project(**rules)
        )


def _link_one(scene: Scene) -> Pushed:
    return _link(scene, scene.anomaly())


def _link_another(scene: Scene) -> Pushed:
    return _link(scene, scene.anomaly("another"))


def _link_two(scene: Scene) -> Pushed:
    return _link(scene, scene.anomaly(), scene.anomaly("another"))


def _link_to_ours(scene: Scene) -> Pushed:
    return _link(scene, scene.anomaly("another"), theirs=False)


def _link_exclusively(scene: Scene) -> Pushed:
    return _link(scene, scene.anomaly(), exclusive=True)


def _link_what_is_long(scene: Scene) -> Pushed:
    return _link(scene, scene.anomaly(failed_checks=[f"check: {letter * 900}" for letter in "abcd"]))


def _unlink(scene: Scene) -> Pushed:
    with scene.desk() as desk:
        unlinked = unlink_anomalies(desk, [scene.anomaly()], run=scene.run(task="unlink"))
    # Whoever comes after a death finds nothing more to cut, and says so.
    return Pushed([], unlinked.failures, unlinked.pending)


def _report_next(scene: Scene) -> Opening:
    return scene.report(scene.anomaly(hour=1), run="next")


def _linked(scene: Scene) -> None:
    _theirs(scene)
    _link(scene, scene.anomaly(), run="before")


def _losing_the_answer(scene: Scene) -> None:
    _theirs(scene)
    scene.control.fail_next("drop_after", method="PATCH", body=scene.name)


def _never_arriving(scene: Scene) -> None:
    _theirs(scene)
    scene.control.fail_next("drop_before", method="PATCH", body=scene.name)


def _opened_by_both(scene: Scene) -> None:
    scene.report(scene.anomaly(), run="before", exclusive=True)
    _theirs(scene)


def _full(scene: Scene) -> None:
    _theirs(scene, description="x" * 3990)


def _linked_and_closed(scene: Scene) -> None:
    _linked(scene)
    done = {"state": CLOSED, "close_code": "Solution provided", "close_notes": "done"}
    scene.control.act_as("beth.anglin", "incident", scene.incidents()[-1]["sys_id"], done)


def _unlinked_from_ours(scene: Scene) -> None:
    opened(scene)
    _unlink(scene)


STORIES: Final[list[Scenario]] = [
    Scenario("a link", _link_one, ((NEW, 1),), _theirs, main=True, again=(SENT,)),
    Scenario("a second anomaly on a linked ticket", _link_another, ((NEW, 2),), _linked),
    Scenario("a link that is there already", _link_one, ((NEW, 1),), _linked),
    Scenario("two anomalies linked at once", _link_two, ((NEW, 1),), _theirs),
    Scenario("a link whose answer is lost", _link_one, ((NEW, 1),), _losing_the_answer, begins=UNSENT),
    Scenario("a link that never arrives", _link_one, ((NEW, 1),), _never_arriving, begins=UNSENT),
    Scenario("a link to a ticket of ours", _link_to_ours, ((NEW, 1),), opened),
    Scenario("a link that moves", _link_exclusively, ((NEW, 2), (NEW, 1)), _opened_by_both),
    Scenario("details that fill several notes", _link_what_is_long, ((NEW, 2),), _full),
    Scenario("an unlinking", _unlink, ((NEW, 1),), _linked),
    Scenario("a report of a linked anomaly", _report_next, ((NEW, 2),), _linked),
    Scenario(
        "a report whose linked ticket was closed", _report_next, ((CLOSED, 1), (NEW, 0)), _linked_and_closed
    ),
    Scenario("a report after an unlinking", _report_next, ((NEW, 1),), _unlinked_from_ours),
]
