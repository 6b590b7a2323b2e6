"""What a batch answers: an envelope of its own, and in it the answers to its requests, in base64."""

from __future__ import annotations

import base64
import binascii
import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from airflow_provider_servicenow_dq.client.answers import Answer, read_answer
from airflow_provider_servicenow_dq.exceptions import AnswerLostError, ServiceNowError

if TYPE_CHECKING:
    from collections.abc import Mapping


def read_batch(status: int, headers: Mapping[str, str], body: bytes) -> Answer:
    """Read the outer answer, which has no ``result``."""
    if status == HTTPStatus.OK:
        try:
            content = json.loads(body)
        except (ValueError, RecursionError):
            content = None
        if isinstance(content, dict) and isinstance(content.get("serviced_requests"), list):
            return Answer(status, content, headers)
    answer = read_answer(status, headers, body)
    raise AnswerLostError(f"ServiceNow answered {answer.status} to a batch without its requests")


def serviced_in(content: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the answers within a batch by the id of their request, which comes back as a text."""
    return {str(item.get("id")): item for item in content["serviced_requests"] if isinstance(item, dict)}


def read_item(
    item: Mapping[str, Any],
) -> tuple[int | None, dict[str, Any] | None, ServiceNowError | None]:
    """Return status, parsed body and error of one answer, by the same rules as if it had come alone."""
    status = item.get("status_code")
    try:
        # The vendor's own sample breaks the lines of a body.
        content = base64.b64decode("".join(str(item.get("body") or "").split()), validate=True)
    except binascii.Error:
        status, content = None, b""
    if not isinstance(status, int):
        return None, None, AnswerLostError("The answer within the batch cannot be read")
    kind = "application/json" if content.lstrip()[:1] in {b"{", b"["} else "text/html"
    try:
        read_answer(status, {"Content-Type": kind}, content)
    except ServiceNowError as error:
        return status, _parsed(content), error
    return status, _parsed(content), None


def _parsed(content: bytes) -> dict[str, Any] | None:
    try:
        parsed = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None
