"""What every route of ours is: guarded before anything of a request is read, bounded, never speechless."""

from __future__ import annotations

import logging
import traceback
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from fastapi import HTTPException
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.requests import ClientDisconnect, Request

from airflow_provider_servicenow_dq.plugins import guards, problems
from airflow_provider_servicenow_dq.plugins.hiding import Secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from starlette.responses import Response
    from starlette.types import Message, Receive

log = logging.getLogger(__name__)

#: Bytes of a request's body.
LARGEST_BODY: Final = 2 * 1024 * 1024
_MOST_DIGITS: Final = len(str(LARGEST_BODY))


class GuardedRoute(APIRoute):
    """A route that only somebody who may use it gets to; whoever that is, is ``request.state.asked_by``."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what serves a request."""
        handle = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            try:
                bounded = Request(request.scope, _bounded(request))
                bounded.state.asked_by = await self.admit(bounded)
                if self.body_field is not None:
                    _check_is_json(bounded)
                return await handle(bounded)
            except (StarletteHTTPException, RequestValidationError):
                raise
            except ClientDisconnect:
                return problems.answer(HTTPStatus.BAD_REQUEST, ["The connection broke before the body's end"])
            except Exception:  # noqa: BLE001 (Starlette would answer, and then raise it on to Airflow)
                words = Secrets().hidden_in_log(traceback.format_exc())
                log.error("%s %s failed: %s", request.method, self.path, words)  # noqa: TRY400 (hidden)
                raise problems.broken() from None

        return guarded

    async def admit(self, request: Request) -> str:
        """Return who asks, if they may.

        :raises HTTPException: If not.
        """
        return (await guards.admit(request)).get_id()


def _check_is_json(request: Request) -> None:
    """Make sure that a body, where there is one, says that it is JSON.

    :raises HTTPException: 415 if it says something else, or nothing.
    """
    has_body = request.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in request.headers
    kind, _, subkind = (
        request.headers.get("Content-Type", "").partition(";")[0].strip().lower().partition("/")
    )
    if has_body and not (kind == "application" and (subkind == "json" or subkind.endswith("+json"))):
        raise HTTPException(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "The body has to be JSON (Content-Type: application/json)"
        )


def _bounded(request: Request) -> Receive:
    """Return a way to receive a body that ends in an error when the body is too large, announced or not."""
    announced = request.headers.get("Content-Length", "").lstrip("0")
    # By their count first: Python makes no number of thousands of digits.
    is_too_large = len(announced) > _MOST_DIGITS or (announced.isdecimal() and int(announced) > LARGEST_BODY)
    received = LARGEST_BODY + 1 if is_too_large else 0

    async def receive() -> Message:
        nonlocal received
        if received > LARGEST_BODY:
            raise _too_large()
        message = await request.receive()
        received += len(message.get("body", b""))
        if received > LARGEST_BODY:
            raise _too_large()
        return message

    return receive


def _too_large() -> HTTPException:
    # What is still under way is not read any more.
    return HTTPException(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"The body is larger than {LARGEST_BODY} bytes",
        {"Connection": "close"},
    )
