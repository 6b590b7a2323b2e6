"""What went over the wire between clients and a sandbox, credentials included."""

from __future__ import annotations

import base64
import json
from collections import defaultdict
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from airflow_provider_servicenow_dq.sandbox.answers import Answer
    from airflow_provider_servicenow_dq.sandbox.exchange import Request
    from airflow_provider_servicenow_dq.sandbox.server import Sandbox

#: Fields of forms and answers of the token endpoint that nobody else may see.
_SECRET_FIELDS = ("password", "client_secret", "assertion", "refresh_token", "access_token")


class Wire:
    """Listens to a sandbox.

    :ivar statuses: The statuses of all answers, by the kind of credentials that the requests came with.
    :ivar grants: The access tokens given, by grant; "" for a refusal.
    :ivar secrets: Everything secret that crossed the wire, also as base64.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self.statuses: dict[str, set[int]] = defaultdict(set)
        self.grants: dict[str, set[str]] = defaultdict(set)
        self.secrets: set[str] = set()
        self._answer = sandbox.service.answer
        sandbox.service.answer = self._listen

    def _listen(self, request: Request) -> Answer | None:
        answer = self._answer(request)
        if answer is None:
            return None
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        if key := request.headers.get("x-sn-apikey"):
            scheme, value = "api key", key
        if request.certificate_name:
            self.statuses["certificate"].add(answer.status)
        if scheme:
            self.statuses[scheme].add(answer.status)
            self.secrets |= {value, base64.b64encode(value.encode()).decode()}
        if scheme == "Basic":
            self.secrets.add(base64.b64decode(value).decode().partition(":")[2])
        if request.path == "/oauth_token.do":
            self._listen_to_grant(request, answer)
        return answer

    def _listen_to_grant(self, request: Request, answer: Answer) -> None:
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        reply = json.loads(answer.body)
        self.grants[form["grant_type"].rpartition(":")[2]].add(reply.get("access_token", ""))
        for fields in (form, reply):
            self.secrets |= {fields[name] for name in _SECRET_FIELDS if name in fields}
