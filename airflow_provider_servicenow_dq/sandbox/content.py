"""What every API asks of a request's headers and body before it looks further."""

from __future__ import annotations

import html
import json
import re
from typing import TYPE_CHECKING, Any

from airflow_provider_servicenow_dq.sandbox.rules import RefusedError

if TYPE_CHECKING:
    from airflow_provider_servicenow_dq.sandbox.answers import Answer
    from airflow_provider_servicenow_dq.sandbox.exchange import Request
    from airflow_provider_servicenow_dq.sandbox.switches import Switches

#: ``glide.rest.max_content_length``.
MAX_BODY = 10_485_760
_NOT_IN_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ANY = ("*/*", "application/*")


def check_accept(request: Request, switches: Switches) -> None:
    """Refuse who takes neither JSON nor XML.

    :raises RefusedError: 406, or 400 on an instance that follows the vendor's other page.
    """
    accept = request.headers.get("accept", "*/*")
    if not any(kind in accept for kind in (*_ANY, "application/json", "application/xml", "text/xml")):
        raise negotiation_failed(switches, 406, f"Unsupported Accept type: {accept}")


def check_json(request: Request, switches: Switches) -> None:
    """Refuse a body that is too large or declared as anything but JSON.

    :raises RefusedError: 415 (or 400) for the type, 400 for the size.
    """
    if not request.body:
        return
    content_type = request.headers.get("content-type", "")
    if "application/json" not in content_type.lower():
        raise negotiation_failed(switches, 415, f"Unsupported Content-Type: {content_type}")
    if len(request.body) > MAX_BODY:
        raise too_large(len(request.body))


def wants_xml(request: Request) -> bool:
    """Tell whether a client takes XML and no JSON."""
    accept = request.headers.get("accept", "")
    return "xml" in accept and not any(kind in accept for kind in (*_ANY, "application/json"))


def as_xml(answer: Answer) -> Answer:
    """Return an answer's JSON as the platform's XML; anything else stays as it is."""
    if answer.content_type.startswith("application/json") and answer.body:
        content = _elements("response", json.loads(answer.body))
        answer.body = f'<?xml version="1.0" encoding="UTF-8"?>{content}'.encode()
        answer.content_type = "application/xml;charset=UTF-8"
    return answer


def _elements(name: str, value: Any) -> str:
    """Write a value as an element, the entries of a list as one element each."""
    if isinstance(value, list):
        return "".join(_elements(name, entry) for entry in value)
    if isinstance(value, dict):
        inner = "".join(_elements(key, entry) for key, entry in value.items())
    else:
        inner = html.escape(_NOT_IN_XML.sub("", str(value or "")), quote=False)
    return f"<{name}>{inner}</{name}>" if inner else f"<{name}/>"


def too_large(size: int) -> RefusedError:
    """Return the refusal of a body over the limit, in the words of KB0747638."""
    return RefusedError(
        400,
        "Exception while reading request",
        f"Rejected large REST payload with content-length = {size} bytes. Max allowed: {MAX_BODY} bytes.",
    )


def no_such_method(request: Request) -> RefusedError:
    """Return the refusal of a method that a resource does not have."""
    return RefusedError(405, "Method not supported", f"{request.method} is not supported by this resource")


def negotiation_failed(switches: Switches, status: int, message: str) -> RefusedError:
    """Return the refusal of a content type; the vendor's two pages differ in its status."""
    return RefusedError(status if switches.negotiation_status == "exact" else 400, message)
