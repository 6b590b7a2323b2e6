"""Whether the machine kept the pace that our promise rests on, or stalled.

A write is sent again only when the instance must have ended the first one, which it does in the quota that it
has from when the request reaches it. A test scales these times down to seconds, and a busy machine may be
later than that.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self
from unittest.mock import patch

from airflow_provider_servicenow_dq.store import outbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_servicenow_dq.sandbox.server import Sandbox

#: Times at which writes were written down as being sent, with the sys_ids that they are about.
Starts = list[tuple[float, str]]


class StalledError(AssertionError):
    """A case went wrong, and the machine was too slow for what is promised."""


@contextlib.contextmanager
def noting_starts() -> Iterator[Starts]:
    """Note when writes are written down as being sent, in all worlds of this process."""
    real = outbox.start
    noted: Starts = []

    def start(connection: Any, ids: Any, *, write: Any, now: Any) -> None:
        noted.append((now.timestamp(), write["sys_id"]))
        real(connection, ids, write=write, now=now)

    with patch.object(outbox, "start", start):
        yield noted


@dataclass
class _Commit:
    content: str
    arrived: float
    ended: float | None = None


@dataclass
class Pace:
    """How fast one instance and its clients were.

    :param timeout_s: How long a client waits for an answer; its doubts end after three times as long.
    """

    sandbox: Sandbox
    starts: Starts
    timeout_s: float
    _late: list[_Commit] = field(default_factory=list)

    def __post_init__(self) -> None:
        faults = self.sandbox.service.faults
        real = faults.commit_later

        def commit_later(seconds: float, request: Any, execute: Callable[[Any], Any]) -> None:
            commit = _Commit(f"{request.target} {request.body.decode()}", time.time())
            self._late.append(commit)

            def executed(late: Any) -> Any:
                answer = execute(late)
                commit.ended = time.time()
                return answer

            real(seconds, request, executed)

        faults.commit_later = commit_later  # type: ignore[method-assign]  # of this instance only

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, AssertionError) and self.stalled:
            raise StalledError(f"the machine stalled; {error}") from error

    @property
    def stalled(self) -> bool:
        """Whether a write was committed after the doubt about it, or an answer came when nobody waited."""
        return any(self._lateness(commit) > 3 * self.timeout_s for commit in self._late) or any(
            each.status and each.finished - each.started > self.timeout_s for each in self.sandbox.requests
        )

    def _lateness(self, commit: _Commit) -> float:
        ended = commit.ended or time.time()
        left = [at for at, sys_id in self.starts if sys_id in commit.content and at <= commit.arrived]
        return ended - max(left, default=commit.arrived)
