"""The Attachment API: files at records, each of them once.

After the vendor's page "Attachment API". The instance keeps the SHA-256 of every file, and would keep the
same file again under the same name, so what is there is compared before anything is sent.
"""

from __future__ import annotations

import hashlib
import logging
import mimetypes
import unicodedata
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_servicenow_dq.client.answers import Answer, failure_of
from airflow_provider_servicenow_dq.client.ids import checked_sys_id, checked_table
from airflow_provider_servicenow_dq.exceptions import (
    AnswerLostError,
    ForbiddenError,
    MayHaveHappenedError,
    NotServiceNowError,
    ServiceNowConfigError,
    ServiceNowError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_servicenow_dq.client.table import Record, TableApi

log = logging.getLogger(__name__)

_PATH: Final = "/api/now/attachment"
_TABLE: Final = "sys_attachment"
_FIELDS: Final = ("sys_id", "file_name", "content_type", "size_bytes", "hash", "table_name", "table_sys_id")
#: The column ``sys_attachment.file_name``: a longer name would be cut, and not be known again.
_NAME_LENGTH: Final = 100
#: After these a file may be there all the same.
_IN_DOUBT: Final = (MayHaveHappenedError, NotServiceNowError, ForbiddenError)


def attach_file(table_api: TableApi, table: str, sys_id: str, name: str, content: bytes | str) -> Record:
    """Attach a file to a record, unless the same file is attached already, and return what is kept of it.

    :param name: File name, at most 100 characters; with its ending it says what kind of file it is.
    :param content: What is in it; text is written as UTF-8.
    :returns: The record of ``sys_attachment``: ``sys_id``, ``file_name``, ``size_bytes``, ``hash``…
    :raises RecordNotFoundError: If there is no such record, or the user may not see it.
    :raises RefusedError: If the instance does not take it, in its words: too large, an ending that it does
        not allow.
    :raises MayHaveHappenedError: If no answer came, and the file was not found either: look again later.
    :raises ServiceNowConfigError: If the name, the table or the sys_id is none.
    """
    data = content.encode() if isinstance(content, str) else content
    file = _File(checked_table(table), checked_sys_id(sys_id), _checked_name(name), data)
    if (attached := _find(table_api, file)) is not None:
        log.info("%s is attached to %s %s already", name, table, sys_id)
        return attached
    try:
        return _upload(table_api, file)
    except _IN_DOUBT as error:
        attached = _look_again(table_api, file)
        if attached is None:
            raise
        log.info("%s was attached to %s %s all the same: %s", name, table, sys_id, error)
        return attached


class _File:
    """A file on its way to a record.

    :param table: Table of the record.
    :param sys_id: The record.
    """

    def __init__(self, table: str, sys_id: str, name: str, content: bytes) -> None:
        self.table = table
        self.sys_id = sys_id
        self.name = name
        self.content = content
        self.hash = hashlib.sha256(content).hexdigest()


def _checked_name(name: str) -> str:
    """Return the file name.

    :raises ServiceNowConfigError: If it is none that comes back as it was sent.
    """
    odd = any(unicodedata.category(character) in {"Cc", "Cs"} or character in "/\\" for character in name)
    if not name.strip() or name != name.strip() or odd or len(name) > _NAME_LENGTH:
        raise ServiceNowConfigError(
            f"{name[:200]!r} is no file name: at most {_NAME_LENGTH} characters, no slashes or control "
            "characters, no blanks around it"
        )
    return name


def _find(table_api: TableApi, file: _File) -> Record | None:
    """Return the same file, if it is attached."""
    place = {"table_name": file.table, "table_sys_id": file.sys_id}
    for row in table_api.find(_TABLE, place, fields=_FIELDS):
        is_there = row.get("table_sys_id") == file.sys_id and row.get("file_name") == file.name
        if is_there and _has_content(table_api, row, file):
            return row
    return None


def _look_again(table_api: TableApi, file: _File) -> Record | None:
    try:
        return _find(table_api, file)
    except ServiceNowError as error:
        log.warning(
            "Whether %s is attached to %s %s is unknown: %s", file.name, file.table, file.sys_id, error
        )
        return None


def _has_content(table_api: TableApi, row: Mapping[str, Any], file: _File) -> bool:
    if row.get("hash"):
        return bool(str(row["hash"]).lower() == file.hash)
    if str(row.get("size_bytes")) != str(len(file.content)):
        return False
    # Older instances keep no hash, and a field ACL may hide it.
    answer = table_api.transport.request("GET", f"{_PATH}/{row['sys_id']}/file", read=_read_file)
    return bool(answer.result == file.content)


def _upload(table_api: TableApi, file: _File) -> Record:
    kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    answer = table_api.transport.request(
        "POST",
        f"{_PATH}/file",
        params={"table_name": file.table, "table_sys_id": file.sys_id, "file_name": file.name},
        content=(kind, file.content),
    )
    if not isinstance(answer.result, dict) or "sys_id" not in answer.result:
        raise AnswerLostError(f"ServiceNow answered {answer.status} without the attachment")
    return {name: answer.result[name] for name in _FIELDS if name in answer.result}


def _read_file(status: int, headers: Mapping[str, str], body: bytes) -> Answer:
    if status != HTTPStatus.OK:
        raise failure_of(status, headers, body)
    return Answer(status, body, headers)
