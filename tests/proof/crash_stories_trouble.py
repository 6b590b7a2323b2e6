"""Stories in which something else goes wrong besides: answers are lost, stores too, and others interfere."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any, Final
from unittest.mock import patch

from crash_acts import NOTED, ONE, TWO, fault, known, open_one, opened_without_a_time, refire, repeat
from crash_story import BOTH, CLOSED, HARDENED, NEW, REFUSED, SENT, UNSENT, Scenario
from points import unwatched
from scenes import TIMEOUT_S, Scene

from airflow_provider_servicenow_dq.client.limits import forget_limits
from airflow_provider_servicenow_dq.desk.delivery import send
from airflow_provider_servicenow_dq.store import outbox

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_servicenow_dq.desk.open import Opening


def _in_a_store_that_is_lost(scene: Scene) -> None:
    scene.report(scene.anomaly(hour=0), scene.anomaly(hour=1), run="before", store="lost")


def _changed_since_the_store_was_lost(scene: Scene) -> None:
    scene.report(scene.anomaly(), run="before", store="lost")
    (incident,) = scene.incidents()
    scene.control.act_as("beth.anglin", "incident", incident["sys_id"], {"urgency": "3"})


def _storm_in_a_store_that_is_lost(scene: Scene) -> None:
    scene.report(*(scene.anomaly(f"check {number}") for number in range(3)), store="lost", max_new_tickets=1)


def _recorded_only(scene: Scene) -> None:
    scene.control.fail_next("rate_limited", method="POST", body=scene.name, retry_after=100)
    scene.report(scene.anomaly("a"), scene.anomaly("b"), run="before")
    # The fault is no rule: who comes next is not held up by it.
    forget_limits()


def _small_storm(scene: Scene) -> Opening:
    return scene.report(*(scene.anomaly(f"check {number}") for number in range(4)), max_new_tickets=1)


def _open_what_is_refused(scene: Scene) -> Opening:
    return scene.report(scene.anomaly(REFUSED))


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


STORIES: Final[list[Scenario]] = [
    Scenario("a create that is refused", _open_what_is_refused, ONE, known, begins=UNSENT),
    Scenario("a lost store", repeat, NOTED, _in_a_store_that_is_lost),
    Scenario("a lost store and a ticket that people changed", repeat, ONE, _changed_since_the_store_was_lost),
    Scenario(
        "a lost store and a roll-up", _small_storm, ((NEW, 1), (NEW, 0)), _storm_in_a_store_that_is_lost
    ),
    Scenario("a create that never arrived", open_one, TWO, fault("drop_before", "POST"), BOTH, begins=UNSENT),
    Scenario(
        "a create that is denied though done",
        open_one,
        TWO,
        fault("forbidden_but_done", "POST"),
        BOTH,
        begins=UNSENT,
    ),
    Scenario("a note that never arrived", repeat, NOTED, fault("drop_before", "PATCH"), begins=UNSENT),
    Scenario("a denial that passes", open_one, TWO, fault("api_acl", "POST"), begins=UNSENT),
    Scenario(
        "an instance that asks to wait",
        open_one,
        TWO,
        fault("rate_limited", "POST", retry_after=1),
        begins=UNSENT,
    ),
    Scenario(
        "a ticket closed meanwhile",
        refire,
        ((CLOSED, 0), (NEW, 0)),
        opened_without_a_time,
        during=_closed_meanwhile,
        begins=UNSENT,
    ),
    Scenario("a ticket opened meanwhile", open_one, (), during=_opened_meanwhile, begins=UNSENT, meets=True),
    Scenario("a process that stood still", open_one, TWO, known, during=_suspended),
    Scenario("what others recorded", Scene.deliver_waiting, TWO, _recorded_only),
    Scenario(
        "a twin",
        open_one,
        (),
        instances=(HARDENED,),
        main=True,
        again=(SENT,),
        meets=True,
        during=_opened_meanwhile,
    ),
]
