"""The looks of one sensor, in one process: at which tickets, and what is remembered from look to look."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_servicenow_dq.exceptions import ServiceNowConfigError
from airflow_provider_servicenow_dq.hooks.desk import open_desk
from airflow_provider_servicenow_dq.hooks.projects import choose
from airflow_provider_servicenow_dq.hooks.tasks import rendered_payload, run_of
from airflow_provider_servicenow_dq.sensors.names import bare_names, names_in
from airflow_provider_servicenow_dq.tickets.awaited import Awaited, Goal
from airflow_provider_servicenow_dq.tickets.states import states_of
from airflow_provider_servicenow_dq.triggers.looking import find_among_tasks, read_all, shown
from airflow_provider_servicenow_dq.triggers.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.sdk import Context

    from airflow_provider_servicenow_dq.anomalies.model import Anomaly
    from airflow_provider_servicenow_dq.hooks.projects import Chosen
    from airflow_provider_servicenow_dq.sensors.servicenow import ServiceNowIncidentStateSensor
    from airflow_provider_servicenow_dq.tickets.awaited import Verdict
    from airflow_provider_servicenow_dq.tickets.states import States

log = logging.getLogger(__name__)

#: Seconds between the looks of a sensor that remembers nothing from one to the next.
_SHORTLY_S: Final = 5.0

#: Name under which Airflow keeps what a task remembers when it is rescheduled.
_KEY: Final = "servicenow_missed"

#: Anomalies that a sentence names.
_NAMED: Final = 10


class Looks:
    """The looks of a sensor, from its first on.

    :param sensor: Its parameters, rendered.
    """

    def __init__(self, sensor: ServiceNowIncidentStateSensor, context: Context) -> None:
        self._sensor = sensor
        self._context = context
        self._began = time.monotonic()
        self._told_url = False
        self._chosen: Chosen | None = None
        self._tickets: Sequence[Awaited] = ()
        self._bare: set[Awaited] = set()
        self._watch: Watch | None = None

    @property
    def knows_tickets(self) -> bool:
        """Whether it is known which tickets to wait for."""
        return self._watch is not None

    def seconds(self) -> float:
        """Return how long this sensor has been looking, in this process."""
        return time.monotonic() - self._began

    def look(self) -> Verdict:
        """Look at all tickets once, and return what that means.

        Where nothing survives until the next look, a ticket that is not shown is looked for again at once.

        :raises ServiceNowError: If that is not possible.
        """
        chosen = self._chosen = self._chosen or choose(self._sensor.servicenow_conn_id, self._sensor.project)
        try:
            if self._watch is None:
                self._tickets = self._asked_for(chosen)
                self._watch = Watch(self._goal(chosen), self._recalled())
            verdict = self._ask(chosen)
            if self._bare:
                verdict = self._ask_elsewhere(chosen) or verdict
            while self._forgets and verdict.outcome == "waiting" and self._watch.missed:
                time.sleep(_SHORTLY_S)
                verdict = self._ask(chosen)
        finally:
            chosen.hook.close()
        self._remember(self._watch.missed)
        return verdict

    def tickets(self) -> list[dict[str, Any]]:
        """Return the tickets as they were seen last."""
        if self._watch is None or self._chosen is None:
            return []
        return shown(self._watch.seen, base_url=self._chosen.hook.instance_config().base_url)

    def new_url(self) -> str:
        """Return the address of the first ticket that was seen, the first time that it is asked for."""
        url = "" if self._told_url else next((ticket["url"] for ticket in self.tickets()), "")
        self._told_url = self._told_url or bool(url)
        return url

    def as_json(self) -> dict[str, Any]:
        """Return what a trigger needs to go on, as plain JSON.

        :raises ServiceNowConfigError: If it is not known yet what to wait for.
        """
        if self._watch is None or self._chosen is None:
            raise ServiceNowConfigError("It is not known yet which tickets to wait for")
        records = self._watch.seen
        tickets = [
            ticket.found(record) if (record := records.get(ticket)) else ticket for ticket in self._tickets
        ]
        return {
            "servicenow_conn_id": self._chosen.hook.servicenow_conn_id,
            "tickets": [ticket.as_json() for ticket in tickets],
            "missed": self._watch.missed,
            **self._watch.goal.as_json(),
        }

    def _asked_for(self, chosen: Chosen) -> list[Awaited]:
        """Find out which tickets to wait for."""
        sensor, table = self._sensor, chosen.project.table
        if sensor.incident is None and sensor.anomalies is None:
            raise ServiceNowConfigError("There is nothing to wait for: give incident, or anomalies")
        host = chosen.hook.instance_config().host
        names = names_in(rendered_payload(sensor.incident, parameter="incident"))
        tickets = [Awaited.of(name, host=host, table=table) for name in names]
        self._bare = {Awaited.of(name, host=host, table=table) for name in bare_names(names, host=host)}
        if sensor.anomalies is not None:
            tickets += self._of_anomalies(chosen)
        return list(dict.fromkeys(tickets))

    def _goal(self, chosen: Chosen) -> Goal:
        sensor, project = self._sensor, chosen.project

        def states_in(table: str) -> States:
            return project.states if table == project.table else states_of(table)

        return Goal.of(
            {ticket.table for ticket in self._tickets},
            targets=sensor.target_states,
            failures=sensor.failure_states,
            wait_for=sensor.wait_for,
            states_in=states_in,
        )

    def _ask(self, chosen: Chosen) -> Verdict:
        if self._watch is None:
            raise ServiceNowConfigError("It is not known yet which tickets to wait for")
        return self._watch.judge(dict(read_all(chosen.hook.table_api, self._tickets)))

    def _ask_elsewhere(self, chosen: Chosen) -> Verdict | None:
        """Look for those of which only a name was given, and which are not shown, among all tasks, once."""
        seen = self._watch.seen if self._watch else {}
        missing = [ticket for ticket in self._tickets if ticket in self._bare and seen.get(ticket) is None]
        self._bare = set()
        elsewhere = find_among_tasks(chosen.hook.table_api, missing) if missing else {}
        if not elsewhere:
            return None
        self._tickets = list(dict.fromkeys(elsewhere.get(ticket, ticket) for ticket in self._tickets))
        self._watch = Watch(self._goal(chosen), self._recalled())
        return self._ask(chosen)

    def _of_anomalies(self, chosen: Chosen) -> Sequence[Awaited]:
        from airflow_provider_servicenow_dq.anomalies.reading import read_report  # noqa: PLC0415 (only if asked)
        from airflow_provider_servicenow_dq.desk.awaited import tickets_of  # noqa: PLC0415 (as above)

        sensor = self._sensor
        payload = rendered_payload(sensor.anomalies)
        report = read_report(payload, source=sensor.source, options=sensor.source_options)
        with open_desk(chosen.hook) as desk:
            having = tickets_of(desk, report.anomalies, project=chosen.project, run=run_of(self._context))
        if having.without:
            self._say_without(having.without)
        return having.tickets

    def _say_without(self, anomalies: Sequence[Anomaly]) -> None:
        named = [f"{each.check_name} on {each.dataset}" for each in anomalies[:_NAMED]]
        rest = f", and {len(anomalies) - _NAMED} more" if len(anomalies) > _NAMED else ""
        words = f"{len(anomalies)} of the anomalies have no ticket: {', '.join(named)}{rest}"
        match self._sensor.without_ticket:
            case "ignore":
                log.warning("%s; they are not waited for", words)
            case "fail":
                raise ServiceNowConfigError(
                    f"{words}. With without_ticket='ignore' the others are waited for"
                )
            case other:
                raise ServiceNowConfigError(f"without_ticket must be fail or ignore, not {other!r}")

    @property
    def _memory(self) -> Any:
        """Where Airflow keeps what a task knows until it runs again; nowhere before 3.3."""
        return self._context.get("task_state_store") if self._sensor.reschedule else None

    @property
    def _forgets(self) -> bool:
        return bool(self._sensor.reschedule) and self._memory is None

    @property
    def _try(self) -> int:
        return int(getattr(self._context.get("ti"), "try_number", 0) or 0)

    def _recalled(self) -> Mapping[str, int]:
        kept = self._memory.get(_KEY) if self._memory is not None else None
        return kept["missed"] if isinstance(kept, dict) and kept.get("try") == self._try else {}

    def _remember(self, missed: Mapping[str, int]) -> None:
        if self._memory is not None and dict(self._recalled()) != dict(missed):
            self._memory.set(_KEY, {"try": self._try, "missed": dict(missed)})
