"""The control endpoint that only the sandbox has: ``POST /sandbox/<method of Sandbox>``, arguments as JSON.

Readers answer to GET as well, with their arguments in the query. A body must be declared as JSON, which no
web page can do across origins without the permission that this server never gives.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from airflow_provider_servicenow_dq.sandbox.answers import Answer, json_answer
from airflow_provider_servicenow_dq.sandbox.rules import RefusedError

if TYPE_CHECKING:
    from airflow_provider_servicenow_dq.sandbox.exchange import Request
    from airflow_provider_servicenow_dq.sandbox.server import Sandbox

_READERS = frozenset({"records", "notes", "requests", "switches", "jwt_private_key"})
_WRITERS = frozenset({"fail_next", "barrier", "act_as", "reset", "configure", "clear_requests"})


def answer(sandbox: Sandbox, request: Request) -> Answer:
    """Run one method of the sandbox.

    :returns: 400 for arguments that it does not take, 409 where the instance says no.
    """
    name = request.path.removeprefix("/sandbox/")
    if name not in _READERS | _WRITERS:
        return json_answer(404, {"error": f"the sandbox has no {name!r}"})
    if request.method == "GET" and name in _READERS:
        arguments: dict[str, Any] = dict(request.query)
    elif request.method == "POST" and "application/json" in request.headers.get("content-type", ""):
        arguments = {}
    else:
        return json_answer(405, {"error": "POST a JSON object, declared as application/json"})
    try:
        return json_answer(200, {"result": _call(sandbox, name, arguments or request.fields)})
    except RefusedError as refusal:
        return json_answer(409, {"refused": [refusal.status, refusal.message, refusal.detail]})
    except (TypeError, ValueError, KeyError) as error:
        return json_answer(400, {"error": f"{type(error).__name__}: {error}"})


def _call(sandbox: Sandbox, name: str, arguments: dict[str, Any]) -> Any:
    if name == "requests":
        return [asdict(logged) for logged in sandbox.requests]
    if name == "switches":
        return asdict(sandbox.instance.switches)
    if name == "jwt_private_key":
        return sandbox.jwt_private_key
    return getattr(sandbox, name)(**arguments)
