"""How much an instance does at a time: integration semaphores, and sessions that serialise requests."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_servicenow_dq.sandbox.switches import Switches

_REMEMBERED_SESSIONS = 1000


class QueueFullError(Exception):
    """All semaphores are held and nothing more can wait for them."""


class QueueTimeoutError(Exception):
    """The quota of a transaction ended while it was waiting."""


class SessionFullError(Exception):
    """Too many requests of one session are waiting."""


class Semaphores:
    """Runs a few transactions at a time and lets some more wait, first come, first served.

    :param switches: Returns the current limits, so that they can change while transactions run.
    """

    def __init__(self, switches: Callable[[], Switches]) -> None:
        self._switches = switches
        self._lock = threading.Lock()
        self._running = 0
        self._waiting: deque[threading.Event] = deque()

    @contextmanager
    def transaction(self, deadline: float) -> Iterator[None]:
        """Hold one semaphore.

        :param deadline: Until when to wait for it, by the monotonic clock.
        :raises QueueFullError: All are held, and the queue is full.
        :raises QueueTimeoutError: None was free in time.
        """
        self._acquire(deadline)
        try:
            yield
        finally:
            self._release()

    def _acquire(self, deadline: float) -> None:
        with self._lock:
            if self._running < self._switches().semaphores and not self._waiting:
                self._running += 1
                return
            if len(self._waiting) >= self._switches().queue:
                raise QueueFullError
            turn = threading.Event()
            self._waiting.append(turn)
        if turn.wait(min(deadline - time.monotonic(), threading.TIMEOUT_MAX)):
            return
        with self._lock:
            if turn in self._waiting:
                self._waiting.remove(turn)
                raise QueueTimeoutError

    def _release(self) -> None:
        """Hand the semaphore to who has waited longest."""
        with self._lock:
            self._running -= 1
            while self._waiting and self._running < self._switches().semaphores:
                self._running += 1
                self._waiting.popleft().set()


class _Session:
    def __init__(self) -> None:
        self.turn = threading.Lock()
        self.waiting = 0


class Sessions:
    """Requests that carry the same session cookie take turns; too many of them are dropped."""

    def __init__(self, switches: Callable[[], Switches]) -> None:
        self._switches = switches
        self._lock = threading.Lock()
        self._sessions: OrderedDict[str, _Session] = OrderedDict()

    @contextmanager
    def turn(self, session_id: str) -> Iterator[None]:
        """Wait for the session's earlier requests; without a session there is nothing to wait for.

        :raises SessionFullError: Too many are waiting.
        """
        if not session_id:
            yield
            return
        session = self._find(session_id)
        with self._lock:
            if session.waiting > self._switches().session_queue:
                raise SessionFullError
            session.waiting += 1
        try:
            with session.turn:
                yield
        finally:
            with self._lock:
                session.waiting -= 1

    def _find(self, session_id: str) -> _Session:
        with self._lock:
            session = self._sessions.setdefault(session_id, _Session())
            self._sessions.move_to_end(session_id)
            if len(self._sessions) > _REMEMBERED_SESSIONS:
                self._sessions.popitem(last=False)
            return session
