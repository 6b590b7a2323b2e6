"""The Table API: ``/api/now[/v1|/v2]/table/{table}[/{sys_id}]``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote

from airflow_provider_servicenow_dq.sandbox.answers import (
    Answer,
    error_answer,
    json_answer,
    no_such_resource,
)
from airflow_provider_servicenow_dq.sandbox.content import check_accept, check_json, no_such_method
from airflow_provider_servicenow_dq.sandbox.display import Shape
from airflow_provider_servicenow_dq.sandbox.instance import NO_RECORD, Instance
from airflow_provider_servicenow_dq.sandbox.read_access import check_query, named_filters
from airflow_provider_servicenow_dq.sandbox.rules import Account, RefusedError
from airflow_provider_servicenow_dq.sandbox.views import fields_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_servicenow_dq.sandbox.exchange import Request
    from airflow_provider_servicenow_dq.sandbox.tiny_urls import TinyUrls

_PATH = re.compile(r"/api/now(?:/(?P<version>v[12]))?/table/(?P<table>[^/]+)(?:/(?P<sys_id>[^/]+))?/?")
_DEFAULT_LIMIT = 10_000
_CROSS_DOMAIN = frozenset({"admin", "query_no_domain_table_api"})
_PAGE_PARAMETERS = frozenset({"sysparm_offset", "sysparm_limit"})


class TableApi:
    """Answers Table API requests.

    :param base_url: Returns where links in answers point, whatever host the client used.
    :param tiny_urls: Knows the queries behind short names.
    """

    def __init__(self, instance: Instance, base_url: Callable[[], str], tiny_urls: TinyUrls) -> None:
        self._instance = instance
        self._tiny_urls = tiny_urls
        self._base_url = base_url

    def answer(self, account: Account, request: Request) -> Answer:
        """Return the answer to an authenticated request.

        :raises RefusedError: The instance says no.
        """
        match = _PATH.fullmatch(request.path)
        if match is None:
            return no_such_resource()
        table, sys_id = match["table"], match["sys_id"]
        self._check(account, request, table)
        self._tiny_urls.expand(request)
        if sys_id is None:
            return self._collection(account, request, table, match["version"])
        return self._item(account, request, table, sys_id)

    def _check(self, account: Account, request: Request, table: str) -> None:
        """Refuse what never gets as far as the table.

        :raises RefusedError: Unknown table, unacceptable or unreadable content.
        """
        check_accept(request, self._instance.switches)
        check_json(request, self._instance.switches)
        self._instance.check_table(table)
        crosses_domains = request.is_true("sysparm_query_no_domain") and not account.roles & _CROSS_DOMAIN
        if crosses_domains and self._instance.switches.query_no_domain == "refused":
            raise RefusedError(403, "User Not Authorized", "Failed API level ACL Validation")

    def _collection(self, account: Account, request: Request, table: str, version: str | None) -> Answer:
        if request.method in {"GET", "HEAD"}:
            return self._list(account, request, table, version)
        if request.method != "POST":
            raise no_such_method(request)
        input_display = request.is_true("sysparm_input_display_value")
        row = self._instance.insert(account, table, request.fields, input_display=input_display)
        location = ("Location", f"{self._base_url()}/api/now/table/{table}/{row['sys_id']}")
        if not self._instance.can_read(account, table, row):
            # The vendor's known pattern "POST 403 but created": the new row is not the creator's to read.
            return error_answer(
                403, "Operation Failed", "ACL Exception Insert Failed due to security constraints"
            )
        if request.headers.get("x-no-response-body", "").lower() == "true":
            return Answer(201, headers=[location])
        return json_answer(201, {"result": self._shape(account, request, table).record(row)}, [location])

    def _item(self, account: Account, request: Request, table: str, sys_id: str) -> Answer:
        if request.method in {"GET", "HEAD"}:
            row = self._instance.read(account, table, sys_id)
        elif request.method in {"PATCH", "PUT"}:
            input_display = request.is_true("sysparm_input_display_value")
            row = self._instance.update(account, table, sys_id, request.fields, input_display=input_display)
            if request.headers.get("x-no-response-body", "").lower() == "true":
                return Answer(204)
        elif request.method == "DELETE":
            self._instance.delete(account, table, sys_id)
            return Answer(204)
        else:
            raise no_such_method(request)
        return json_answer(200, {"result": self._shape(account, request, table).record(row)})

    def _list(self, account: Account, request: Request, table: str, version: str | None) -> Answer:
        encoded = request.query.get("sysparm_query", "")
        if self._instance.switches.query_acl:
            check_query(self._instance, account, table, encoded)
        found = self._instance.select(account, table, encoded, named_filters(request))
        if not found and version == "v1":
            raise NO_RECORD
        limit = request.number("sysparm_limit", _DEFAULT_LIMIT) or _DEFAULT_LIMIT
        offset = request.number("sysparm_offset", 0)
        shape = self._shape(account, request, table)
        page = found[offset : offset + limit]
        result = [shape.record(row) for row in page if self._instance.can_read(account, table, row)]
        headers = []
        if not request.is_true("sysparm_no_count"):
            headers.append(("X-Total-Count", str(len(found))))
        if not request.is_true("sysparm_suppress_pagination_header"):
            headers += self._links(request, len(found), offset, limit)
        return json_answer(200, {"result": result}, headers)

    def _shape(self, account: Account, request: Request, table: str) -> Shape:
        names = request.query.get("sysparm_fields", "")
        fields = tuple(dict.fromkeys(part.strip() for part in names.split(",") if part.strip()))
        display = request.query.get("sysparm_display_value", "false").lower()
        return Shape(
            self._instance,
            table,
            self._base_url(),
            fields or fields_of(self._instance.schema, table, request.query.get("sysparm_view", "")),
            display if display in {"true", "all"} else "false",
            request.is_true("sysparm_exclude_reference_link"),
            self._instance.unreadable(account, table),
            self._instance.locale(account),
        )

    def _links(self, request: Request, total: int, offset: int, limit: int) -> list[tuple[str, str]]:
        """Return the ``Link`` header: the other parameters as they were sent, offset and limit at the end."""
        if total <= limit and offset == 0:
            return []
        sent = (part for part in request.query_string.split("&") if part)
        kept = "".join(f"{part}&" for part in sent if part.partition("=")[0] not in _PAGE_PARAMETERS)
        last = (total - 1) // limit * limit if total else 0
        targets = {"first": 0}
        if offset > 0:
            targets["prev"] = max(0, offset - limit)
        if offset + limit < total:
            targets["next"] = offset + limit
        if self._instance.switches.no_count_last_link or not request.is_true("sysparm_no_count"):
            targets["last"] = last
        url = f"{self._base_url()}{quote(request.path)}?{kept}"
        links = (
            f'<{url}sysparm_offset={start}&sysparm_limit={limit}>;rel="{name}"'
            for name, start in targets.items()
        )
        return [("Link", ",".join(links))]
