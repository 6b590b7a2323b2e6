"""What it means that no answer came: the request never left, or nobody knows."""

from __future__ import annotations

from ssl import SSLCertVerificationError, SSLError

import requests
from urllib3 import exceptions as urllib3_errors

from airflow_provider_servicenow_dq.exceptions import (
    AnswerLostError,
    ConnectionBrokenError,
    ServiceNowConfigError,
    ServiceNowError,
    UnreachableError,
)

#: What the library raises where no answer came.
LIBRARY_ERRORS = (requests.RequestException, urllib3_errors.HTTPError, OSError)

#: TLS failures before or in the handshake: nothing was sent. Others may come in the middle of an answer.
_HANDSHAKE = {
    "WRONG_VERSION_NUMBER": "it does not speak TLS",
    "UNSUPPORTED_PROTOCOL": "no common version",
    "TLSV1_ALERT_PROTOCOL_VERSION": "no common version",
    "NO_PROTOCOLS_AVAILABLE": "no common version",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "it refuses the handshake",
    "NO_CERTIFICATE_OR_CRL_FOUND": "the CA file of verify holds no certificate",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "it wants a client certificate, and client_cert names none",
    "TLSV1_ALERT_UNKNOWN_CA": "it does not know who issued the client certificate",
    "SSLV3_ALERT_BAD_CERTIFICATE": "it refuses the client certificate",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "the client certificate has expired",
    "SSLV3_ALERT_CERTIFICATE_REVOKED": "the client certificate is revoked",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "it refuses the client certificate",
    "TLSV1_ALERT_ACCESS_DENIED": "it refuses the client certificate",
}


def without_answer(error: Exception, host: str) -> ServiceNowError:
    """Return the error to raise for one of the library's.

    Its own text is left out: it may show a proxy's password.
    """
    reason = _root_of(error)
    if words := _never_sent(error, reason, host):
        return UnreachableError(words)
    if isinstance(error, requests.Timeout) or isinstance(reason, urllib3_errors.TimeoutError | TimeoutError):
        return AnswerLostError(f"{host} did not answer in time")
    lost = (requests.ConnectionError, requests.exceptions.ChunkedEncodingError, urllib3_errors.HTTPError)
    if isinstance(error, lost):
        return ConnectionBrokenError(f"The connection to {host} broke before the answer was complete")
    if not isinstance(error, requests.RequestException):
        return ServiceNowConfigError("A CA file, client certificate or key of the connection cannot be read")
    return ServiceNowConfigError(f"The request cannot be sent as it is ({type(error).__name__})")


def _never_sent(error: Exception, reason: BaseException, host: str) -> str:
    """Return why the request never left; nothing if it may have."""
    if isinstance(error, requests.exceptions.ProxyError):
        return _no_way_through_the_proxy(reason, host)
    if isinstance(reason, SSLError | urllib3_errors.SSLError):
        return _tls_never_began(reason, host)
    if isinstance(reason, urllib3_errors.NameResolutionError):
        return f"The name {host} is unknown (DNS): check the host of the connection"
    if isinstance(error, requests.ConnectTimeout):
        return f"{host} does not answer: connecting timed out"
    if isinstance(reason, urllib3_errors.NewConnectionError):
        return f"{host} cannot be reached: the connection was refused, or there is no route"
    return ""


def _no_way_through_the_proxy(reason: BaseException, host: str) -> str:
    if isinstance(reason, urllib3_errors.NewConnectionError):
        return f"The proxy on the way to {host} cannot be reached: check proxy"
    # The status line of the proxy is all that there is, and only in words.
    if "407" in str(reason):
        return f"The proxy on the way to {host} refuses its user or password (407): check proxy"
    return f"The proxy does not connect to {host}"


def _tls_never_began(reason: BaseException, host: str) -> str:
    if isinstance(reason, SSLCertVerificationError):
        return f"TLS failed: the certificate of {host} is not trusted ({reason.verify_message})"
    words = _HANDSHAKE.get(str(getattr(reason, "reason", "")))
    return f"TLS with {host} failed: {words}" if words else ""


def _root_of(error: BaseException) -> BaseException:
    """Return the innermost reason: the libraries wrap it up to four times."""
    seen = error
    while True:
        inner = getattr(seen, "reason", None)
        if not isinstance(inner, BaseException):
            inner = next((item for item in reversed(seen.args) if isinstance(item, BaseException)), None)
        if inner is None:
            return seen
        seen = inner
