"""What goes wrong, in one format: ``{"errors": [{"status", "title", "detail"}]}``, as JSON:API has it."""

from __future__ import annotations

import math
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from fastapi import HTTPException
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException as StarletteHTTPException

from airflow_provider_servicenow_dq.exceptions import (
    AmbiguousNameError,
    AnomalyFormatError,
    DeliveryRefusedError,
    RateLimitedError,
    RecordNotFoundError,
    RefusedError,
    ServiceNowConfigError,
    ServiceNowError,
    StoreError,
    UnknownProjectError,
    UnsafeQueryError,
)
from airflow_provider_servicenow_dq.findings.asked import in_words
from airflow_provider_servicenow_dq.findings.wrong import BadRequestError, KeyReusedError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fastapi import FastAPI
    from starlette.requests import Request

MEDIA_TYPE: Final = "application/vnd.api+json"

#: Seconds until a try makes sense where nobody knows better.
TRY_AGAIN_S: Final = 10.0

_MOST_ERRORS: Final = 20
_LONGEST_DETAIL: Final = 2000


#: What whoever asks can do something about.
_STATUSES: Final[tuple[tuple[tuple[type[ServiceNowError], ...], HTTPStatus], ...]] = (
    ((RecordNotFoundError, UnknownProjectError, NotFoundError), HTTPStatus.NOT_FOUND),
    ((AmbiguousNameError, DeliveryRefusedError, KeyReusedError), HTTPStatus.CONFLICT),
    ((BadRequestError,), HTTPStatus.BAD_REQUEST),
    ((ServiceNowConfigError, UnsafeQueryError, AnomalyFormatError), HTTPStatus.BAD_REQUEST),
)


class JsonApi(JSONResponse):
    """An answer as Datadog's API gives it."""

    media_type = MEDIA_TYPE


class Error(BaseModel):
    """One thing that is wrong."""

    status: str
    title: str
    detail: str


class Errors(BaseModel):
    """Everything that is wrong."""

    errors: list[Error]


class NotReadyError(ServiceNowError):
    """The connection or a setting cannot work as written, which whoever asks cannot help."""


def answer(status: int, details: Iterable[str], headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Return an answer that says what is wrong."""
    title = HTTPStatus(status).phrase
    errors = [
        Error(status=str(int(status)), title=title, detail=detail[:_LONGEST_DETAIL]) for detail in details
    ]
    content = Errors(errors=errors[:_MOST_ERRORS]).model_dump()
    return JSONResponse(content, status, headers=dict(headers or {}), media_type=MEDIA_TYPE)


def later(status: int, detail: str, wait_s: float | None) -> HTTPException:
    """Return the error for what may go better later.

    :param wait_s: Seconds until then; None where nobody knows.
    """
    seconds = str(max(1, math.ceil(TRY_AGAIN_S if wait_s is None else wait_s)))
    headers = {"Retry-After": seconds}
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        # Datadog's clients read this one, as seconds from now.
        headers["X-RateLimit-Reset"] = seconds
    return HTTPException(status, detail, headers)


def broken() -> HTTPException:
    """Return the error for what nobody expected."""
    return HTTPException(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "Something went wrong here; the log of Airflow's API server says what",
    )


def problem_of(error: ServiceNowError) -> HTTPException:
    """Return what an error of ours is in HTTP."""
    wait_s = getattr(error, "retry_after", None)
    if limited := _rate_limit_behind(error):
        wait_s = limited.retry_after if wait_s is None else wait_s
        return later(HTTPStatus.TOO_MANY_REQUESTS, str(error), wait_s)
    for kinds, status in _STATUSES:
        if isinstance(error, kinds):
            return HTTPException(status, str(error))
    if isinstance(error, RefusedError) and error.status == HTTPStatus.BAD_REQUEST:
        return HTTPException(HTTPStatus.BAD_REQUEST, str(error))
    # What a store says of itself names files and hosts that are nobody's business here.
    words = "The store cannot be used now" if isinstance(error, StoreError) else str(error)
    return later(HTTPStatus.SERVICE_UNAVAILABLE, words, wait_s)


def _rate_limit_behind(error: BaseException | None) -> RateLimitedError | None:
    while error is not None:
        if isinstance(error, RateLimitedError):
            return error
        error = error.__cause__
    return None


def install(app: FastAPI) -> None:
    """Let an application answer in this format, whatever is wrong."""
    app.add_exception_handler(StarletteHTTPException, _for_http)
    app.add_exception_handler(RequestValidationError, _for_validation)


async def _for_http(request: Request, error: Exception) -> JSONResponse:
    known = error if isinstance(error, StarletteHTTPException) else StarletteHTTPException(500)
    headers = known.headers
    if known.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers = {"Allow": ", ".join(sorted(_methods_at(request)))}
    detail = str(known.detail)
    if known.status_code == HTTPStatus.NOT_FOUND and detail == HTTPStatus.NOT_FOUND.phrase:
        detail = "There is nothing at this address"
    return answer(known.status_code, [detail], headers)


async def _for_validation(request: Request, error: Exception) -> JSONResponse:  # noqa: ARG001 (Starlette's signature)
    found: list[dict[str, Any]] = list(error.errors()) if isinstance(error, RequestValidationError) else []
    return answer(HTTPStatus.BAD_REQUEST, map(_in_words, found))


def _in_words(found: Mapping[str, Any]) -> str:
    """Say where in a request something is wrong, and what; not what stood there."""
    return in_words(found)


def _methods_at(request: Request) -> set[str]:
    """Return what can be done at an address; Starlette names the methods of one route alone."""
    methods: set[str] = set()
    for route in request.app.routes:
        if route.matches(request.scope)[0].value:
            methods |= getattr(route, "methods", None) or set()
    return methods
