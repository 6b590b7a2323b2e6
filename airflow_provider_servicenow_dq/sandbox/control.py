"""The controls of a sandbox that runs in another process."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

from airflow_provider_servicenow_dq.sandbox.exchange import LoggedRequest
from airflow_provider_servicenow_dq.sandbox.rules import RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_TIMEOUT_S = 30


class SandboxControl:
    """The same methods as :class:`~airflow_provider_servicenow_dq.sandbox.server.Sandbox`, over HTTP.

    :param url: Address of the sandbox.
    :param ca_file: Authority (PEM) of its certificate, where it serves https.
    """

    def __init__(self, url: str, ca_file: str | Path | None = None) -> None:
        self.url = url.rstrip("/")
        self._context = ssl.create_default_context(cafile=ca_file) if ca_file else None

    @property
    def requests(self) -> list[LoggedRequest]:
        """What clients asked, oldest first."""
        return [LoggedRequest(**item) for item in self._call("requests")]

    @property
    def jwt_private_key(self) -> str:
        """The key (PEM, P-256) that an OAuth client may sign JWT assertions with."""
        key: str = self._call("jwt_private_key")
        return key

    def records(self, table: str) -> list[dict[str, str]]:
        """Return the raw values of all rows of a table, oldest first."""
        rows: list[dict[str, str]] = self._call("records", table=table)
        return rows

    def notes(self, sys_id: str) -> list[str]:
        """Return the work notes of a record, oldest first."""
        texts: list[str] = self._call("notes", sys_id=sys_id)
        return texts

    def clear_requests(self) -> None:
        """Forget what clients asked."""
        self._call("clear_requests")

    def fail_next(
        self,
        kind: str,
        *,
        method: str | None = None,
        path: str | None = None,
        count: int = 1,
        skip: int = 0,
        **options: Any,
    ) -> None:
        """Let the next matching requests fail; see :meth:`Sandbox.fail_next`.

        :raises ValueError: There is no such kind or option.
        """
        self._call("fail_next", kind=kind, method=method, path=path, count=count, skip=skip, **options)

    def barrier(
        self, parties: int, *, method: str | None = "GET", path: str | None = None, timeout_s: float = 30
    ) -> None:
        """Hold matching requests until ``parties`` have arrived; see :meth:`Sandbox.barrier`."""
        self._call("barrier", parties=parties, method=method, path=path, timeout_s=timeout_s)

    def act_as(self, user_name: str, table: str, sys_id: str, values: Mapping[str, str]) -> dict[str, str]:
        """Let a person edit a record.

        :raises ValueError: Nobody goes by that user name.
        :raises RefusedError: The instance says no.
        """
        row: dict[str, str] = self._call(
            "act_as", user_name=user_name, table=table, sys_id=sys_id, values=dict(values)
        )
        return row

    def reset(self) -> None:
        """Go back to the demo data; forget faults, barriers, tokens and requests. Switches stay."""
        self._call("reset")

    def configure(self, **switches: Any) -> None:
        """Change some switches.

        :raises ValueError: There is no such switch, or the value is not allowed.
        """
        self._call("configure", **switches)

    def _call(self, name: str, **arguments: Any) -> Any:
        request = urllib.request.Request(  # noqa: S310  # the address is the caller's own sandbox
            f"{self.url}/sandbox/{name}",
            data=json.dumps(arguments).encode(),
            headers={"Content-Type": "application/json"},
            method="POST",
        )
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S, context=self._context) as response:  # noqa: S310  # as above
                return json.load(response)["result"]
        except urllib.error.HTTPError as error:
            with error:
                content = json.load(error)
            if "refused" in content:
                raise RefusedError(*content["refused"]) from None
            raise ValueError(content["error"]) from None
