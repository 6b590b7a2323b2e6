"""The sandbox as an HTTP server in threads of this process, and what only the sandbox lets a test do."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from airflow_provider_servicenow_dq.sandbox import connections
from airflow_provider_servicenow_dq.sandbox.assertions import private_key
from airflow_provider_servicenow_dq.sandbox.instance import Instance
from airflow_provider_servicenow_dq.sandbox.service import Service
from airflow_provider_servicenow_dq.sandbox.storage import Storage
from airflow_provider_servicenow_dq.sandbox.switches import Switches
from airflow_provider_servicenow_dq.sandbox.web import HttpServer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_provider_servicenow_dq.sandbox.data import SeedUser
    from airflow_provider_servicenow_dq.sandbox.exchange import LoggedRequest
    from airflow_provider_servicenow_dq.sandbox.tls import Tls


class Sandbox:
    """A ServiceNow instance on loopback.

    As a context manager it serves from enter to exit. ``stop`` and ``start`` in between make it unreachable
    for a while and keep its data and its port.

    :param port: 0 takes a free one.
    :param host: Address to listen on.
    :param users: People besides those of the demo data.
    :param jwt_key: Public key or certificate (PEM) of OAuth clients that send JWT assertions, None for the
        pair whose other half is :attr:`jwt_private_key`.
    :param tls: Certificates to serve https with, such as
        :func:`~airflow_provider_servicenow_dq.sandbox.certificates.make_certificates` makes; None for http.
    :param file: SQLite file that keeps the records; without one they are gone with the sandbox.
    :param switches: Fields of :class:`~airflow_provider_servicenow_dq.sandbox.switches.Switches`.
    """

    def __init__(
        self,
        port: int = 0,
        *,
        host: str = "127.0.0.1",
        users: Iterable[SeedUser] = (),
        jwt_key: str | None = None,
        tls: Tls | None = None,
        file: str | Path | None = None,
        **switches: Any,
    ) -> None:
        configured = Switches().changed(**switches)
        self._instance = Instance(configured, users, Storage(Path(file)) if file else None)
        self._server = HttpServer(host, port, tls)
        self._service = Service(self._instance, self._server.url, jwt_key)
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Address of the instance, without a slash at the end."""
        return self._server.url

    @property
    def jwt_private_key(self) -> str:
        """The key (PEM, P-256) that an OAuth client may sign JWT assertions with; it is always the same."""
        return private_key()

    @property
    def users(self) -> tuple[SeedUser, ...]:
        """Who can sign in with a password."""
        everybody = self._instance.users.values()
        return tuple(user for user in everybody if user.password and user.active)

    def connection_uri(self, user_name: str = "svc_airflow", **extra: Any) -> str:
        """Return the URI of an Airflow connection to here.

        :param extra: Fields of the connection's extra, such as ``auth_type``.
        :raises KeyError: Nobody goes by that user name.
        """
        return connections.connection_uri(self.url, self._instance.users[user_name], extra)

    def environment(
        self, conn_id: str = "servicenow_default", user_name: str = "svc_airflow", **extra: Any
    ) -> dict[str, str]:
        """Return the environment variable that makes an Airflow connection to here.

        :param extra: Fields of the connection's extra, such as ``auth_type``.
        :raises KeyError: Nobody goes by that user name.
        """
        connection = connections.connection_json(self.url, self._instance.users[user_name], extra)
        return {f"AIRFLOW_CONN_{conn_id.upper()}": connection}

    @property
    def instance(self) -> Instance:
        """What is behind the HTTP server."""
        return self._instance

    @property
    def service(self) -> Service:
        """What answers the instance's own addresses."""
        return self._service

    @property
    def requests(self) -> list[LoggedRequest]:
        """What clients asked, oldest first; the record pages and the control endpoint are not among it."""
        return list(self._service.log)

    def start(self) -> None:
        """Serve until :meth:`stop`."""
        self._server.open(self)
        self._thread = threading.Thread(target=self._server.serve, name="sandbox", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Refuse connections and cut those that are open."""
        if self._thread is not None:
            self._server.close()
            self._thread.join()
            self._thread = None

    def wait(self) -> None:
        """Block until the server ends."""
        if self._thread is not None:
            self._thread.join()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._service.faults.clear()
        self.stop()
        self._instance.close()

    def records(self, table: str) -> list[dict[str, str]]:
        """Return the raw values of all rows of a table, oldest first, whoever may see them."""
        return [dict(row) for row in self._instance.all_rows(table)]

    def notes(self, sys_id: str) -> list[str]:
        """Return the work notes of a record, oldest first."""
        return [
            row["value"] for row in self._instance.records.journal(sys_id) if row["element"] == "work_notes"
        ]

    def clear_requests(self) -> None:
        """Forget what clients asked."""
        self._service.log.clear()

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
        """Let the next matching requests fail.

        :param kind: A key of :data:`~airflow_provider_servicenow_dq.sandbox.fault_kinds.KINDS`.
        :param path: Regular expression, searched in path and query (percent-decoded).
        :param count: How many requests it hits.
        :param skip: How many matching requests pass first.
        :param options: Options of the kind, and ``body``, a regular expression for the request's body.
        :raises ValueError: There is no such kind or option.
        """
        self._service.faults.fail_next(kind, method=method, path=path, count=count, skip=skip, **options)

    def barrier(
        self, parties: int, *, method: str | None = "GET", path: str | None = None, timeout_s: float = 30
    ) -> None:
        """Hold the answers of matching requests until ``parties`` of them have been executed.

        :param timeout_s: Seconds after which the first to arrive goes on with whoever is there.
        """
        self._service.faults.barrier(parties, method=method, path=path, timeout_s=timeout_s)

    def act_as(self, user_name: str, table: str, sys_id: str, values: Mapping[str, str]) -> dict[str, str]:
        """Let a person edit a record, under the same rules as everybody.

        :raises ValueError: Nobody goes by that user name.
        :raises RefusedError: The instance says no.
        """
        account = self._instance.account(user_name)
        if account is None:
            raise ValueError(f"nobody can act as {user_name!r}")
        return dict(self._instance.update(account, table, sys_id, values))

    def reset(self) -> None:
        """Go back to the demo data; forget faults, barriers, tokens and requests. Switches stay."""
        self._service.reset()

    def configure(self, **switches: Any) -> None:
        """Change some switches.

        :raises TypeError: There is no such switch.
        :raises ValueError: The value is not allowed.
        """
        self._instance.configure(self._instance.switches.changed(**switches))
