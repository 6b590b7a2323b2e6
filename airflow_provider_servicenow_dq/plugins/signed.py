"""Requests of an instance, which has no login here: signed with a secret that its connection knows as well.

The signature is the base64 of ``HMAC-SHA256(secret, timestamp + "." + body)``, as an instance makes it with
``GlideCertificateEncryption.generateMac``. A request is taken for five minutes around its timestamp.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import hmac
import re
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from fastapi import HTTPException

from airflow_provider_servicenow_dq.plugins.reach import CONN_ID, webhook_secret
from airflow_provider_servicenow_dq.plugins.routing import GuardedRoute

if TYPE_CHECKING:
    from starlette.requests import Request

    from airflow_provider_servicenow_dq.plugins.work import Work

SIGNATURE: Final = "X-ServiceNow-DQ-Signature"
TIMESTAMP: Final = "X-ServiceNow-DQ-Timestamp"

#: How far a timestamp may be from our clock, in seconds.
NEAR_S: Final = 300

_SECONDS: Final = re.compile(r"[0-9]{1,12}")


class SignedRoute(GuardedRoute):
    """A route that only an instance gets to whose requests are signed."""

    async def admit(self, request: Request) -> str:
        """Return the connection of the instance that asks.

        :raises HTTPException: 401 if it cannot be told that it is the instance, whatever the reason; 503
            while nobody can be asked for its secret.
        """
        timestamp, signature = request.headers.get(TIMESTAMP, ""), request.headers.get(SIGNATURE, "")
        # Looked at first: whoever has nothing to show makes nobody look up a connection.
        if not is_near(timestamp, now=time.time()) or not signature:
            raise _unknown()
        conn_id = request.query_params.get("servicenow_conn_id")
        if conn_id is not None and not re.fullmatch(CONN_ID, conn_id):
            raise _unknown()
        # Read in any case: else how a large body is refused tells which connections have a secret.
        body = await request.body()
        lookups: Work = request.app.state.lookups
        secret = await lookups.run(f"secret of {conn_id!r}", functools.partial(webhook_secret, conn_id))
        if not secret or not is_signed(body, secret, timestamp=timestamp, signature=signature):
            raise _unknown()
        return f"servicenow:{conn_id or ''}"


def is_near(timestamp: str, *, now: float) -> bool:
    """Whether a timestamp is about now.

    :param timestamp: Seconds since 1970, as text.
    :param now: Seconds since 1970.
    """
    return bool(_SECONDS.fullmatch(timestamp)) and abs(int(timestamp) - now) <= NEAR_S


def is_signed(body: bytes, secret: str, *, timestamp: str, signature: str) -> bool:
    """Whether a body and its timestamp were signed with a secret.

    :param signature: Base64.
    """
    due = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).digest()
    return hmac.compare_digest(base64.b64encode(due), signature.encode("utf-8", "replace"))


def _unknown() -> HTTPException:
    return HTTPException(
        HTTPStatus.UNAUTHORIZED,
        f"The signature is wrong or too old ({TIMESTAMP}, {SIGNATURE}), or the connection has no "
        "webhook_secret",
        {"WWW-Authenticate": "ServiceNow-DQ-HMAC"},
    )
