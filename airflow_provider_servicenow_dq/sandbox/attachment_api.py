"""The Attachment API: ``/api/now[/v1]/attachment``, after the vendor's page of that name."""

from __future__ import annotations

import email
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow_provider_servicenow_dq.sandbox import display
from airflow_provider_servicenow_dq.sandbox.answers import Answer, json_answer, no_such_resource
from airflow_provider_servicenow_dq.sandbox.attachments import Attachments, Upload
from airflow_provider_servicenow_dq.sandbox.content import check_accept, negotiation_failed, no_such_method
from airflow_provider_servicenow_dq.sandbox.rules import Account, RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from email.message import Message

    from airflow_provider_servicenow_dq.sandbox.exchange import Request
    from airflow_provider_servicenow_dq.sandbox.instance import Instance
    from airflow_provider_servicenow_dq.sandbox.records import Row

_PATH = re.compile(r"/api/now(?:/v1)?/attachment(?:/(?P<first>[^/]+)(?P<file>/file)?)?/?")
_DEFAULT_LIMIT = 1000


class AttachmentApi:
    """Answers requests about files.

    :param base_url: Returns where links in answers point.
    """

    def __init__(self, instance: Instance, base_url: Callable[[], str]) -> None:
        self._instance = instance
        self._attachments = Attachments(instance)
        self._base_url = base_url

    def answer(self, account: Account, request: Request) -> Answer:
        """Return the answer to an authenticated request.

        :raises RefusedError: The instance says no.
        """
        match = _PATH.fullmatch(request.path)
        if match is None:
            return no_such_resource()
        first, is_file = match["first"], bool(match["file"])
        if request.method == "POST" and first in {"file", "upload"} and not is_file:
            return self._upload(account, request, first)
        reads = request.method in {"GET", "HEAD"}
        if first is None and reads:
            return self._list(account, request)
        if first is None or (is_file and not reads):
            raise no_such_method(request)
        if reads:
            row = self._attachments.get(account, first)
            return self._download(row) if is_file else json_answer(200, {"result": self._told(row)})
        if request.method != "DELETE":
            raise no_such_method(request)
        self._attachments.delete(account, first)
        return Answer(204)

    def _upload(self, account: Account, request: Request, how: str) -> Answer:
        check_accept(request, self._instance.switches)
        if how == "upload":
            upload = _multipart(request)
        else:
            content_type = request.headers.get("content-type", "")
            if not content_type:
                raise negotiation_failed(self._instance.switches, 415, "Unsupported Content-Type: ")
            upload = _upload_of(request.query, request.query.get("file_name", ""), content_type, request.body)
        row = self._attachments.add(account, upload)
        location = ("Location", f"{self._base_url()}/api/now/attachment/{row['sys_id']}")
        return json_answer(201, {"result": self._told(row)}, [location])

    def _list(self, account: Account, request: Request) -> Answer:
        check_accept(request, self._instance.switches)
        found = self._instance.select(account, "sys_attachment", request.query.get("sysparm_query", ""))
        offset = request.number("sysparm_offset", 0)
        limit = request.number("sysparm_limit", _DEFAULT_LIMIT) or _DEFAULT_LIMIT
        page = found[offset : offset + limit]
        result = [self._told(row) for row in page if self._attachments.can_read(account, row)]
        return json_answer(200, {"result": result}, [("X-Total-Count", str(len(found)))])

    def _download(self, row: Row) -> Answer:
        content = self._attachments.content(row["sys_id"])
        name = f"attachment;filename*=UTF-8''{quote(row['file_name'])}"
        headers = [("Content-Disposition", name), ("X-Content-Type-Options", "nosniff")]
        return Answer(200, content, row["content_type"], headers)

    def _told(self, row: Row) -> dict[str, Any]:
        """Return what the API tells of a file, with a link to it."""
        return {
            **row,
            "created_by_name": display.author_name(self._instance, row["sys_created_by"]),
            "updated_by_name": display.author_name(self._instance, row["sys_updated_by"]),
            "download_link": f"{self._base_url()}/api/now/attachment/{row['sys_id']}/file",
        }


def _multipart(request: Request) -> Upload:
    """Read a form; what comes after the file is not read any more.

    :raises RefusedError: 400, it is no form or holds no file.
    """
    content_type = request.headers.get("content-type", "")
    boundary = email.message_from_string(f"Content-Type: {content_type}\n\n").get_boundary()
    fields: dict[str, str] = {}
    for part in request.body.split(f"--{boundary}".encode()) if boundary else ():
        head, separator, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        if not separator:
            continue
        header = email.message_from_bytes(head + b"\r\n\r\n")
        content = content.removesuffix(b"\r\n")
        if (file_name := header.get_filename()) is not None:
            kind = " ".join(header.get("Content-Type", "application/octet-stream").split())
            return _upload_of(fields, file_name, kind, content)
        fields[_name_of(header)] = content.decode("utf-8", "replace")
    raise RefusedError(400, "Missing required parameters", "The request holds no file")


def _upload_of(named: Mapping[str, str], file_name: str, content_type: str, content: bytes) -> Upload:
    return Upload(
        named.get("table_name", ""), named.get("table_sys_id", ""), file_name, content_type, content
    )


def _name_of(header: Message) -> str:
    name = header.get_param("name", "", "content-disposition")
    return name if isinstance(name, str) else ""
