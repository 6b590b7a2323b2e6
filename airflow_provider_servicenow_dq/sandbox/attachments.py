"""Files at records: ``sys_attachment`` tells of them, ``sys_attachment_doc`` holds them."""

from __future__ import annotations

import base64
import hashlib
import itertools
import zlib
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING

from airflow_provider_servicenow_dq.sandbox.instance import NO_RECORD, Instance
from airflow_provider_servicenow_dq.sandbox.records import class_of
from airflow_provider_servicenow_dq.sandbox.rules import Account, RefusedError

if TYPE_CHECKING:
    from airflow_provider_servicenow_dq.sandbox.records import Row

_SYSTEM = Account("", "system", frozenset({"admin"}))
_CHUNK = 700_000


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that is to be attached.

    :param table: Table of the record that gets it.
    :param sys_id: The record.
    """

    table: str
    sys_id: str
    file_name: str
    content_type: str
    content: bytes = field(repr=False)


class Attachments:
    """The files of an instance: who may read a record may read them, who may change it may attach some."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance

    def add(self, account: Account, upload: Upload) -> Row:
        """Attach a file; the same file twice is two attachments.

        :raises RefusedError: 400 for what is missing or not allowed, 404 for the record, 403 for its access
            rules.
        """
        self._check(upload)
        self._instance.check_table(upload.table)
        row = self._instance.read(account, upload.table, upload.sys_id)
        self._instance.access.check(account, class_of(upload.table, row), "Update", row)
        values = {
            "table_name": upload.table,
            "table_sys_id": upload.sys_id,
            "file_name": upload.file_name,
            "content_type": upload.content_type,
            "size_bytes": str(len(upload.content)),
            "size_compressed": str(len(zlib.compress(upload.content, 1))),
            "hash": hashlib.sha256(upload.content).hexdigest(),
        }
        by = {"sys_created_by": account.user_name, "sys_updated_by": account.user_name}
        added = self._instance.insert(_SYSTEM, "sys_attachment", {**values, **by})
        for position, start in enumerate(range(0, len(upload.content), _CHUNK)):
            chunk = upload.content[start : start + _CHUNK]
            doc = {"sys_attachment": added["sys_id"], "position": str(position), "length": str(len(chunk))}
            data = base64.b64encode(chunk).decode()
            self._instance.insert(_SYSTEM, "sys_attachment_doc", {**doc, "data": data, **by})
        return added

    def get(self, account: Account, sys_id: str) -> Row:
        """Return what is told of a file.

        :raises RefusedError: 404, there is none, or its record is not the user's to read.
        """
        row = self._instance.read(account, "sys_attachment", sys_id)
        if not self.can_read(account, row):
            raise NO_RECORD
        return row

    def content(self, sys_id: str) -> bytes:
        """Return a file."""
        return b"".join(base64.b64decode(doc["data"]) for doc in self._docs(sys_id))

    def delete(self, account: Account, sys_id: str) -> None:
        """Delete a file.

        :raises RefusedError: There is none, or the user may not change its record.
        """
        row = self.get(account, sys_id)
        if row["sys_created_by"] != account.user_name:
            record = self._instance.read(account, row["table_name"], row["table_sys_id"])
            self._instance.access.check(account, class_of(row["table_name"], record), "Update", record)
        for doc in self._docs(sys_id):
            self._instance.delete(_SYSTEM, "sys_attachment_doc", doc["sys_id"])
        self._instance.delete(_SYSTEM, "sys_attachment", sys_id)

    def can_read(self, account: Account, row: Row) -> bool:
        """Tell whether the user sees the record that a file is attached to."""
        table = row["table_name"]
        record = (
            self._instance.records.get(table, row["table_sys_id"]) if table in self._instance.schema else None
        )
        return record is not None and self._instance.can_read(account, table, record)

    def _docs(self, sys_id: str) -> list[Row]:
        docs = [
            row for row in self._instance.all_rows("sys_attachment_doc") if row["sys_attachment"] == sys_id
        ]
        return sorted(docs, key=lambda row: int(row["position"]))

    def _check(self, upload: Upload) -> None:
        """Apply the properties that limit attachments.

        :raises RefusedError: Something is missing, too large or of a kind that is not allowed.
        """
        named = {"table_name": upload.table, "table_sys_id": upload.sys_id, "file_name": upload.file_name}
        missing = list(itertools.compress(named, (not value for value in named.values())))
        if missing:
            raise RefusedError(400, "Missing required parameters", ", ".join(missing))
        switches = self._instance.switches
        allowed = {extension.lower().lstrip(".") for extension in switches.attachment_extension}
        if allowed and PurePath(upload.file_name).suffix.lower().lstrip(".") not in allowed:
            raise RefusedError(
                switches.attachment_refusal_status,
                "Failed to create the attachment",
                "File type is not allowed or does not match the content of the file",
            )
        if len(upload.content) > switches.attachment_max_bytes:
            raise RefusedError(
                switches.attachment_refusal_status,
                "Failed to create the attachment",
                f"File size of {len(upload.content)} bytes exceeds the limit of "
                f"{switches.attachment_max_bytes} bytes",
            )
