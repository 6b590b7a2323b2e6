"""Faults on request: what goes wrong with the next requests that match, and barriers that hold them.

A fault is taken when a matching request arrives. Whether the request is executed, and when, is the fault's
business.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_servicenow_dq.sandbox.answers import Answer
    from airflow_provider_servicenow_dq.sandbox.exchange import Request
from airflow_provider_servicenow_dq.sandbox.fault_kinds import KINDS, Execute


@dataclass(frozen=True)
class Matching:
    """Which requests are meant; patterns are searched, not matched in full.

    :param method: HTTP method, None for any.
    :param path: Regular expression for path and query, percent-decoded.
    :param body: Regular expression for the body.
    """

    method: str | None = None
    path: str | None = None
    body: str | None = None

    def __post_init__(self) -> None:
        for pattern in (self.path, self.body):
            re.compile(pattern or "")

    def fits(self, request: Request) -> bool:
        """Tell whether a request is meant."""
        return (
            (self.method is None or self.method == request.method)
            and (self.path is None or re.search(self.path, request.searchable) is not None)
            and (
                self.body is None or re.search(self.body, request.body.decode("utf-8", "replace")) is not None
            )
        )


@dataclass
class Fault:
    """A fault that waits for its requests.

    :param count: How many requests it hits.
    :param skip: How many matching requests pass first.
    """

    kind: str
    matching: Matching
    count: int
    skip: int
    options: dict[str, Any]


@dataclass
class Barrier:
    """Holds the answers of matching requests until as many have been executed as there are parties.

    Each request is executed *before* it is held, so all of them saw the instance before any client went on.
    """

    parties: int
    matching: Matching
    timeout_s: float
    arrived: int = 0
    is_open: threading.Event = field(default_factory=threading.Event)


class Faults:
    """The faults and barriers that are set."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self._barriers: list[Barrier] = []
        self._late: list[threading.Timer] = []

    def fail_next(
        self,
        kind: str,
        *,
        method: str | None = None,
        path: str | None = None,
        body: str | None = None,
        count: int = 1,
        skip: int = 0,
        **options: Any,
    ) -> None:
        """Set a fault; several faults that match a request are used up one after the other.

        :raises ValueError: There is no fault of that kind, or no such option.
        """
        if kind not in KINDS:
            raise ValueError(f"no fault {kind!r}; there are: {', '.join(sorted(KINDS))}")
        unknown = options.keys() - KINDS[kind].options.keys()
        if unknown:
            known = ", ".join(KINDS[kind].options) or "none"
            raise ValueError(f"fault {kind!r} has no option {', '.join(sorted(unknown))}; it has: {known}")
        matching = Matching(method, path, body)
        with self._lock:
            self._faults.append(Fault(kind, matching, count, skip, {**KINDS[kind].options, **options}))

    def barrier(
        self, parties: int, *, method: str | None = "GET", path: str | None = None, timeout_s: float = 30
    ) -> None:
        """Set a barrier that opens once, when all parties have arrived or when it times out."""
        with self._lock:
            self._barriers.append(Barrier(parties, Matching(method, path), timeout_s))

    def clear(self) -> None:
        """Forget all faults and late commits, and open all barriers."""
        with self._lock:
            self._faults.clear()
            for barrier in self._barriers:
                barrier.is_open.set()
            self._barriers.clear()
            for timer in self._late:
                timer.cancel()
            self._late.clear()

    def run(self, request: Request, execute: Execute) -> Answer | None:
        """Execute a request under the fault that hits it, if any, and hold it at its barrier.

        :returns: None where the connection is dropped without an answer.
        """
        fault = self._take(request)
        answer = KINDS[fault.kind].run(self, request, execute, fault.options) if fault else execute(request)
        self._hold(request)
        return answer

    def commit_later(self, seconds: float, request: Request, execute: Execute) -> None:
        """Execute a request after a while, whoever still listens."""
        timer = threading.Timer(seconds, execute, [request])
        timer.daemon = True
        with self._lock:
            self._late = [late for late in self._late if late.is_alive()]
            self._late.append(timer)
            timer.start()

    def _take(self, request: Request) -> Fault | None:
        with self._lock:
            for fault in self._faults:
                if not fault.matching.fits(request):
                    continue
                if fault.skip > 0:
                    fault.skip -= 1
                    continue
                fault.count -= 1
                if fault.count <= 0:
                    self._faults.remove(fault)
                return fault
        return None

    def _hold(self, request: Request) -> None:
        with self._lock:
            barrier = next((each for each in self._barriers if each.matching.fits(request)), None)
            if barrier is None:
                return
            barrier.arrived += 1
            if barrier.arrived >= barrier.parties:
                self._barriers.remove(barrier)
                barrier.is_open.set()
        if not barrier.is_open.wait(barrier.timeout_s):
            with self._lock:
                if barrier in self._barriers:
                    self._barriers.remove(barrier)
            barrier.is_open.set()
