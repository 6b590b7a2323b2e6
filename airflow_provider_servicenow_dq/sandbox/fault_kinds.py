"""What each kind of fault does to the request that it hits."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_servicenow_dq.sandbox import answers
from airflow_provider_servicenow_dq.sandbox.answers import Answer
from airflow_provider_servicenow_dq.sandbox.exchange import Request

if TYPE_CHECKING:
    from airflow_provider_servicenow_dq.sandbox.faults import Faults

#: Executes a request as if nothing were wrong.
Execute = Callable[[Request], Answer]

_FAILED_SAVE = {"POST": "Insert", "DELETE": "Delete"}


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
    answer = answers.html_answer(status, answers.error_page(status))
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
    executed = execute(request) if options["executed"] else None
    return answers.cancelled(executed, parsable=options["parsable"])


def _page(page: str) -> Callable[[Faults, Request, Execute, dict[str, Any]], Answer]:
    def run(_: Faults, __: Request, ___: Execute, options: dict[str, Any]) -> Answer:
        return answers.html_answer(int(options["status"]), page)

    return run


def _redirect(_: Faults, __: Request, ___: Execute, options: dict[str, Any]) -> Answer:
    """Send the client elsewhere, as a proxy in front of an instance with single sign-on does."""
    return Answer(int(options["status"]), headers=[("Location", str(options["location"]))])


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
    "redirect": Kind(_redirect, {"status": 302, "location": "/login.do"}),
    "offline": Kind(_page(answers.OFFLINE_PAGE), {"status": 200}),
    "unauthorized": Kind(_unauthorized),
    "api_acl": Kind(_api_acl),
}
