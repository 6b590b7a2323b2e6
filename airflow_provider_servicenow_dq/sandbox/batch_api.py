"""The Batch API: ``POST /api/now[/v1]/batch``, several requests in one, one after the other.

After the vendor's page "Batch API"; that a request which the quota cuts off is found among the serviced ones,
with an error, is what the ServiceNow plugin of CDAP observes.
"""

from __future__ import annotations

import base64
import binascii
import json
import random
import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from airflow_provider_servicenow_dq.sandbox import answers
from airflow_provider_servicenow_dq.sandbox.content import check_accept, check_json, no_such_method
from airflow_provider_servicenow_dq.sandbox.exchange import Request
from airflow_provider_servicenow_dq.sandbox.rules import Account, RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_servicenow_dq.sandbox.answers import Answer
    from airflow_provider_servicenow_dq.sandbox.faults import Faults
    from airflow_provider_servicenow_dq.sandbox.instance import Instance

_SIZE_HEADER = "x-batchrequest-max-output-size"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})


class ConnectionLostError(Exception):
    """A fault drops the connection in the midst of a batch."""


@dataclass(frozen=True, slots=True)
class _Item:
    """One request within a batch."""

    number: str
    request: Request
    wants_headers: bool


class BatchApi:
    """Answers batches.

    :param execute: Answers a request within a batch.
    :param faults: What goes wrong with such requests.
    """

    def __init__(
        self, instance: Instance, execute: Callable[[Account, Request], Answer], faults: Faults
    ) -> None:
        self._instance = instance
        self._execute = execute
        self._faults = faults
        self._shuffle = random.Random(0)  # noqa: S311  # an arbitrary order of answers, not a secret

    def answer(self, account: Account, request: Request) -> Answer:
        """Serve the requests of a batch until its time or a limit of size is reached.

        :raises RefusedError: It is no batch.
        :raises ConnectionLostError: A fault says so.
        """
        if request.method != "POST":
            raise no_such_method(request)
        check_accept(request, self._instance.switches)
        check_json(request, self._instance.switches)
        items = [_read_item(item, request) for item in _items(request)]
        serviced: list[dict[str, Any]] = []
        size_limit = self._output_limit(request)
        for item in items:
            if time.monotonic() >= request.deadline or self._is_too_large(item):
                break
            answered = self._serve(account, item, size_limit)
            serviced.append(answered)
            if "error_message" in answered:
                break
        left = items[len(serviced) :]
        if self._instance.switches.batch_order == "shuffled":
            self._shuffle.shuffle(serviced)
        content = {
            # The id comes back as a string, whatever was sent.
            "batch_request_id": str(request.fields.get("batch_request_id", "")),
            "serviced_requests": serviced,
            "unserviced_requests": [item.number for item in left],
        }
        return answers.json_answer(200, content)

    def _serve(self, account: Account, item: _Item, size_limit: int) -> dict[str, Any]:
        started = time.monotonic()
        answer: Answer | None
        if item.request.api == "batch":
            answer = answers.no_such_resource()
        else:
            answer = self._faults.run(item.request, lambda inner: self._execute(account, inner))
        if answer is None:
            raise ConnectionLostError
        error = ""
        if answer.is_cancelled:
            answer.status, error = self._instance.switches.batch_cut_status, answers.MAXIMUM_TIME
        elif len(answer.body) > size_limit:
            error = f"Response size {len(answer.body)} exceeds the limit of {size_limit} bytes"
            answer = answers.error_answer(500, "Response too large", error)
        headers = [*answer.headers, ("Content-Type", answer.content_type)] if item.wants_headers else []
        return {
            "id": item.number,
            "body": base64.b64encode(answer.body).decode(),
            "status_code": answer.status,
            "status_text": HTTPStatus(answer.status).phrase,
            "headers": [{"name": name, "value": value} for name, value in headers],
            "execution_time": round((time.monotonic() - started) * 1000),
            **({"error_message": error} if error else {}),
        }

    def _is_too_large(self, item: _Item) -> bool:
        return len(item.request.body) > self._instance.switches.batch_input_bytes

    def _output_limit(self, request: Request) -> int:
        """Return the limit of one answer; a header may lower the property, never raise it."""
        limit = self._instance.switches.batch_output_bytes
        wanted = request.headers.get(_SIZE_HEADER, "")
        return min(limit, int(wanted)) if wanted.isascii() and wanted.isdecimal() else limit


def _items(request: Request) -> list[Any]:
    items = request.fields.get("rest_requests")
    if not isinstance(items, list):
        raise _unreadable("rest_requests is missing")
    return items


def _read_item(item: Any, batch: Request) -> _Item:
    """Read one request of a batch; nothing but its address, method, headers and body is its own.

    :raises RefusedError: 400, it is none.
    """
    if not isinstance(item, dict):
        raise _unreadable(f"{json.dumps(item)[:40]} is no request")
    missing = [name for name in ("id", "method", "url") if not isinstance(item.get(name), str)]
    if missing:
        raise _unreadable(f"{', '.join(missing)} of a request is missing")
    method, url = item["method"].upper(), item["url"]
    if method not in _METHODS:
        raise _unreadable(f"unknown method {method}")
    headers = {
        str(header.get("name", "")).lower(): str(header.get("value", ""))
        for header in item.get("headers") or []
        if isinstance(header, dict)
    }
    try:
        # Line breaks pass, as the vendor's own sample has some.
        body = base64.b64decode("".join(str(item.get("body") or "").split()), validate=True)
    except binascii.Error as error:
        raise _unreadable("the body of a request is not base64") from error
    # Only relative addresses lead anywhere.
    target = url if url.startswith("/") and not url.startswith("//") else "/"
    request = Request(method, target, headers, body, batch.user, in_batch=True, deadline=batch.deadline)
    return _Item(item["id"], request, item.get("exclude_response_headers") is not True)


def _unreadable(detail: str) -> RefusedError:
    return RefusedError(400, "Exception while reading request", detail)
