"""Where requests to ServiceNow and the store run: a few threads of our own, and nobody waits for long.

Airflow's own routes share one pool of threads, heartbeats of tasks among them. Work of ours in it would hold
them up, and a request that is given up there counts as finished while its thread still runs.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from airflow_provider_servicenow_dq.plugins.problems import later

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

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
#: How often the same work may be under way at once, where it has to be done again.
_MOST_ALIKE: Final = 2


@dataclass(frozen=True, slots=True)
class About:
    """What work is about.

    :param by: Who asks for it.
    :param names: Of what it reads or changes.
    :param writes: Whether it changes something.
    """

    by: str = ""
    names: frozenset[str] = frozenset()
    writes: bool = False

    def meets(self, other: About) -> bool:
        """Whether both are about the same, and for the same person."""
        return self.by == other.by and not self.names.isdisjoint(other.names)


@dataclass(slots=True, eq=False)
class _Job:
    name: str
    about: About
    future: Future[Any]
    waiting: int = 0
    ended_at: float | None = field(default=None)
    is_overtaken: bool = False


class Work:
    """Runs work in a few threads. Of one process; any of its event loops may use it.

    Work whose request was given up goes on. Whoever asks for the same meanwhile, or shortly after, gets its
    outcome and starts nothing; only failures are not kept. After another change of the same by the same
    person it is done again, for what came of it may not be so any more.

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
        # What has ended already says so at once, to whoever holds it.
        self._lock = threading.RLock()

    async def run(self, name: str, work: Callable[[], T], about: About = About()) -> T:
        """Return what comes of some work.

        :param name: Two of the same name are the same work.
        :raises HTTPException: 503 if there is too much to do, or it takes too long.
        """
        job = self._join(name, work, about)
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

    def _join(self, name: str, work: Callable[[], Any], about: About) -> _Job:
        with self._lock:
            self._forget()
            known = [job for job in self._jobs if job.name == name]
            job = next((job for job in known if not job.is_overtaken), None)
            if job is None:
                running = [each for each in self._jobs if not each.future.done()]
                # Two that undo each other's change without end must not take all threads.
                if len(running) >= self._most or sum(each in known for each in running) >= _MOST_ALIKE:
                    raise later(HTTPStatus.SERVICE_UNAVAILABLE, "Too much is under way already", None)
                job = _Job(name, about, self._pool.submit(work))
                self._jobs.append(job)
                job.future.add_done_callback(functools.partial(self._end, job))
                if about.writes:
                    self._overtake(job)
            job.waiting += 1
            return job

    def _end(self, job: _Job, _: Future[Any]) -> None:
        with self._lock:
            job.ended_at = time.monotonic()
            if job.about.writes:
                # What was read while it was changed may be as it was before.
                self._overtake(job, besides_writes=True)

    def _overtake(self, by: _Job, *, besides_writes: bool = False) -> None:
        for job in self._jobs:
            if job is not by and by.about.meets(job.about) and not (besides_writes and job.about.writes):
                job.is_overtaken = True

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


async def run(request: Request, work: Callable[[], T], about: Iterable[str] = ()) -> T:
    """Return what comes of the work that a request asks for; the same request of the same person is the same.

    :param about: Ids of what it is about, besides the anomaly of its path.
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
    names = frozenset(filter(None, (*about, request.path_params.get("anomaly_id"))))
    pool: Work = request.app.state.work
    return await pool.run(name, work, About(by, names, writes=request.method != "GET"))
