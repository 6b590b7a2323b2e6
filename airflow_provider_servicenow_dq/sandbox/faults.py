"""Faults on request: what goes wrong with the next requests that match, and barriers that hold them.

A fault is taken when a matching request arrives. Whether the request is executed, and when, is the fault's
business.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_servicenow_dq.sandbox import answers
from airflow_provider_servicenow_dq.sandbox.answers import Answer
from airflow_provider_servicenow_dq.sandbox.exchange import Request

#: Executes a request as if nothing were wrong.
Execute = Callable[[Request], Answer]

_FAILED_SAVE = {"POST": "Insert", "DELETE": "Delete"}


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


@dataclass(frozen=True)
class Kind:
    """One kind of fault: what it does, and its options with their defaults."""

    run: Callable[[Faults, Request, Execute, dict[str, Any]], Answer | None]
    options: dict[str, Any] = field(default_factory=dict)


def _drop_before(_: Faults, __: Request, ___: Execute, ____: dict[str, Any]) -> None:
    return None


def _drop_after(_: Faults, request: Request, execute: Execute, __: dict[str, Any]) -> None:
    execute(request)


def _late_commit(faults: Faults, request: Request, execute: Execute, options: dict[str, Any]) -> None:
    """Hold the connection for ``hang_s``, drop it, and commit ``after_s`` seconds after that."""
    faults.commit_later(options["hang_s"] + options["after_s"], request, execute)
    time.sleep(options["hang_s"])


def _delay(_: Faults, request: Request, execute: Execute, options: dict[str, Any]) -> Answer:
    """Wait before the request is executed, or between that and its answer."""
    if options["when"] == "before":
        time.sleep(options["seconds"])
        return execute(request)
    answer = execute(request)
    time.sleep(options["seconds"])
    return answer


def _accepted(_: Faults, __: Request, ___: Execute, ____: dict[str, Any]) -> Answer:
    return Answer(202)


def _rate_limited(_: Faults, __: Request, ___: Execute, options: dict[str, Any]) -> Answer:
    return answers.rate_limited(options["retry_after"], time.time() + options["retry_after"])


def _semaphores_full(_: Faults, __: Request, ___: Execute, ____: dict[str, Any]) -> Answer:
    return answers.too_busy()


def _server_error(_: Faults, request: Request, execute: Execute, options: dict[str, Any]) -> Answer:
    if options["executed"]:
        execute(request)
    status = int(options["status"])
    page = f"<html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>"
    answer = answers.html_answer(status, page)
    if options["retry_after"] is not None:
        answer.headers.append(("Retry-After", str(options["retry_after"])))
    return answer


def _forbidden_but_done(_: Faults, request: Request, execute: Execute, __: dict[str, Any]) -> Answer:
    """Do it and deny it, the vendor's known pattern: what was written is not the writer's to read."""
    execute(request)
    operation = _FAILED_SAVE.get(request.method, "Update")
    detail = f"ACL Exception {operation} Failed due to security constraints"
    return answers.error_answer(403, "Operation Failed", detail)


def _cancelled(_: Faults, request: Request, execute: Execute, options: dict[str, Any]) -> Answer:
    """Answer 200 with the quota's error after what was streamed so far, well-formed or not."""
    body = execute(request).body if options["executed"] else b""
    rows = json.loads(body).get("result", []) if body else []
    content = (
        {"result": rows[: len(rows) // 2 + 1], **answers.CANCELLED}
        if isinstance(rows, list)
        else answers.CANCELLED
    )
    answer = answers.json_answer(200, content)
    if not options["parsable"]:
        tail = answers.json_answer(200, answers.CANCELLED).body[1:]
        answer.body = b'{"result":[{"number":"INC00100' + tail
    return answer


def _page(page: str) -> Callable[[Faults, Request, Execute, dict[str, Any]], Answer]:
    def run(_: Faults, __: Request, ___: Execute, options: dict[str, Any]) -> Answer:
        return answers.html_answer(int(options["status"]), page)

    return run


def _unauthorized(_: Faults, __: Request, ___: Execute, ____: dict[str, Any]) -> Answer:
    return answers.not_authenticated()


def _api_acl(_: Faults, __: Request, ___: Execute, ____: dict[str, Any]) -> Answer:
    return answers.not_authorized()


#: Every kind of fault by name.
KINDS = {
    "drop_before": Kind(_drop_before),
    "drop_after": Kind(_drop_after),
    "late_commit": Kind(_late_commit, {"after_s": 1.0, "hang_s": 0.0}),
    "delay": Kind(_delay, {"seconds": 1.0, "when": "before"}),
    "accepted": Kind(_accepted),
    "rate_limited": Kind(_rate_limited, {"retry_after": 1}),
    "semaphores_full": Kind(_semaphores_full),
    "error_before": Kind(_server_error, {"status": 503, "retry_after": None, "executed": False}),
    "error_after": Kind(_server_error, {"status": 503, "retry_after": None, "executed": True}),
    "forbidden_but_done": Kind(_forbidden_but_done),
    "cancelled": Kind(_cancelled, {"executed": True, "parsable": True}),
    "hibernating": Kind(_page(answers.HIBERNATING_PAGE), {"status": 200}),
    "login": Kind(_page(answers.LOGIN_PAGE), {"status": 200}),
    "offline": Kind(_page(answers.OFFLINE_PAGE), {"status": 200}),
    "unauthorized": Kind(_unauthorized),
    "api_acl": Kind(_api_acl),
}
