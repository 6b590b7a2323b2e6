"""Who may do what: all that is used of Airflow's security, none of which is a public interface.

Airflow mounts the applications of plugins without any protection, so each of our routes brings its own.
``AuthManagerDep`` and what is built on it fail in a mounted application, which has no ``app.state`` of
Airflow's; :func:`get_auth_manager` does not (Airflow 3.2.2 and 3.3.2).
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import AccessView
from airflow.api_fastapi.core_api.security import bearer_scheme, get_user, resolve_user_from_token
from fastapi import HTTPException
from starlette.concurrency import run_in_threadpool

from airflow_provider_servicenow_dq import settings
from airflow_provider_servicenow_dq.exceptions import ServiceNowConfigError
from airflow_provider_servicenow_dq.plugins.problems import later

if TYPE_CHECKING:
    from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
    from fastapi.security import HTTPAuthorizationCredentials
    from starlette.requests import Request

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


async def admit(request: Request) -> BaseUser:
    """Return who asks, if they may: whoever sees Airflow's website reads; writing needs more.

    :raises HTTPException: 401 for nobody, 403 for somebody who may not, or whose browser was sent here by
        another site; 503 if the setting that decides means nothing.
    """
    token = await bearer_scheme(request)
    user = await _who(request, token)
    # Auth managers may ask their database, as Airflow's own routes let them in threads.
    if not await run_in_threadpool(_may_read, user):
        raise HTTPException(HTTPStatus.FORBIDDEN, "You may not see this Airflow's website")
    if request.method not in _SAFE:
        _check_origin(request, has_token=token is not None)
        await run_in_threadpool(_check_may_write, user)
    return user


async def _who(request: Request, token: HTTPAuthorizationCredentials | None) -> BaseUser:
    try:
        # Airflow 3.2 goes by the cookie although a token is given.
        return await (resolve_user_from_token(token.credentials) if token else get_user(request, None, None))
    except (HTTPException, ValueError) as error:
        # Airflow answers 403 to what is no token at all, and FAB breaks on a token of somebody who is gone:
        # nobody is known then either.
        words = str(error.detail) if isinstance(error, HTTPException) else "Not authenticated"
        raise HTTPException(HTTPStatus.UNAUTHORIZED, words, {"WWW-Authenticate": "Bearer"}) from None


def _may_read(user: BaseUser) -> bool:
    return get_auth_manager().is_authorized_view(access_view=AccessView.WEBSITE, user=user)


def _check_may_write(user: BaseUser) -> None:
    try:
        what = settings.write_access()
    except ServiceNowConfigError as error:
        raise later(HTTPStatus.SERVICE_UNAVAILABLE, str(error), None) from error
    manager = get_auth_manager()
    if what == "dag":
        may = manager.is_authorized_dag(method="PUT", user=user)
    else:
        may = manager.is_authorized_connection(method="PUT", user=user)
    if not may:
        raise HTTPException(
            HTTPStatus.FORBIDDEN, f"Writing needs the right to edit {what}s ([servicenow_dq] write_access)"
        )


def _check_origin(request: Request, *, has_token: bool) -> None:
    """Make sure that a browser that is logged in was not sent here by another site.

    A token in a header is proof enough: no site can make a browser send one. Where Airflow puts it there
    itself, it is none.

    :raises HTTPException: If it was, or if it cannot be told.
    """
    if has_token and not settings.lets_everybody_in():
        return
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site is None and origin is None and has_token:
        return
    # Browsers say the former themselves; behind a proxy they know better than we what our own origin is.
    is_ours = site == "same-origin" if site is not None else _is_our_origin(request, origin)
    if not is_ours:
        raise HTTPException(
            HTTPStatus.FORBIDDEN,
            "With a cookie, changes are only taken from pages of this Airflow (Origin, Sec-Fetch-Site); "
            "other clients send Authorization: Bearer",
        )


def _is_our_origin(request: Request, origin: str | None) -> bool:
    told = urlsplit(settings.base_url())
    ours = {f"{request.scope['scheme']}://{request.headers.get('Host', '')}"}
    # It may be a path alone, and then says nothing of the host.
    if told.scheme and told.netloc:
        ours.add(f"{told.scheme}://{told.netloc}".lower())
    return origin in ours
