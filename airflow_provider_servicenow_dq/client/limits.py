"""What a process knows of the limits of an instance: whoever asks it as the same user shares it.

There are two kinds of 429. That of a *rule* comes with ``X-RateLimit-…`` and ``Retry-After``: so many
requests an hour of a user to a resource, and none helps before that hour is over. A bare one means that the
instance is busy: all its semaphores are taken, and their queue is full (KB1297438); there it helps that all
ask more slowly.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from airflow_provider_servicenow_dq.client.waits import asked_wait

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_provider_servicenow_dq.client.config import InstanceConfig

#: Seconds between two requests of this process to a busy instance: doubled by each bare 429, halved by every
#: other answer until it is not worth waiting for.
_FIRST_GAP_S: Final = 0.25
_LONGEST_GAP_S: Final = 8.0
_NO_GAP_S: Final = 0.1

_SYS_ID = re.compile(r"[0-9a-f]{32}")
#: A limit that says not whose it is holds for everything.
_UNNAMED: Final = ""


class Limits:
    """The limits of one user on one instance, as far as answers have told. Safe to share between threads.

    A rule is known by its ``X-RateLimit-Rule``, which comes with every answer that it counts: so one on
    incidents does not keep anybody from reading users.

    :param clock: Seconds that only go forward.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._rules: dict[str, str] = {}
        self._used_up_until: dict[str, float] = {}
        self._gap_s = 0.0
        self._next_start = 0.0

    def used_up_s(self, method: str, path: str) -> float:
        """Return for how many seconds a request would only be answered with another 429."""
        with self._lock:
            rule = self._rules.get(_resource(method, path), _UNNAMED)
            now = self._clock()
            return max(0.0, *(self._used_up_until.get(each, 0.0) - now for each in (rule, _UNNAMED)))

    def turn_s(self) -> float:
        """Take the next turn, and return in how many seconds it comes: none while nothing is busy."""
        with self._lock:
            if not self._gap_s:
                return 0.0
            now = self._clock()
            start = max(now, self._next_start)
            self._next_start = start + self._gap_s
            return start - now

    def learn(self, method: str, path: str, status: int, headers: Mapping[str, str]) -> None:
        """Take in what an answer tells."""
        resource, rule = _resource(method, path), headers.get("X-RateLimit-Rule", _UNNAMED)
        with self._lock:
            if rule or status < HTTPStatus.BAD_REQUEST:
                self._rules[resource] = rule
            if status != HTTPStatus.TOO_MANY_REQUESTS:
                self._gap_s = self._gap_s / 2 if self._gap_s > 2 * _NO_GAP_S else 0.0
                if status < HTTPStatus.BAD_REQUEST:
                    self._used_up_until.pop(rule, None)
                return
            wait, now = asked_wait(status, headers), self._clock()
            if wait is not None:
                self._used_up_until[rule] = now + wait
            else:
                self._gap_s = min(max(_FIRST_GAP_S, 2 * self._gap_s), _LONGEST_GAP_S)
                self._next_start = max(self._next_start, now + self._gap_s)


def _resource(method: str, path: str) -> str:
    """Return what a rule is about: an API and its table, reading or writing, one record or many."""
    return f"{method} {_SYS_ID.sub('*', path)}"


class _Known:
    """The limits of this process. A forked child starts afresh: it may inherit a lock that is held."""

    def __init__(self) -> None:
        self.forget()
        os.register_at_fork(after_in_child=self.forget)

    def forget(self) -> None:
        self._lock = threading.Lock()
        self._limits: dict[tuple[str | None, ...], Limits] = {}

    def of(self, config: InstanceConfig) -> Limits:
        key = hashlib.sha256((config.api_key or "").encode("utf-8", "surrogatepass")).hexdigest()
        user = (config.base_url.lower(), config.login, config.client_id, key)
        with self._lock:
            return self._limits.setdefault(user, Limits())


_KNOWN = _Known()


def limits_of(config: InstanceConfig) -> Limits:
    """Return what this process knows of the limits of a connection's user."""
    return _KNOWN.of(config)


def forget_limits() -> None:
    """Forget what is known, as after a rule was changed; rules start to count anew then."""
    _KNOWN.forget()
