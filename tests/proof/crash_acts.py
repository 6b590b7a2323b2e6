"""What happens in several stories: how they begin, and what the task does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from crash_story import NEW

if TYPE_CHECKING:
    from collections.abc import Callable

    from scenes import Scene

    from airflow_provider_servicenow_dq.desk.open import Opening
    from airflow_provider_servicenow_dq.desk.push import Pushed

ONE: Final = ((NEW, 0),)
TWO: Final = ((NEW, 0), (NEW, 0))
NOTED: Final = ((NEW, 1),)


def known(scene: Scene) -> object:
    """Let the store know what the instance does with our sys_id."""
    return scene.report(scene.anomaly("another"), run="before")


def opened(scene: Scene) -> object:
    return scene.report(scene.anomaly(), run="before")


def opened_without_a_time(scene: Scene) -> object:
    return scene.report(scene.anomaly(hour=None), run="before")


def resolved(scene: Scene) -> None:
    opened_without_a_time(scene)
    scene.resolve()


def fault(kind: str, method: str, **options: Any) -> Callable[[Scene], None]:
    """Return a beginning after which the instance does not do the next such request as it should."""

    def prepare(scene: Scene) -> None:
        (known if method == "POST" else opened)(scene)
        scene.control.fail_next(kind, method=method, body=scene.name, **options)

    return prepare


def open_one(scene: Scene) -> Opening:
    return scene.report(scene.anomaly())


def repeat(scene: Scene) -> Opening:
    return scene.report(scene.anomaly(hour=1))


def refire(scene: Scene) -> Opening:
    return scene.report(scene.anomaly(hour=None), run="next")


def resolve(scene: Scene) -> Pushed:
    return scene.push_status(scene.anomaly(status="resolved"))
