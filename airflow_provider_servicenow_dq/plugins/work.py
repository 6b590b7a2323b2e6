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


@dataclass(slots=True)
class _Job:
    future: Future[Any]
    waiting: int = 0
    ended_at: float | None = field(default=None)

    def end(self, _: Future[Any]) -> None:
        self.ended_at = time.monotonic()


class Work:
    """Runs work in a few threads. Of one process; any of its event loops may use it.

    Work whose request was given up goes on. Whoever asks for the same meanwhile, or shortly after, gets its
    outcome and starts nothing; only failures are not kept.

    :param limit_s: Longest that somebody waits, in seconds.
    """

    def __init__(self, *, threads: int = THREADS, waiting: int = WAITING, limit_s: float = LIMIT_S) -> None:
        self._pool = ThreadPoolExecutor(threads, "servicenow-dq-rest")
        self._most = threads + waiting
        self._limit_s = limit_s
        self._jobs: dict[str, _Job] = {}
        self._lock = threading.Lock()

    async def run(self, name: str, work: Callable[[], T]) -> T:
        """Return what comes of some work.

        :param name: Two of the same name are the same work.
        :raises HTTPException: 503 if there is too much to do, or it takes too long.
        """
        job = self._join(name, work)
        try:
            outcome = asyncio.wrap_future(job.future)
            # A failure that comes when nobody waits any more is nobody's.
            outcome.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
            await asyncio.wait({outcome}, timeout=self._limit_s)
            if outcome.done():
                return cast("T", outcome.result())
        finally:
            self._leave(name, job)
        raise later(
            HTTPStatus.SERVICE_UNAVAILABLE,
            f"It takes longer than {self._limit_s:g} s. What was begun goes on; the same request finds it",
            None,
        )

    def _join(self, name: str, work: Callable[[], Any]) -> _Job:
        with self._lock:
            self._forget()
            job = self._jobs.get(name)
            if job is None:
                if sum(not each.future.done() for each in self._jobs.values()) >= self._most:
                    raise later(HTTPStatus.SERVICE_UNAVAILABLE, "Too much is under way already", None)
                job = self._jobs[name] = _Job(self._pool.submit(work))
                job.future.add_done_callback(job.end)
            job.waiting += 1
            return job

    def _leave(self, name: str, job: _Job) -> None:
        with self._lock:
            job.waiting -= 1
            # What has not begun when nobody waits for it need not begin.
            if not job.waiting and (job.future.done() or job.future.cancel()) and self._jobs.get(name) is job:
                del self._jobs[name]

    def _forget(self) -> None:
        oldest = time.monotonic() - KEPT_S
        for name, job in list(self._jobs.items()):
            if job.waiting or not job.future.done():
                continue
            failed = job.future.cancelled() or job.future.exception() is not None
            if failed or (job.ended_at is not None and job.ended_at < oldest):
                del self._jobs[name]


async def run(request: Request, work: Callable[[], T]) -> T:
    """Return what comes of the work that a request asks for; the same request of the same person is the same.

    :raises HTTPException: 503 if there is too much to do, or it takes too long.
    """
    parts = (
        str(request.state.asked_by).encode(),
        request.method.encode(),
        str(request.url).encode(),
        request.headers.get("Idempotency-Key", "").encode(),
        await request.body(),
    )
    name = hashlib.sha256(b"\x1f".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()
    pool: Work = request.app.state.work
    return await pool.run(name, work)
