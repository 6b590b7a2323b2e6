"""Shared looks: all triggers that wait through one connection at one interval look together.

A thousand triggers that each asked for one ticket would be a thousand requests. Here they join a poll, which
asks for all their tickets a hundred at a time, and tells each what became of its own. Everything happens in
the event loop of the triggerer, so nothing is locked; only the requests run elsewhere (:mod:`.lines`).
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import copy
import logging
import weakref
from functools import partial
from typing import TYPE_CHECKING, Final

from airflow_provider_servicenow_dq.exceptions import AuthenticationError, ServiceNowError
from airflow_provider_servicenow_dq.triggers.lines import line_to
from airflow_provider_servicenow_dq.triggers.looking import parts_of, read_part

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_provider_servicenow_dq.client.table import Record
    from airflow_provider_servicenow_dq.tickets.awaited import Awaited
    from airflow_provider_servicenow_dq.triggers.lines import Line
    from airflow_provider_servicenow_dq.triggers.looking import Part

log = logging.getLogger(__name__)

#: Seconds that the first to come waits for others: a triggerer that starts creates all its triggers at once.
_GATHER_S: Final = 1.0

#: Of each ticket its record, why it could not be looked at, or None where the instance does not show it.
Answers = dict["Awaited", "Record | ServiceNowError | None"]


class Subscriber:
    """One trigger that takes part in a poll.

    :param tickets: What it waits for.
    :param due: Time of the loop when its tickets should be looked at.
    :param wait_s: Seconds between its first two looks; each wait is twice the one before.
    :param longest_s: What they grow to.
    """

    def __init__(self, tickets: Sequence[Awaited], *, due: float, wait_s: float, longest_s: float) -> None:
        self.tickets = tuple(tickets)
        self.due = due
        self.is_new = True
        self._wait_s = wait_s
        self._longest_s = longest_s
        self._news: asyncio.Queue[Answers | BaseException] = asyncio.Queue()

    def wait_s(self) -> float:
        """Return the seconds from a look to the next."""
        wait_s, self._wait_s = self._wait_s, min(2 * self._wait_s, self._longest_s)
        return wait_s

    async def next_look(self) -> Answers:
        """Wait for the next look, and return what it has shown of our tickets.

        :raises BaseException: What has ended the poll.
        """
        news = await self._news.get()
        if isinstance(news, BaseException):
            # Each raises its own: one that a thousand tasks raise grows with each of them.
            raise copy.copy(news) from news
        return news

    def tell(self, answers: Answers) -> None:
        """Hand over what a look has shown."""
        self._news.put_nowait({ticket: answers[ticket] for ticket in self.tickets})

    def fail(self, error: BaseException) -> None:
        """Say that there will be no more looks, and why."""
        self._news.put_nowait(error)


class Poll:
    """The looks of all triggers of one connection and interval.

    :param conn_id: The Airflow connection.
    :param interval_s: Seconds between two looks.
    """

    def __init__(self, conn_id: str, interval_s: float) -> None:
        self._interval_s = interval_s
        self._subscribers: dict[Subscriber, None] = {}
        self._joined = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        #: When all look, and before which nobody may.
        self._next_tick = self._not_before = 0.0
        # In a context of its own: what it logs is not the business of the one who happened to come first.
        self._task = self._loop.create_task(
            self._run(conn_id), name=f"servicenow-poll-{conn_id}", context=contextvars.Context()
        )

    @property
    def is_over(self) -> bool:
        """Whether there will be no more looks."""
        return self._task.done()

    @property
    def is_idle(self) -> bool:
        """Whether nobody takes part."""
        return not self._subscribers

    def join(self, tickets: Sequence[Awaited], *, in_s: float, longest_s: float) -> Subscriber:
        """Take part, from the next look on, or before it where that comes late.

        :param in_s: Seconds until the first look at these tickets is due.
        :param longest_s: What the waits between two looks grow to.
        """
        due = self._loop.time() + max(in_s, _GATHER_S)
        if self.is_idle:
            self._next_tick = due
        elif in_s <= self._interval_s:
            # With the others; only whom the instance has told to wait for longer waits for that.
            due = min(due, self._next_tick)
        subscriber = Subscriber(tickets, due=due, wait_s=self._interval_s, longest_s=longest_s)
        self._subscribers[subscriber] = None
        self._joined.set()
        return subscriber

    def leave(self, subscriber: Subscriber) -> None:
        """Take part no longer; the others go on."""
        self._subscribers.pop(subscriber, None)

    def end(self) -> None:
        """End it."""
        self._task.cancel()

    async def _run(self, conn_id: str) -> None:
        try:
            with line_to(conn_id) as line:
                while True:
                    await self._until_somebody_is_due()
                    await self._look(line)
        except Exception as error:  # noqa: BLE001 (whoever waits has to hear of it, whatever it is)
            for subscriber in self._subscribers:
                subscriber.fail(error)

    async def _until_somebody_is_due(self) -> None:
        while True:
            # Between two ticks only newcomers look, so that nobody gets out of step.
            newcomers = [subscriber.due for subscriber in self._subscribers if subscriber.is_new]
            due = max(min([self._next_tick, *newcomers]), self._not_before)
            if due <= self._loop.time():
                return
            self._joined.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(due):
                    await self._joined.wait()

    async def _look(self, line: Line) -> None:
        began = self._loop.time()
        is_tick = began >= self._next_tick
        # Whoever would be due before the next tick looks with the others now.
        due_by = began + self._interval_s / 2 if is_tick else began
        looking = [each for each in self._subscribers if (is_tick or each.is_new) and each.due <= due_by]
        if is_tick:
            self._next_tick = began + self._interval_s
        answers = await self._answers(line, [ticket for each in looking for ticket in each.tickets])
        now = self._loop.time()
        asked = [getattr(answer, "retry_after", None) or 0.0 for answer in answers.values()]
        self._not_before = now + max(asked, default=0.0)
        self._next_tick = max(self._next_tick, self._not_before, now + _GATHER_S)
        for subscriber in looking:
            subscriber.is_new = False
            subscriber.due = max(self._next_tick, began + subscriber.wait_s())
            subscriber.tell(answers)

    async def _answers(self, line: Line, tickets: Sequence[Awaited]) -> Answers:
        if not tickets:
            return {}
        first, *rest = parts_of(tickets)
        log.debug("Looking at %d tickets with %d requests", len(set(tickets)), 1 + len(rest))
        # The first alone: a login that is refused is refused once, and does not lock the account.
        answers = await self._read(line, first)
        refusal = next((each for each in answers.values() if isinstance(each, AuthenticationError)), None)
        if refusal is not None:
            return dict.fromkeys(tickets, refusal)
        for more in await asyncio.gather(*(self._read(line, part) for part in rest)):
            answers |= more
        return answers

    async def _read(self, line: Line, part: Part) -> Answers:
        try:
            opened = await line.opened()
            try:
                return dict(await line.ask(partial(read_part, part=part)))
            except AuthenticationError:
                # The password may have been changed, here and there, since the connection was read.
                if not await line.renew(opened):
                    raise
                return dict(await line.ask(partial(read_part, part=part)))
        except ServiceNowError as error:
            return dict.fromkeys(part.tickets, error)


#: Polls that are under way, by loop, connection and interval.
_POLLS: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[str, float], Poll]] = (
    weakref.WeakKeyDictionary()
)


@contextlib.contextmanager
def joined(
    conn_id: str,
    tickets: Sequence[Awaited],
    *,
    interval_s: float,
    in_s: float = 0.0,
    longest_s: float | None = None,
) -> Iterator[Subscriber]:
    """Take part in the poll of a connection; whoever leaves it last ends it.

    :param interval_s: Seconds between two looks.
    :param in_s: Seconds until the first look is due.
    :param longest_s: What the waits between two looks grow to, each twice the one before; by default they
        do not grow.
    """
    polls = _POLLS.setdefault(asyncio.get_running_loop(), {})
    key = conn_id, interval_s
    poll = polls.get(key)
    if poll is None or poll.is_over:
        poll = polls[key] = Poll(conn_id, interval_s)
    subscriber = poll.join(tickets, in_s=in_s, longest_s=interval_s if longest_s is None else longest_s)
    try:
        yield subscriber
    finally:
        poll.leave(subscriber)
        if poll.is_idle:
            poll.end()
            if polls.get(key) is poll:
                del polls[key]
