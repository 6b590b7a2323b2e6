"""https: the server's certificate, and the certificates that clients may sign in with."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Tls:
    """What the server shows and whom it believes; all files are PEM.

    :param certificate: Its certificate, with those between it and its authority.
    :param private_key: The key to it; None where it is in the same file.
    :param client_ca: Authorities of client certificates, None to ask for none. The common name of such a
        certificate is the user name of who shows it and signs in no other way.
    :param wants_client: Refuse the connection of a client that shows none.
    """

    certificate: str | Path
    private_key: str | Path | None = None
    client_ca: str | Path | None = None
    wants_client: bool = False

    def __post_init__(self) -> None:
        if self.wants_client and self.client_ca is None:
            raise ValueError("to want client certificates takes an authority to check them with")

    def context(self) -> ssl.SSLContext:
        """Read the files.

        :raises OSError: One of them is missing or cannot be used.
        """
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.certificate, self.private_key)
        if self.client_ca is not None:
            context.load_verify_locations(self.client_ca)
            context.verify_mode = ssl.CERT_REQUIRED if self.wants_client else ssl.CERT_OPTIONAL
        return context


def common_name(connection: object) -> str:
    """Return the common name in the certificate that a client has shown, empty if it has shown none."""
    certificate = connection.getpeercert() if isinstance(connection, ssl.SSLSocket) else None
    for part in (certificate or {}).get("subject", ()):
        match part:
            case (("commonName", str(name)),):
                return name
    return ""
