"""The stories in which a process is killed at every moment, and how each must end."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from unittest.mock import patch

from points import unwatched
from scenes import TIMEOUT_S, Scene

from airflow_provider_servicenow_dq.anomalies.model import Comment
from airflow_provider_servicenow_dq.client.limits import forget_limits
from airflow_provider_servicenow_dq.desk import send
from airflow_provider_servicenow_dq.store import outbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from airflow_provider_servicenow_dq.desk.open import Opening
    from airflow_provider_servicenow_dq.desk.push import Pushed

#: Instances that keep the sys_id we choose, and those that do not.
HONOURING: Final = "honouring"
HARDENED: Final = "hardened"
BOTH: Final = (HONOURING, HARDENED)

NEW, IN_PROGRESS, RESOLVED, CLOSED, CANCELED = "1", "2", "6", "7", "8"

#: Sent, but nobody heard of it; and about to be sent, which from outside looks the same.
SENT: Final = "incident, sent"
UNSENT: Final = "incident, before sending"

#: Instances of the proof have a business rule that saves no incident with this in its title.
REFUSED: Final = "refused"

#: They have a column for correlation ids besides the usual one.
KEY_FIELD: Final = "u_key"


@dataclass(frozen=True)
class Scenario:
    """A story.

    :param act: What the task does that is killed, and that runs again after that.
    :param ends: State and number of notes of each incident at the end, by title, then oldest first.
    :param prepare: What happened before.
    :param instances: The kinds of instance on which it plays.
    :param main: It is told on every kind of store.
    :param again: Ends of the moments after which the recovery is killed as well, at each of its moments.
    :param begins: End of the first moment that another story does not have in the same way.
    :param meets: Two creators meet, so that one ticket may have twins that are canceled, or none.
    :param during: What others do while any process is at work.
    """

    name: str
    act: Callable[[Scene], Opening | Pushed]
    ends: tuple[tuple[str, int], ...]
    prepare: Callable[[Scene], object] = lambda _: None
    instances: tuple[str, ...] = (HONOURING,)
    main: bool = False
    again: tuple[str, ...] = ()
    begins: str = ""
    meets: bool = False
    during: Callable[[Scene], AbstractContextManager[None]] = lambda _: contextlib.nullcontext()


def _known(scene: Scene) -> object:
    """Let the store know what the instance does with our sys_id."""
    return scene.report(scene.anomaly("another"), run="before")


def _opened(scene: Scene) -> object:
    return scene.report(scene.anomaly(), run="before")


def _opened_without_a_time(scene: Scene) -> object:
    return scene.report(scene.anomaly(hour=None), run="before")


def _resolved(scene: Scene) -> None:
    _opened_without_a_time(scene)
    scene.resolve()


def _resolved_by_us(scene: Scene) -> None:
    _opened(scene)
    _resolve(scene)


def _grouped(scene: Scene) -> object:
    return scene.report(scene.anomaly("a"), scene.anomaly("b"), run="before", group_by="dataset")


def _opened_alone(scene: Scene) -> object:
    return scene.report(scene.anomaly("a"), run="before", exclusive=True)


def _in_a_store_that_is_lost(scene: Scene) -> None:
    scene.report(scene.anomaly(hour=0), scene.anomaly(hour=1), run="before", store="lost")


def _changed_since_the_store_was_lost(scene: Scene) -> None:
    scene.report(scene.anomaly(), run="before", store="lost")
    (incident,) = scene.incidents()
    scene.control.act_as("beth.anglin", "incident", incident["sys_id"], {"urgency": "3"})


def _storm_in_a_store_that_is_lost(scene: Scene) -> None:
    scene.report(*(scene.anomaly(f"check {number}") for number in range(3)), store="lost", max_new_tickets=1)


def _fault(kind: str, method: str, **options: Any) -> Callable[[Scene], None]:
    def prepare(scene: Scene) -> None:
        (_known if method == "POST" else _opened)(scene)
        scene.control.fail_next(kind, method=method, body=scene.name, **options)

    return prepare


def _recorded_only(scene: Scene) -> None:
    scene.control.fail_next("rate_limited", method="POST", body=scene.name, retry_after=100)
    scene.report(scene.anomaly("a"), scene.anomaly("b"), run="before")
    # The fault is no rule: who comes next is not held up by it.
    forget_limits()


def _open(scene: Scene) -> Opening:
    return scene.report(scene.anomaly())


def _open_two(scene: Scene) -> Opening:
    return scene.report(scene.anomaly("check 1"), scene.anomaly("check 2"))


def _repeat(scene: Scene) -> Opening:
    return scene.report(scene.anomaly(hour=1))


def _refire(scene: Scene) -> Opening:
    return scene.report(scene.anomaly(hour=None), run="next")


def _refire_new(scene: Scene) -> Opening:
    return scene.report(scene.anomaly(hour=None), run="next", on_refire="new")


def _storm(scene: Scene) -> Opening:
    """Report more than a run may open, in a list longer than a description."""
    names = [f"{scene.name} check {number} {'x' * 450}" for number in range(10)]
    return scene.report(*map(scene.anomaly, names), max_new_tickets=1)


def _small_storm(scene: Scene) -> Opening:
    return scene.report(*(scene.anomaly(f"check {number}") for number in range(4)), max_new_tickets=1)


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


def _known_by_a_column_of_its_own(scene: Scene) -> Opening:
    return scene.report(scene.anomaly(), key_field=KEY_FIELD)


def _with_a_name_of_two(scene: Scene) -> Opening:
    return scene.report(scene.anomaly(), columns={"assignment_group": "Analytics Support"})


def _open_what_is_refused(scene: Scene) -> Opening:
    return scene.report(scene.anomaly(REFUSED))


def _resolve(scene: Scene) -> Pushed:
    return scene.push_status(scene.anomaly(status="resolved"))


def _pass(scene: Scene) -> Pushed:
    return scene.passed(scene.anomaly(hour=20), scene.anomaly(hour=24), resolve_after=2)


def _activate(scene: Scene) -> Pushed:
    return scene.push_status(scene.anomaly(status="active"), run="next")


def _comment_twice(scene: Scene) -> Pushed:
    """Say the same thing twice, on purpose."""
    comments = [Comment(id=number, author="ann", body="rows still missing") for number in ("1", "2")]
    return scene.push_comments(scene.anomaly(comments=comments))


@contextlib.contextmanager
def _closed_meanwhile(scene: Scene) -> Iterator[None]:
    """Let a person close the ticket after we have looked and before our note arrives."""
    real = send.update

    def close_first(desk: Any, address: Any, write: Any) -> Any:
        with unwatched():
            (*_, newest) = scene.incidents()
            if newest["state"] == NEW:
                done = {"state": CLOSED, "close_code": "Solution provided", "close_notes": "done"}
                scene.control.act_as("admin", "incident", newest["sys_id"], done)
        return real(desk, address, write)

    with patch.object(send, "update", close_first):
        yield


@contextlib.contextmanager
def _opened_meanwhile(scene: Scene) -> Iterator[None]:
    """Let another store open the ticket after we have looked and before our create arrives."""
    real = send.create

    def other_first(desk: Any, address: Any, write: Any) -> Any:
        with unwatched(), patch.object(send, "create", real):
            if not scene.incidents():
                scene.report(scene.anomaly(), run="other", store="other")
        return real(desk, address, write)

    with patch.object(send, "create", other_first):
        yield


@contextlib.contextmanager
def _suspended(_: Scene) -> Iterator[None]:
    """Let the process stand still once, when it has written down what it is about to send."""
    real = outbox.start

    def start_and_sleep(*args: Any, **options: Any) -> None:
        patched.stop()
        time.sleep(TIMEOUT_S + 0.1)
        real(*args, **options)

    patched = patch.object(outbox, "start", start_and_sleep)
    patched.start()
    try:
        yield
    finally:
        patched.stop()


_ONE: Final = ((NEW, 0),)
_TWO: Final = ((NEW, 0), (NEW, 0))
_NOTED: Final = ((NEW, 1),)

SCENARIOS: Final = (
    Scenario("an opening", _open, _TWO, _known, BOTH, main=True, again=(SENT, UNSENT)),
    Scenario("an opening at first contact", _open, _ONE, instances=BOTH, main=True, again=(SENT,)),
    Scenario("two openings at first contact", _open_two, _TWO, instances=(HARDENED,)),
    Scenario("a repeat", _repeat, _NOTED, _opened, main=True, again=(SENT, UNSENT)),
    Scenario("a re-fire that reopens", _refire, ((IN_PROGRESS, 1),), _resolved, main=True),
    Scenario("a re-fire that opens a successor", _refire_new, ((RESOLVED, 0), (NEW, 0)), _resolved, BOTH),
    Scenario("a roll-up of several pages", _storm, ((NEW, 1), (NEW, 0)), main=True),
    Scenario("a newcomer in a group", _join_the_group, _NOTED, _grouped, main=True),
    Scenario("a move", _move_to_the_group, ((NEW, 1), (NEW, 1)), _opened_alone, main=True),
    Scenario("a resolve", _resolve, ((RESOLVED, 1),), _opened, main=True),
    Scenario("an anomaly that is active again", _activate, ((IN_PROGRESS, 2),), _resolved_by_us),
    Scenario("passes that resolve", _pass, ((RESOLVED, 1),), _opened, again=(SENT,)),
    Scenario(
        "passes that resolve and whose answer is lost",
        _pass,
        ((RESOLVED, 1),),
        _fault("drop_after", "PATCH"),
        begins=UNSENT,
    ),
    Scenario("two equal comments", _comment_twice, ((NEW, 2),), _opened, main=True, again=(SENT,)),
    Scenario("names to look up", _with_names, _ONE),
    Scenario("a key field", _known_by_a_column_of_its_own, _ONE, instances=BOTH),
    Scenario("a name that two groups have", _with_a_name_of_two, ()),
    Scenario("a create that is refused", _open_what_is_refused, _ONE, _known, begins=UNSENT),
    Scenario("a lost store", _repeat, _NOTED, _in_a_store_that_is_lost),
    Scenario(
        "a lost store and a ticket that people changed", _repeat, _ONE, _changed_since_the_store_was_lost
    ),
    Scenario(
        "a lost store and a roll-up", _small_storm, ((NEW, 1), (NEW, 0)), _storm_in_a_store_that_is_lost
    ),
    Scenario("a create that never arrived", _open, _TWO, _fault("drop_before", "POST"), BOTH, begins=UNSENT),
    Scenario(
        "a create that is denied though done",
        _open,
        _TWO,
        _fault("forbidden_but_done", "POST"),
        BOTH,
        begins=UNSENT,
    ),
    Scenario("a note that never arrived", _repeat, _NOTED, _fault("drop_before", "PATCH"), begins=UNSENT),
    Scenario(
        "a resolve whose answer is lost",
        _resolve,
        ((RESOLVED, 1),),
        _fault("drop_after", "PATCH"),
        begins=UNSENT,
    ),
    Scenario("a denial that passes", _open, _TWO, _fault("api_acl", "POST"), begins=UNSENT),
    Scenario(
        "an instance that asks to wait",
        _open,
        _TWO,
        _fault("rate_limited", "POST", retry_after=1),
        begins=UNSENT,
    ),
    Scenario(
        "a ticket closed meanwhile",
        _refire,
        ((CLOSED, 0), (NEW, 0)),
        _opened_without_a_time,
        during=_closed_meanwhile,
        begins=UNSENT,
    ),
    Scenario("a ticket opened meanwhile", _open, (), during=_opened_meanwhile, begins=UNSENT, meets=True),
    Scenario("a process that stood still", _open, _TWO, _known, during=_suspended),
    Scenario("what others recorded", Scene.deliver_waiting, _TWO, _recorded_only),
    Scenario("a task that ran before", _open, _ONE, _open),
    Scenario(
        "a twin",
        _open,
        (),
        instances=(HARDENED,),
        main=True,
        again=(SENT,),
        meets=True,
        during=_opened_meanwhile,
    ),
)
