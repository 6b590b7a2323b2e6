"""What the instance sends: statuses, headers and bodies, with the vendor's own words."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from typing import Any

_JSON = "application/json;charset=UTF-8"
_HTML = "text/html;charset=UTF-8"

#: Semaphores full, or a load balancer in front of the instance: not JSON.
TOO_MANY_REQUESTS_PAGE = (
    "<html><head><title>Too Many Requests</title></head><body><h1>Too Many Requests</h1></body></html>"
)
HIBERNATING_PAGE = (
    "<html><head><title>\n Instance Hibernating page\n</title></head>"
    "<body><h1>Your instance is hibernating.</h1>"
    "<p>Sign in to the developer site to wake it up.</p></body></html>"
)
OFFLINE_PAGE = (
    "<html><head><title>Instance offline</title></head>"
    "<body><h1>Your instance is currently offline</h1></body></html>"
)
LOGIN_PAGE = (
    "<!DOCTYPE html><html><head><title>Log in | ServiceNow</title></head><body>"
    '<form action="login.do" method="post"><input name="user_name">'
    '<input name="user_password" type="password"></form></body></html>'
)
HEADER_TOO_LARGE_PAGE = (
    "<!doctype html><html><head><title>HTTP Status 400 - Bad Request</title></head>"
    "<body><h1>HTTP Status 400 - Bad Request</h1><p>Request header is too large</p></body></html>"
)
MAXIMUM_TIME = "Transaction cancelled: maximum execution time exceeded"
CANCELLED = {
    "error": {
        "message": MAXIMUM_TIME,
        "detail": f"{MAXIMUM_TIME} "
        "Check logs for error trace or enable glide.rest.debug property to verify REST request processing",
    },
    "status": "failure",
}


@dataclass(slots=True)
class Answer:
    """One HTTP response; ``Content-Length`` and ``Date`` are the server's.

    :param is_cancelled: The transaction was ended by its quota.
    """

    status: int
    body: bytes = b""
    content_type: str = _JSON
    headers: list[tuple[str, str]] = field(default_factory=list)
    is_cancelled: bool = False


def json_answer(status: int, content: Any, headers: list[tuple[str, str]] | None = None) -> Answer:
    """Return an answer with a JSON body, compact and in UTF-8 as the platform writes it."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return Answer(status, text.encode("utf-8", "replace"), headers=headers or [])


def error_answer(status: int, message: str, detail: str | None = None) -> Answer:
    """Return an answer with the platform's error envelope."""
    return json_answer(status, {"error": {"message": message, "detail": detail}, "status": "failure"})


def html_answer(status: int, page: str) -> Answer:
    """Return a page."""
    return Answer(status, page.encode(), _HTML)


def error_page(status: int) -> str:
    """Return the page of a load balancer in front of the instance."""
    return f"<html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>"


def not_authenticated() -> Answer:
    """Return the 401 that covers every kind of wrong credentials."""
    answer = error_answer(401, "User Not Authenticated", "Required to provide Auth information")
    answer.headers.append(("WWW-Authenticate", 'BASIC realm="Service-now"'))
    return answer


def not_authorized() -> Answer:
    """Return the 403 of a user without the role that the Table API wants."""
    return error_answer(403, "User Not Authorized", "Failed API level ACL Validation")


def no_such_resource() -> Answer:
    """Return the 400 of an address that leads nowhere."""
    return error_answer(400, "Requested URI does not represent any resource")


def cancelled(executed: Answer | None = None, *, parsable: bool = True) -> Answer:
    """Return the 200 of a transaction that its quota ended: the rows streamed so far, then the error.

    :param executed: What would have been answered.
    :param parsable: Whether it is well-formed; "likely the payload will not be" (KB1297438).
    """
    is_json = executed is not None and executed.body and executed.content_type == _JSON
    rows = json.loads(executed.body).get("result", []) if executed and is_json else []
    so_far = {"result": rows[: len(rows) // 2 + 1]} if isinstance(rows, list) else {}
    answer = json_answer(200, {**so_far, **CANCELLED})
    if not parsable:
        answer.body = b'{"result":[{"number":"INC00100' + json_answer(200, CANCELLED).body[1:]
    answer.is_cancelled = True
    return answer


def cancelled_in_queue() -> Answer:
    """Return the 500 of a transaction whose quota ended before its turn came."""
    return json_answer(500, CANCELLED)


def too_busy() -> Answer:
    """Return the 429 of a full semaphore queue, which carries no rate limit headers and no JSON."""
    return html_answer(429, TOO_MANY_REQUESTS_PAGE)


def rate_limited(retry_after: float, reset_at: float, limit: int = 100) -> Answer:
    """Return the 429 of a rate rule.

    :param retry_after: Seconds until the hour is over.
    :param reset_at: The same as a Unix time.
    """
    answer = error_answer(
        429, "Rate limit exceeded", f"Rate limit of {limit} requests per hour for Table API exceeded"
    )
    answer.headers += [
        ("X-RateLimit-Limit", str(limit)),
        ("X-RateLimit-Reset", str(int(reset_at))),
        ("X-RateLimit-Rule", "55ae2ac1ff3a71109852ffffffffffc4"),
        ("Retry-After", f"{retry_after:g}"),
    ]
    return answer


def platform_headers(*, new_session: bool) -> list[tuple[str, str]]:
    """Return the headers that every API answer has.

    :param new_session: Hand out cookies, as to a client that sent none.
    """
    headers = [
        ("X-Is-Logged-In", "true"),
        ("X-Transaction-ID", secrets.token_hex(6)),
        ("Cache-Control", "no-cache,no-store,must-revalidate,max-age=-1"),
        ("Pragma", "no-store,no-cache"),
        ("Expires", "0"),
    ]
    if new_session:
        headers += [
            ("Set-Cookie", f"JSESSIONID={secrets.token_hex(16).upper()}; Path=/; HttpOnly"),
            ("Set-Cookie", f"glide_user_route=glide.{secrets.token_hex(16)}; Path=/; HttpOnly"),
            (
                "Set-Cookie",
                f"glide_session_store={secrets.token_hex(16).upper()}; Max-Age=1800; Path=/; HttpOnly",
            ),
        ]
    return headers
