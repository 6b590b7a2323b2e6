"""Long queries under a short name: ``POST /api/now/tinyurl``, then ``sysparm_tiny`` in their place.

It is not documented as an API; clients such as ansible's collection use it for long queries.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from airflow_provider_servicenow_dq.sandbox.answers import Answer, json_answer
from airflow_provider_servicenow_dq.sandbox.content import check_accept, check_json, no_such_method
from airflow_provider_servicenow_dq.sandbox.rules import Account, RefusedError

if TYPE_CHECKING:
    from airflow_provider_servicenow_dq.sandbox.exchange import Request
    from airflow_provider_servicenow_dq.sandbox.instance import Instance

_REMEMBERED = 10_000


class TinyUrls:
    """Stores addresses and finds their parameters again."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._lock = threading.Lock()
        self._queries: OrderedDict[str, str] = OrderedDict()

    def answer(self, account: Account, request: Request) -> Answer:  # noqa: ARG002  # any user may
        """Store an address.

        :raises RefusedError: The body names none.
        """
        if request.method != "POST":
            raise no_such_method(request)
        check_accept(request, self._instance.switches)
        check_json(request, self._instance.switches)
        url = request.fields.get("url")
        if not isinstance(url, str):
            raise RefusedError(400, "Missing required parameters", "url")
        page, _, query = url.partition("?")
        name = hashlib.sha256(query.encode()).hexdigest()[:32]
        with self._lock:
            self._queries[name] = query
            if len(self._queries) > _REMEMBERED:
                self._queries.popitem(last=False)
        return json_answer(200, {"result": f"{page}?sysparm_tiny={name}"})

    def expand(self, request: Request) -> None:
        """Add the parameters behind ``sysparm_tiny`` to those of a request, which go before them."""
        name = request.query.get("sysparm_tiny")
        if name is None:
            return
        with self._lock:
            query = self._queries.get(name, "")
        for parameter, value in parse_qsl(query, keep_blank_values=True):
            request.query.setdefault(parameter, value)
