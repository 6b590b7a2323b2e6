"""What an answer of the instance means: a value, or the class of error that says what may have happened.

The exact bodies are those of ServiceNow's REST documentation and support articles: errors are
``{"error": {"message", "detail"}, "status": "failure"}``, a 200 can carry one (KB1297438), 202 means that the
request was dropped, and HTML can arrive with any status.
"""

from __future__ import annotations

import html
import json
import re
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from airflow_provider_servicenow_dq.client.waits import asked_wait, words_for
from airflow_provider_servicenow_dq.exceptions import (
    AnswerLostError,
    AuthenticationError,
    CancelledError,
    ForbiddenError,
    NotExecutedError,
    NotServiceNowError,
    RateLimitedError,
    RecordNotFoundError,
    RefusedError,
    SecondFactorError,
    ServerError,
    ServiceNowError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_REFUSALS: dict[int, type[RefusedError]] = {
    HTTPStatus.UNAUTHORIZED: AuthenticationError,
    HTTPStatus.FORBIDDEN: ForbiddenError,
    HTTPStatus.NOT_FOUND: RecordNotFoundError,
}

#: The database's own refusal, such as of a key that is taken. Its status is not documented: whatever it is,
#: one has to look, as after a 403.
_NOT_STORED = "Error during insert of"

#: An error is read by people: more of the instance's words than this helps nobody.
_MAX_WORDS = 2000


@dataclass(frozen=True, slots=True)
class Answer:
    """What the instance answered.

    :param status: HTTP status, 2xx.
    :param result: The parsed ``result``: a dict, a list, or None for an answer without a body.
    :param headers: By name, in any case.
    """

    status: int
    result: Any
    headers: Mapping[str, str] = field(repr=False)


def read_answer(status: int, headers: Mapping[str, str], body: bytes) -> Answer:
    """Return the answer.

    :param headers: A mapping that ignores the case of names.
    :param body: As it came, decompressed.
    :raises ServiceNowError: The class says whether the instance may have acted.
    """
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES and status != HTTPStatus.ACCEPTED:
        return Answer(status, _read_result(status, headers, body), headers)
    raise failure_of(status, headers, body)


def _read_result(status: int, headers: Mapping[str, str], body: bytes) -> Any:
    if status == HTTPStatus.NO_CONTENT:
        return None
    if not body.strip():
        raise AnswerLostError(f"ServiceNow answered {status} with an empty body")
    if not is_json(headers):
        raise NotServiceNowError(_page_in_words(status, headers, body))
    envelope = _parse(body)
    if envelope is None:
        raise CancelledError(
            "ServiceNow cut the transaction off: its answer is no valid JSON"
            + (" (Transaction cancelled)" if b"Transaction cancelled" in body else "")
        )
    if isinstance(envelope, dict) and "error" in envelope:
        message, detail = _words_of(envelope["error"])
        raise CancelledError(
            f"ServiceNow answered {status} with an error: {message}{detail and f': {detail}'}"
        )
    if not isinstance(envelope, dict) or "result" not in envelope:
        raise NotServiceNowError(f"The answer ({status}) is JSON, but not ServiceNow's: check the host")
    return envelope["result"]


def failure_of(status: int, headers: Mapping[str, str], body: bytes) -> ServiceNowError:
    """Return what an answer other than a success means."""
    envelope = _parse(body) if is_json(headers) else None
    message, detail = _words_of(envelope.get("error") if isinstance(envelope, dict) else None)
    words = f": {message}{detail and f' ({detail})'}" if message else ""
    wait = asked_wait(status, headers)
    when = words_for(wait)
    if status == HTTPStatus.ACCEPTED:
        return NotExecutedError("ServiceNow answered 202: it dropped the request", wait)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return RateLimitedError(
            f"ServiceNow answered 429{words or ': too many requests at once'}{when}", wait
        )
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR and not _is_asleep(body):
        return ServerError(f"ServiceNow answered {status}{words}{when}", wait)
    if status == HTTPStatus.UNAUTHORIZED and "X-MFA_TOKEN" in headers:
        return SecondFactorError(status, message, "the user must show a second factor (MFA)")
    if message:
        refusal = ForbiddenError if _NOT_STORED in detail else _REFUSALS.get(status, RefusedError)
        return refusal(status, message, detail)
    return _wordless_refusal(status, body) or NotServiceNowError(_page_in_words(status, headers, body))


def _wordless_refusal(status: int, body: bytes) -> RefusedError | None:
    """Return the error for a refusal that does not come from the REST layer; none for a mere page."""
    if status == HTTPStatus.UNAUTHORIZED:
        return AuthenticationError(status, "User Not Authenticated", "the answer says no more")
    # The web server in front of the instance, KB0826932.
    if status == HTTPStatus.BAD_REQUEST and b"header is too large" in body:
        return RefusedError(
            status, "Request header is too large", "the query is too long: ask for less at once"
        )
    if status == HTTPStatus.BAD_REQUEST:
        return RefusedError(status, "Bad Request", _title(body))
    return None


def is_json(headers: Mapping[str, str]) -> bool:
    """Whether the body is said to be JSON."""
    return "json" in headers.get("Content-Type", "").lower()


def _parse(body: bytes) -> Any:
    """Return the parsed JSON, or None if it is none."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _words_of(error: Any) -> tuple[str, str]:
    """Return the message and the detail of an ``error`` member, whatever its shape."""
    if isinstance(error, dict):
        message, detail = error.get("message"), error.get("detail")
        return str(message or detail or "")[:_MAX_WORDS], str((message and detail) or "")[:_MAX_WORDS]
    return str(error or "")[:_MAX_WORDS], ""


def _is_asleep(body: bytes) -> bool:
    return b"instance hibernating" in body.lower()


def _title(body: bytes) -> str:
    found = re.search(r"<title[^>]*>(.*?)</title>", body[:100_000].decode("utf-8", "replace"), re.S | re.I)
    return " ".join(html.unescape(found.group(1)).split())[:200] if found else ""


def _page_in_words(status: int, headers: Mapping[str, str], body: bytes) -> str:
    """Say what a page seems to be that came where JSON was due."""
    title = _title(body)
    text = body[:100_000].lower()
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return f"The host answered with a redirect ({status}), not followed: it is no ServiceNow instance"
    if _is_asleep(body):
        return "The developer instance is hibernating: wake it by signing in at developer.servicenow.com"
    if b"instance is currently offline" in text or "offline" in title.lower():
        return "The instance is offline at the moment: it is waking up or being patched"
    if b'type="password"' in text or "log in" in title.lower() or "login" in title.lower():
        return f"A login page came back instead of JSON ({status}): the host, or a proxy, wants a login"
    kind = headers.get("Content-Type", "").partition(";")[0] or "nothing of a known type"
    what = f"a page titled {title!r}" if title else kind
    return (
        f"The host answered {status} with {what} instead of JSON: no ServiceNow instance, or a proxy answered"
    )
