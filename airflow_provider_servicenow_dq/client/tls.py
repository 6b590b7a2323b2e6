"""The files that a connection names for TLS, tried before anything is sent."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_servicenow_dq.exceptions import ServiceNowConfigError

if TYPE_CHECKING:
    from airflow_provider_servicenow_dq.client.config import InstanceConfig


def check_tls_files(config: InstanceConfig) -> None:
    """Load the CA file and the client certificate, so that what is wrong with one is said by its name.

    :raises ServiceNowConfigError: If one cannot be read or used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if isinstance(config.verify, str):
        _check_readable("verify", config.verify)
        if Path(config.verify).is_file():
            _load_ca(context, config.verify)
    if config.client_cert:
        _check_readable("client_cert", config.client_cert)
        if config.client_private_key:
            _check_readable("client_private_key", config.client_private_key)
        _load_certificate(context, config.client_cert, config.client_private_key)


def _check_readable(key: str, path: str) -> None:
    """Try to read a file; of a directory, which ``verify`` may be, only that it is there."""
    try:
        if not (key == "verify" and Path(path).is_dir()):
            Path(path).open("rb").close()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
    else:
        return
    raise ServiceNowConfigError(f"{key}: {path!r} cannot be read ({reason}); it must be on every worker")


def _load_ca(context: ssl.SSLContext, path: str) -> None:
    try:
        context.load_verify_locations(path)
    except (ssl.SSLError, ValueError):
        raise ServiceNowConfigError(f"verify: {path!r} holds no certificate in PEM") from None


def _load_certificate(context: ssl.SSLContext, certificate: str, key: str | None) -> None:
    try:
        context.load_cert_chain(certificate, key, password=_refuse_passphrase)
    except ssl.SSLError as error:
        reason = error.reason
    else:
        return
    if reason == "KEY_VALUES_MISMATCH":
        raise ServiceNowConfigError("client_private_key does not belong to client_cert")
    if key is None:
        raise ServiceNowConfigError(
            "client_cert must be a PEM file with the certificate and its private key; "
            "client_private_key names the key's file if that is another"
        )
    raise ServiceNowConfigError(
        "client_cert and client_private_key must be PEM files, of a certificate and of its key"
    )


def _refuse_passphrase() -> str:
    """Refuse in OpenSSL's stead, which would ask for the passphrase on the terminal, and wait."""
    raise ServiceNowConfigError(
        "the client's private key is locked with a passphrase, which a connection cannot hold"
    )
