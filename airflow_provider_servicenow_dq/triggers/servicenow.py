"""Triggers: waiting for tickets, and hearing of changes, without a worker."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk.exceptions import AirflowException
from airflow.triggers.base import BaseEventTrigger, BaseTrigger, TriggerEvent

from airflow_provider_servicenow_dq.exceptions import AuthenticationError, ServiceNowError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from airflow_provider_servicenow_dq.client.query import Query
    from airflow_provider_servicenow_dq.triggers.changes import Position
    from airflow_provider_servicenow_dq.triggers.lines import Line

#: Nobody looks more often, in seconds.
SHORTEST_POLL_S: Final = 5.0

#: How a wait ends: the states were reached, cannot be reached any more, or cannot be asked for.
REACHED: Final = "reached"
FAILED: Final = "failed"
REFUSED: Final = "refused"

SCHEMA_VERSION: Final = 1

#: Seconds after which an instance that says no is asked again, at the latest.
_LONGEST_PAUSE_S: Final = 3600.0

#: Seconds after which Airflow has stored the events that it was given; it takes them once a second.
_STORED_AFTER_S: Final = 3.0


class ServiceNowIncidentStateTrigger(BaseTrigger):
    """Wait until tickets are in one of some states.

    All triggers of one connection and interval in a triggerer look together: a thousand of them cost ten
    requests for each look. An instance that cannot be reached is asked again later; a login that is refused
    ends the wait. A ticket that three looks in a row have not shown counts as gone.

    The event is ``{"schema_version", "outcome", "message", "tickets"}``. Its ``outcome`` is ``reached``,
    ``failed`` (a failure state, or a ticket that is gone) or ``refused`` (the instance or the connection says
    no); ``message`` says why in words; ``tickets`` are as they were seen last, in the shape of the seed.

    :param servicenow_conn_id: The Airflow connection to use.
    :param tickets: What to wait for: numbers, sys_ids or addresses of records, or
        ``{"table", "sys_id", "number"}``. A table that is not told is ``incident``.
    :param target_states: States to wait for, by name or value; or by table, those of others than incident by
        value.
    :param failure_states: States in which waiting is over and has failed; the same.
    :param wait_for: ``all`` tickets or ``any``.
    :param poll_interval: Seconds between two looks, 5 at least.
    :param longest_interval: What the interval grows to, each twice the one before; by default it does not
        grow.
    :param first_look_at: When the first look is due, in seconds of Unix time; by default at once.
    :param missed: Looks in a row that did not show a ticket before, by its number or sys_id.
    """

    def __init__(
        self,
        servicenow_conn_id: str,
        tickets: Sequence[str | Mapping[str, str]],
        target_states: Sequence[str] | Mapping[str, Sequence[str]] = ("resolved", "closed"),
        failure_states: Sequence[str] | Mapping[str, Sequence[str]] = ("canceled",),
        wait_for: str = "all",
        poll_interval: float = 60.0,
        longest_interval: float | None = None,
        first_look_at: float | None = None,
        missed: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's
        self.servicenow_conn_id = servicenow_conn_id
        self.tickets = tickets
        self.target_states = target_states
        self.failure_states = failure_states
        self.wait_for = wait_for
        self.poll_interval = poll_interval
        self.longest_interval = longest_interval
        self.first_look_at = first_look_at
        self.missed = missed

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what Airflow keeps of it: plain JSON, and nothing secret."""
        return f"{__name__}.{type(self).__name__}", {
            "servicenow_conn_id": self.servicenow_conn_id,
            "tickets": [name if isinstance(name, str) else dict(name) for name in self.tickets],
            "target_states": _plain(self.target_states),
            "failure_states": _plain(self.failure_states),
            "wait_for": self.wait_for,
            "poll_interval": self.poll_interval,
            "longest_interval": self.longest_interval,
            "first_look_at": self.first_look_at,
            "missed": None if self.missed is None else dict(self.missed),
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event, when the wait is over."""
        from airflow_provider_servicenow_dq.triggers.lines import line_to  # noqa: PLC0415 (DAG files pay for it)

        # All is given back before the event is out, whatever becomes of this iterator then.
        with line_to(self.servicenow_conn_id) as line:
            try:
                event = await self._event(line)
            except ServiceNowError as error:
                event = _event(REFUSED, str(error))
        yield event

    async def _event(self, line: Line) -> TriggerEvent:
        """Wait, and return the event.

        :raises ServiceNowError: If the tickets cannot be looked at, and never will.
        """
        from airflow_provider_servicenow_dq.tickets.awaited import Awaited, Goal  # noqa: PLC0415 (loads pydantic)
        from airflow_provider_servicenow_dq.triggers.looking import may_pass, shown  # noqa: PLC0415 (SQLAlchemy)
        from airflow_provider_servicenow_dq.triggers.polls import joined  # noqa: PLC0415 (as above)
        from airflow_provider_servicenow_dq.triggers.watch import Watch  # noqa: PLC0415 (as above)

        config = (await line.opened()).config
        tickets = [Awaited.of(name, host=config.host) for name in self.tickets]
        if not tickets:
            return _event(REACHED, "There is nothing to wait for")
        tables = {ticket.table for ticket in tickets}
        goal = Goal.of(
            tables, targets=self.target_states, failures=self.failure_states, wait_for=self.wait_for
        )
        watch, said = Watch(goal, self.missed), ""
        with joined(
            self.servicenow_conn_id,
            tickets,
            interval_s=max(float(self.poll_interval), SHORTEST_POLL_S),
            in_s=0.0 if self.first_look_at is None else self.first_look_at - time.time(),
            longest_s=self.longest_interval,
        ) as looks:
            while True:
                try:
                    verdict = watch.judge(await looks.next_look())
                except ServiceNowError as error:
                    if not may_pass(error):
                        raise
                    # Once for each time that it is away.
                    if not said:
                        self.log.warning("The tickets cannot be looked at now, and will be again: %s", error)
                    said = said or str(error)
                    continue
                if said:
                    self.log.info("The tickets can be looked at again")
                    said = ""
                if verdict.outcome != "waiting":
                    return _event(verdict.outcome, verdict.words, shown(watch.seen, base_url=config.base_url))


class ServiceNowTicketChangeTrigger(BaseEventTrigger):
    """Tell every change of the tickets of a query, for an asset's ``AssetWatcher``.

    An event is one change: a record that matches was made or updated. Its payload is ``{"schema_version",
    "table", "sys_id", "number", "state", "status", "priority", "short_description", "updated_at",
    "updated_by", "changes", "url"}``. Changes of one ticket between two looks come as one, as it is then; a
    ticket that a change takes out of the query is not told any more.

    While it runs it tells every change once. When a triggerer starts, Airflow 3.3 goes on where the last one
    was: what happened meanwhile is told, and what was told in its last seconds may be again. Airflow 3.2
    keeps nothing for a trigger: there it begins with what happens from then on.

    It never gives up: while an instance is away, or refuses the login, it says so in the triggerer's log and
    tries again, ever more slowly.

    :param servicenow_conn_id: The Airflow connection to use.
    :param query: Equal conditions by column, such as ``{"priority": "1"}``. A text is taken as an encoded
        query as it is, so it must be one that can be trusted: scripts in it run on the instance.
    :param poll_interval: Seconds between two looks, 5 at least.
    :param table: Table of the tickets.
    """

    def __init__(
        self,
        servicenow_conn_id: str,
        query: Mapping[str, str | int | float | bool | None] | str,
        poll_interval: float = 60.0,
        table: str = "incident",
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's
        self.servicenow_conn_id = servicenow_conn_id
        self.query = query
        self.poll_interval = poll_interval
        self.table = table
        self._held = contextlib.ExitStack()

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what Airflow keeps of it: plain JSON, and nothing secret."""
        return f"{__name__}.{type(self).__name__}", {
            "servicenow_conn_id": self.servicenow_conn_id,
            "query": self.query if isinstance(self.query, str) else dict(self.query),
            "poll_interval": self.poll_interval,
            "table": self.table,
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield an event for every change, until it is cancelled."""
        from airflow_provider_servicenow_dq.triggers.changes import Position  # noqa: PLC0415 (loads SQLAlchemy)
        from airflow_provider_servicenow_dq.triggers.lines import line_to  # noqa: PLC0415 (DAG files pay for it)
        from airflow_provider_servicenow_dq.triggers.memory import Memory  # noqa: PLC0415 (as above)

        interval_s = max(float(self.poll_interval), SHORTEST_POLL_S)
        pause_s, said = interval_s, ""
        memory = Memory(self)
        with self._held:
            line = self._held.enter_context(line_to(self.servicenow_conn_id))
            position = Position.from_json(await memory.recall())
            is_kept = position is not None
            while True:
                try:
                    payloads, position = await self._read(line, position)
                    pause_s, said = interval_s, ""
                except (ServiceNowError, AirflowException) as error:
                    payloads, pause_s = [], _pause_after(error, pause_s, interval_s)
                    if said != str(error):
                        self.log.warning("Changes of %s cannot be read now: %s", self.table, error)
                    said = str(error)
                for payload in payloads:
                    yield TriggerEvent(payload)  # type: ignore[no-untyped-call]  # Airflow's
                await asyncio.sleep(_STORED_AFTER_S)
                # Where nothing is new, what was kept last leads to the same.
                if position is not None and (payloads or not is_kept):
                    await memory.remember(position.as_json())
                    is_kept = True
                await asyncio.sleep(pause_s - _STORED_AFTER_S)

    async def cleanup(self) -> None:
        """Give back what is in use, also where nobody reads the events to their end."""
        self._held.close()

    async def _read(self, line: Line, position: Position | None) -> tuple[list[dict[str, Any]], Position]:
        from airflow_provider_servicenow_dq.triggers import changes  # noqa: PLC0415 (loads SQLAlchemy)

        opened = await line.opened()
        query: Query = changes.query_of(self.query)
        try:
            if position is None:
                return [], await line.ask(partial(changes.begin, table=self.table, query=query))
            reading = partial(changes.read, table=self.table, query=query, position=position)
            records, reached = await line.ask(reading)
        except AuthenticationError:
            # What it says now is tried the next time.
            await line.renew(opened)
            raise
        base_url = opened.config.base_url
        return [changes.payload(each, table=self.table, base_url=base_url) for each in records], reached


def _pause_after(error: Exception, pause_s: float, interval_s: float) -> float:
    """Return the seconds until reading is tried again; longer each time that the instance says no."""
    from airflow_provider_servicenow_dq.triggers.looking import may_pass  # noqa: PLC0415 (loads SQLAlchemy)

    if may_pass(error):
        return max(interval_s, getattr(error, "retry_after", None) or 0.0)
    return min(2 * pause_s, max(_LONGEST_PAUSE_S, interval_s))


def _event(outcome: str, message: str, tickets: Sequence[Mapping[str, Any]] = ()) -> TriggerEvent:
    return TriggerEvent(  # type: ignore[no-untyped-call]  # Airflow's
        {
            "schema_version": SCHEMA_VERSION,
            "outcome": outcome,
            "message": message,
            "tickets": [dict(ticket) for ticket in tickets],
        }
    )


def _plain(states: Sequence[str] | Mapping[str, Sequence[str]]) -> list[str] | dict[str, list[str]] | str:
    if isinstance(states, Mapping):
        return {table: list(names) for table, names in states.items()}
    return states if isinstance(states, str) else list(states)
