"""Where requests to ServiceNow and the store run: a few threads of our own, and nobody waits for long.

Airflow's own routes share one pool of threads, heartbeats of tasks among them. Work of ours in it would hold
them up, and a request that is given up there counts as finished while its thread still runs.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from airflow_provider_servicenow_dq.plugins.problems import later

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

T = TypeVar("T")

#: An instance serves this many requests of one user at a time by default.
THREADS: Final = 4
#: What may wait for a thread; more would only wait in vain.
WAITING: Final = 16
#: Longest that a request waits for its work, in seconds.
LIMIT_S: Final = 10.0
#: For how long the outcome is kept of work that nobody waits for any more, in seconds.
KEPT_S: Final = 30.0


@dataclass(slots=True, eq=False)
class _Job:
    name: str
    by: str
    future: Future[Any]
    waiting: int = 0
    ended_at: float | None = field(default=None)
    is_overtaken: bool = False

    def end(self, _: Future[Any]) -> None:
        self.ended_at = time.monotonic()


class Work:
    """Runs work in a few threads. Of one process; any of its event loops may use it.

    Work whose request was given up goes on. Whoever asks for the same meanwhile, or shortly after, gets its
    outcome and starts nothing; only failures are not kept. After another change by the same person it is done
    again, for what came of it may not be so any more.

    :param limit_s: Longest that somebody waits, in seconds.
    """

    def __init__(
        self,
        *,
        threads: int = THREADS,
        waiting: int = WAITING,
        limit_s: float = LIMIT_S,
        name: str = "servicenow-dq-rest",
    ) -> None:
        self._pool = ThreadPoolExecutor(threads, name)
        self._most = threads + waiting
        self._limit_s = limit_s
        self._jobs: list[_Job] = []
        self._lock = threading.Lock()

    async def run(self, name: str, work: Callable[[], T], *, by: str = "", writes: bool = False) -> T:
        """Return what comes of some work.

        :param name: Two of the same name are the same work.
        :param by: Who asks for it.
        :param writes: It changes something.
        :raises HTTPException: 503 if there is too much to do, or it takes too long.
        """
        job = self._join(name, work, by, writes=writes)
        try:
            outcome = asyncio.wrap_future(job.future)
            # A failure that comes when nobody waits any more is nobody's.
            outcome.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
            await asyncio.wait({outcome}, timeout=self._limit_s)
            if outcome.done():
                return cast("T", outcome.result())
        finally:
            self._leave(job)
        raise later(
            HTTPStatus.SERVICE_UNAVAILABLE,
            f"It takes longer than {self._limit_s:g} s. What was begun goes on; the same request finds it",
            None,
        )

    def _join(self, name: str, work: Callable[[], Any], by: str, *, writes: bool) -> _Job:
        with self._lock:
            self._forget()
            job = next((each for each in self._jobs if each.name == name and not each.is_overtaken), None)
            if job is None:
                if sum(not each.future.done() for each in self._jobs) >= self._most:
                    raise later(HTTPStatus.SERVICE_UNAVAILABLE, "Too much is under way already", None)
                job = _Job(name, by, self._pool.submit(work))
                job.future.add_done_callback(job.end)
                self._jobs.append(job)
            if writes:
                for other in self._jobs:
                    other.is_overtaken |= other.by == by and other is not job
            job.waiting += 1
            return job

    def _leave(self, job: _Job) -> None:
        with self._lock:
            job.waiting -= 1
            # What has not begun when nobody waits for it need not begin.
            if not job.waiting and (job.future.done() or job.future.cancel()) and job in self._jobs:
                self._jobs.remove(job)

    def _forget(self) -> None:
        oldest = time.monotonic() - KEPT_S
        self._jobs = [job for job in self._jobs if job.waiting or not _is_over(job, oldest)]


def _is_over(job: _Job, oldest: float) -> bool:
    """Whether nobody needs the outcome of some work any more that nobody waits for."""
    if not job.future.done():
        return False
    failed = job.future.cancelled() or job.future.exception() is not None
    return failed or job.is_overtaken or (job.ended_at is not None and job.ended_at < oldest)


async def run(request: Request, work: Callable[[], T]) -> T:
    """Return what comes of the work that a request asks for; the same request of the same person is the same.

    :raises HTTPException: 503 if there is too much to do, or it takes too long.
    """
    by = str(request.state.asked_by)
    parts = (
        by.encode(),
        request.method.encode(),
        str(request.url).encode(),
        request.headers.get("Idempotency-Key", "").encode(),
        await request.body(),
    )
    name = hashlib.sha256(b"\x1f".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()
    pool: Work = request.app.state.work
    return await pool.run(name, work, by=by, writes=request.method != "GET")
