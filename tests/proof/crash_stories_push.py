"""Stories of what has become of anomalies: their status, their comments, and checks that pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from crash_acts import fault, opened, resolve
from crash_story import IN_PROGRESS, NEW, RESOLVED, SENT, UNSENT, Scenario

from airflow_provider_servicenow_dq.anomalies.model import Comment

if TYPE_CHECKING:
    from scenes import Scene

    from airflow_provider_servicenow_dq.desk.push import Pushed


def _resolved_by_us(scene: Scene) -> None:
    opened(scene)
    resolve(scene)


def _pass(scene: Scene) -> Pushed:
    return scene.passed(scene.anomaly(hour=20), scene.anomaly(hour=24), resolve_after=2)


def _activate(scene: Scene) -> Pushed:
    return scene.push_status(scene.anomaly(status="active"), run="next")


def _comment_twice(scene: Scene) -> Pushed:
    """Say the same thing twice, on purpose."""
    comments = [Comment(id=number, author="ann", body="rows still missing") for number in ("1", "2")]
    return scene.push_comments(scene.anomaly(comments=comments))


STORIES: Final[list[Scenario]] = [
    Scenario("a resolve", resolve, ((RESOLVED, 1),), opened, main=True),
    Scenario("an anomaly that is active again", _activate, ((IN_PROGRESS, 2),), _resolved_by_us),
    Scenario("passes that resolve", _pass, ((RESOLVED, 1),), opened, again=(SENT,)),
    Scenario(
        "passes that resolve and whose answer is lost",
        _pass,
        ((RESOLVED, 1),),
        fault("drop_after", "PATCH"),
        begins=UNSENT,
    ),
    Scenario("two equal comments", _comment_twice, ((NEW, 2),), opened, main=True, again=(SENT,)),
    Scenario(
        "a resolve whose answer is lost",
        resolve,
        ((RESOLVED, 1),),
        fault("drop_after", "PATCH"),
        begins=UNSENT,
    ),
]
