"""The only way to an instance: requests that are repeated only where that is safe.

The rule is the question "did anything happen?": what cannot have happened is repeated, what may have
happened is repeated for reads only, and everything else is raised.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import requests
import tenacity

from airflow_provider_servicenow_dq.client.answers import Answer, read_answer
from airflow_provider_servicenow_dq.client.auth import auth_for
from airflow_provider_servicenow_dq.client.clock import InstanceClock
from airflow_provider_servicenow_dq.client.hiding import without_secrets
from airflow_provider_servicenow_dq.client.limits import limits_of
from airflow_provider_servicenow_dq.client.lost import LIBRARY_ERRORS, without_answer
from airflow_provider_servicenow_dq.client.session import InstanceSession
from airflow_provider_servicenow_dq.client.waits import words_for
from airflow_provider_servicenow_dq.exceptions import (
    MayHaveHappenedError,
    NothingHappenedError,
    RateLimitedError,
    ServiceNowError,
    UnreachableError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from airflow_provider_servicenow_dq.client.config import InstanceConfig
    from airflow_provider_servicenow_dq.client.limits import Limits

log = logging.getLogger(__name__)

_MAX_TRIES = 4
#: A worker never sleeps longer than this in one go, whatever the instance asks for.
_MAX_WAIT_S = 60.0
#: Nobody needs longer to open a connection, however long the answer may take.
_MAX_CONNECT_S = 10.0
_CHUNK = 1 << 16


class Transport:
    """Requests to one instance. Safe to share between threads; opens nothing before the first request.

    :param config: The instance.
    :param on_secret: Told each secret that is derived from the connection (tokens, the Basic header), so
        that the caller can mask it in its logs.
    :param patience_s: Seconds that one logical request may spend until its last try starts, at most half of
        the timeout for a write; 0 means one try.
    :param sleep: How to wait between two tries.
    :param limits: What is known of the user's limits, if not what this process knows.
    """

    def __init__(
        self,
        config: InstanceConfig,
        *,
        on_secret: Callable[[str], None] = lambda _: None,
        patience_s: float = 2 * _MAX_WAIT_S,
        sleep: Callable[[float], None] = time.sleep,
        limits: Limits | None = None,
    ) -> None:
        self.config = config
        self.clock = InstanceClock()
        self._on_secret = on_secret
        self._secrets = {config.password, config.client_secret, config.api_key}
        self._patience_s = patience_s
        self._sleep = sleep
        self._limits = limits
        self._opening = threading.Lock()
        self._opened: tuple[int, InstanceSession, threading.BoundedSemaphore] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections. The next request opens new ones."""
        with self._opening:
            if self._opened:
                self._opened[1].close()
            self._opened = None

    @property
    def session(self) -> requests.Session:
        """The session: authenticated, bound to this instance.

        :raises ServiceNowConfigError: If a key or a certificate cannot be used.
        """
        return self._open()[0]

    def _open(self) -> tuple[InstanceSession, threading.BoundedSemaphore]:
        with self._opening:
            # A forked process must not share its parent's sockets.
            if self._opened is None or self._opened[0] != os.getpid():
                session = InstanceSession(self.config, auth_for(self.config, self._tell))
                self._opened = os.getpid(), session, threading.BoundedSemaphore(self.config.max_concurrency)
            return self._opened[1:]

    def _tell(self, secret: str) -> None:
        self._secrets.add(secret)
        self._on_secret(secret)

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        json: Any = None,
        content: tuple[str, bytes] | None = None,
        timeout_s: float | None = None,
        read: Callable[[int, Mapping[str, str], bytes], Answer] = read_answer,
    ) -> Answer:
        """Send one logical request and return its answer.

        :param path: Begins with ``/api``.
        :param content: A body that is no JSON: its content type and its bytes.
        :param timeout_s: Seconds that a try of a read, or all tries of a write, may take, if other than the
            connection's.
        :param read: What an answer means, where it is not the Table API's: from status, headers and body to
            the answer, or the error to raise.
        :raises NothingHappenedError: The instance did not act; with ``retry_after`` where it asked for more
            than we wait.
        :raises MayHaveHappenedError: A write may or may not have been done.
        :raises RefusedError: The instance said no, in its own words.
        :raises NotServiceNowError: Something else answered.
        :raises ServiceNowConfigError: The connection cannot work as written.
        """
        allowance = _Allowance(timeout_s or self.config.timeout_s, is_write=method != "GET")
        repeat = tenacity.Retrying(
            retry=tenacity.retry_if_exception(partial(_may_repeat, method)),
            stop=tenacity.stop_after_attempt(_MAX_TRIES)
            | tenacity.stop_before_delay(min(self._patience_s, allowance.to_start_s())),
            wait=_wait,
            sleep=self._sleep,
            before_sleep=_log_repetition,
            reraise=True,
        )
        sent: dict[str, Any] = {"params": params, "json": json}
        if content is not None:
            sent |= {"headers": {"Content-Type": content[0]}, "data": content[1]}
        return repeat(self._try_once, method, path, sent, read, allowance)

    def _try_once(self, *request: Any) -> Answer:
        try:
            return self._try(*request)
        except ServiceNowError as error:
            failure = without_secrets(error, self._secrets.copy())
        raise failure

    def _try(
        self,
        method: str,
        path: str,
        content: Mapping[str, Any],
        read: Callable[[int, Mapping[str, str], bytes], Answer],
        allowance: _Allowance,
    ) -> Answer:
        session, slots = self._open()
        limits = self._limits or limits_of(self.config)
        self._take_turn(limits.turn_s(), allowance)
        if not slots.acquire(timeout=allowance.to_start_s()):
            raise UnreachableError(
                f"All {self.config.max_concurrency} connections to {self.config.host} are busy"
            )
        started, sent = time.monotonic(), datetime.now(UTC)
        try:
            if wait := limits.used_up_s(method, path):
                raise RateLimitedError(f"ServiceNow answered 429 before{words_for(wait)}", wait)
            timeout_s = allowance.for_one_try_s()
            status, headers, body = _exchange(session, method, path, timeout_s=timeout_s, **content)
        except LIBRARY_ERRORS as error:
            failure = without_answer(error, self.config.host)
        else:
            self.clock.learn(headers.get("Date"), sent=sent, received=datetime.now(UTC))
            limits.learn(method, path, status, headers)
            duration_ms = (time.monotonic() - started) * 1000
            log.debug("%s %s answered %d in %.0f ms", method, path, status, duration_ms)
            return read(status, headers, body)
        finally:
            slots.release()
        # Raised outside the handler: the library's error carries the request with its headers.
        raise failure

    def _take_turn(self, wait: float, allowance: _Allowance) -> None:
        """Wait for the next turn to ask a busy instance.

        :raises RateLimitedError: If it comes too late.
        """
        if wait > min(allowance.to_start_s(), _MAX_WAIT_S):
            raise RateLimitedError(f"ServiceNow is busy, and others are before us{words_for(wait)}", wait)
        if wait:
            self._sleep(wait)


