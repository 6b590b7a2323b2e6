"""A wait in progress: what the looks so far have shown, and whether it is over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_servicenow_dq.exceptions import ServiceNowError
from airflow_provider_servicenow_dq.triggers.looking import may_pass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_servicenow_dq.client.table import Record
    from airflow_provider_servicenow_dq.tickets.awaited import Awaited, Goal, Verdict
    from airflow_provider_servicenow_dq.triggers.polls import Answers


class Watch:
    """What is known of the tickets that somebody waits for.

    :param goal: What is waited for.
    :param missed: Looks in a row that did not show a ticket before, by its name.
    """

    def __init__(self, goal: Goal, missed: Mapping[str, int] | None = None) -> None:
        self.goal = goal
        self.missed = dict(missed or {})
        self.seen: dict[Awaited, Record | None] = {}

    def judge(self, answers: Answers) -> Verdict:
        """Take in what a look has shown, and return what that means for the wait.

        :raises ServiceNowError: If a ticket could not be looked at: the look counts for nothing then. What
            will not go better is raised before what may.
        """
        seen: dict[Awaited, Record | None] = {}
        passing: ServiceNowError | None = None
        for ticket, answer in answers.items():
            if not isinstance(answer, ServiceNowError):
                seen[ticket] = answer
            elif may_pass(answer):
                passing = answer
            else:
                raise answer
        if passing is not None:
            raise passing
        self.seen = seen
        self.missed = {
            ticket.name: self.missed.get(ticket.name, 0) + 1
            for ticket, record in seen.items()
            if record is None
        }
        return self.goal.judge(seen, {ticket: self.missed.get(ticket.name, 0) for ticket in seen})
