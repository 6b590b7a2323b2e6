"""Who asks about findings, and by whose rules and on which instance it is done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from airflow_provider_servicenow_dq.desk.desk import Desk, Run
    from airflow_provider_servicenow_dq.exceptions import ServiceNowError
    from airflow_provider_servicenow_dq.findings.shown import CaseData
    from airflow_provider_servicenow_dq.projects.project import Project


class Side(NamedTuple):
    """A project, and the desk for its instance."""

    desk: Desk
    project: Project


#: The side of a project by its id or key.
Sides = Callable[[str], Side]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks.

    :param user: As cases show them.
    :param run: The task instance; for a request of a route something that no other request has.
    :param key: Says that two requests are the same one; without it the same content within minutes does.
    :param is_task: The key is that of a task instance and of what it asks. Airflow may run it again whenever
        somebody clears it, so it is known for as long as its cases are.
    """

    user: str
    run: Run
    key: str | None = None
    is_task: bool = False

    @property
    def person(self) -> str:
        """The user, where it is one who asks and not a task that runs as them."""
        return "" if self.run.dag_id else self.user


@dataclass(slots=True)
class Answer:
    """What came of a request.

    :param cases: One for each that was asked for, in that order.
    :param failures: Why something was not delivered, in words, each cause once.
    :param pending: Errors after which a later try can succeed.
    """

    cases: list[CaseData] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    pending: list[ServiceNowError] = field(default_factory=list)
