"""Stories of reports: tickets are opened, noted, reopened, followed, and hold many."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from crash_acts import NOTED, ONE, TWO, known, open_one, opened, refire, repeat, resolved
from crash_story import (
    BOTH,
    HARDENED,
    IN_PROGRESS,
    KEY_FIELD,
    NEW,
    RESOLVED,
    SENT,
    UNSENT,
    Scenario,
)

if TYPE_CHECKING:
    from scenes import Scene

    from airflow_provider_servicenow_dq.desk.open import Opening


def _grouped(scene: Scene) -> object:
    return scene.report(scene.anomaly("a"), scene.anomaly("b"), run="before", group_by="dataset")


def _opened_alone(scene: Scene) -> object:
    return scene.report(scene.anomaly("a"), run="before", exclusive=True)


def _open_two(scene: Scene) -> Opening:
    return scene.report(scene.anomaly("check 1"), scene.anomaly("check 2"))


def _refire_new(scene: Scene) -> Opening:
    return scene.report(scene.anomaly(hour=None), run="next", on_refire="new")


def _storm(scene: Scene) -> Opening:
    """Report more than a run may open, in a list longer than a description."""
    names = [f"{scene.name} check {number} {'x' * 450}" for number in range(10)]
    return scene.report(*map(scene.anomaly, names), max_new_tickets=1)


def _join_the_group(scene: Scene) -> Opening:
    return scene.report(scene.anomaly("a", hour=1), scene.anomaly("c", hour=1), group_by="dataset")


def _move_to_the_group(scene: Scene) -> Opening:
    return scene.report(scene.anomaly("a", hour=1), group_by="dataset", exclusive=True)


def _with_names(scene: Scene) -> Opening:
    named = {
        "assignment_group": "Database",
        "assigned_to": "nobody",
        "watch_list": "beth.anglin",
        "u_unheard_of": "a column that only the dictionary can tell of",
    }
    return scene.report(scene.anomaly(), columns=named)


def _with_a_caller(scene: Scene) -> Opening:
    return scene.report(scene.anomaly(), user="beth.anglin", caller_from_user=True)


def _known_by_a_column_of_its_own(scene: Scene) -> Opening:
    return scene.report(scene.anomaly(), key_field=KEY_FIELD)


def _with_a_name_of_two(scene: Scene) -> Opening:
    return scene.report(scene.anomaly(), columns={"assignment_group": "Analytics Support"})


STORIES: Final[list[Scenario]] = [
    Scenario("an opening", open_one, TWO, known, BOTH, main=True, again=(SENT, UNSENT)),
    Scenario("an opening at first contact", open_one, ONE, instances=BOTH, main=True, again=(SENT,)),
    Scenario("two openings at first contact", _open_two, TWO, instances=(HARDENED,)),
    Scenario("a repeat", repeat, NOTED, opened, main=True, again=(SENT, UNSENT)),
    Scenario("a re-fire that reopens", refire, ((IN_PROGRESS, 1),), resolved, main=True),
    Scenario("a re-fire that opens a successor", _refire_new, ((RESOLVED, 0), (NEW, 0)), resolved, BOTH),
    Scenario("a roll-up of several pages", _storm, ((NEW, 1), (NEW, 0)), main=True),
    Scenario("a newcomer in a group", _join_the_group, NOTED, _grouped, main=True),
    Scenario("a move", _move_to_the_group, ((NEW, 1), (NEW, 1)), _opened_alone, main=True),
    Scenario("names to look up", _with_names, ONE),
    Scenario("a caller to look up", _with_a_caller, ONE),
    Scenario("a key field", _known_by_a_column_of_its_own, ONE, instances=BOTH),
    Scenario("a name that two groups have", _with_a_name_of_two, ()),
    Scenario("a task that ran before", open_one, ONE, open_one),
]
