"""What Airflow mounts under ``/servicenow-dq``.

Every component of Airflow imports its plugins, so nothing is imported here before a request arrives.
"""

from __future__ import annotations

import asyncio
import threading
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk.plugins_manager import AirflowPlugin

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from fastapi import FastAPI

    Message = MutableMapping[str, Any]

URL_PREFIX: Final = "/servicenow-dq"


class LazyApp:
    """The REST routes as an ASGI application that is built when the first request arrives."""

    def __init__(self) -> None:
        self._building = threading.Lock()

    async def __call__(
        self,
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        """Serve one request or websocket; Airflow's root application keeps the lifespan to itself."""
        if "_app" not in self.__dict__:
            # Importing takes a second, during which Airflow's own requests go on.
            await asyncio.to_thread(self._build)
        await self._app(scope, receive, send)

    def _build(self) -> None:
        with self._building:
            _ = self._app

    @cached_property
    def _app(self) -> FastAPI:
        from airflow_provider_servicenow_dq.plugins.api import create_app  # noqa: PLC0415 (see the module)

        return create_app()


class ServiceNowPlugin(AirflowPlugin):
    """The REST routes of anomalies and their tickets, in Airflow's API server."""

    name = "servicenow_dq"
    fastapi_apps = [  # noqa: RUF012 (as Airflow declares it)
        {"name": "ServiceNow data quality", "app": LazyApp(), "url_prefix": URL_PREFIX}
    ]