class _Allowance:
    """The time that one logical request may take.

    A read may wait and try again for long. A write must end within its timeout, waits included, and its last
    try begins in the first half: whoever leases a ticket for that long counts on it, and so does whoever asks
    how old an attempt is that got no answer.

    :param timeout_s: Seconds for a try of a read, or for all of a write.
    """

    def __init__(self, timeout_s: float, *, is_write: bool) -> None:
        self._timeout_s = timeout_s
        self._is_write = is_write
        self._began = time.monotonic()

    def to_start_s(self) -> float:
        """Return the seconds within which a try must start."""
        if not self._is_write:
            return 2 * _MAX_WAIT_S
        return max(0.0, self._timeout_s / 2 - (time.monotonic() - self._began))

    def for_one_try_s(self) -> float:
        """Return the timeout of a try that starts now."""
        if not self._is_write:
            return self._timeout_s
        return max(self._timeout_s / 2, self._timeout_s - (time.monotonic() - self._began))


def _exchange(
    session: InstanceSession, method: str, path: str, *, timeout_s: float, **content: Any
) -> tuple[int, Mapping[str, str], bytes]:
    """Send one request and read its answer to the end, which ``timeout_s`` bounds even if it trickles in."""
    deadline = time.monotonic() + timeout_s
    timeout = (min(_MAX_CONNECT_S, timeout_s), timeout_s)
    with session.request(method, path, timeout=timeout, stream=True, **content) as response:
        parts = []
        while part := response.raw.read1(_CHUNK, decode_content=True):
            parts.append(part)
            if time.monotonic() > deadline:
                raise requests.ReadTimeout
        return response.status_code, response.headers, b"".join(parts)


def _may_repeat(method: str, error: BaseException) -> bool:
    if isinstance(error, NothingHappenedError):
        repeatable = True
    else:
        repeatable = method == "GET" and isinstance(error, MayHaveHappenedError)
    return repeatable and (getattr(error, "retry_after", None) or 0.0) <= _MAX_WAIT_S


_backoff = tenacity.wait_random_exponential(multiplier=0.5, max=8)


def _wait(state: tenacity.RetryCallState) -> float:
    """Obey ``Retry-After``; without it back off, with jitter."""
    error = state.outcome.exception() if state.outcome else None
    asked = getattr(error, "retry_after", None)
    return _backoff(state) if asked is None else float(asked)


def _log_repetition(state: tenacity.RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    log.info("Trying again in %.1f s: %s", state.upcoming_sleep, error)
