"""Throw-away certificates to try https and client certificates with."""

from __future__ import annotations

import datetime as dt
import ipaddress
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_servicenow_dq.sandbox.tls import Tls

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

_LIFE = dt.timedelta(days=30)


def make_certificates(folder: str | Path, users: Iterable[str] = ("svc_airflow",)) -> Tls:
    """Write an authority, the certificate of a server on this machine, and one for each user.

    ``ca.pem`` is the authority; ``server.pem`` and each ``<user>.pem`` hold a certificate with its key.

    :param folder: Where to write them; it is made if need be, and what it holds of these is replaced.
    :param users: User names to make client certificates for.
    :returns: What a sandbox serves https with.
    """
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    ca_key, ca = _certificate("ServiceNow sandbox authority", None)
    (place / "ca.pem").write_bytes(_pem(ca))
    for name in ("server", *users):
        key, certificate = _certificate("localhost" if name == "server" else name, (ca_key, ca))
        path = place / f"{name}.pem"
        path.touch(mode=0o600)
        path.write_bytes(_pem(certificate) + _key_pem(key))
    return Tls(place / "server.pem", None, place / "ca.pem")


def _certificate(
    name: str, authority: tuple[ec.EllipticCurvePrivateKey, x509.Certificate] | None
) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    # Only who asks for certificates pays for loading cryptography.
    from cryptography import x509  # noqa: PLC0415  # see above
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415  # see above
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415  # see above
    from cryptography.x509.oid import NameOID  # noqa: PLC0415  # see above

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signing_key, issuer = (authority[0], authority[1].subject) if authority else (key, subject)
    now = dt.datetime.now(dt.UTC)
    addresses = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + _LIFE)
        .add_extension(x509.BasicConstraints(ca=authority is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signing_key.public_key()), critical=False
        )
    )
    if authority is None:
        usage = x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=True,
            crl_sign=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        builder = builder.add_extension(usage, critical=True)
    else:
        builder = builder.add_extension(x509.SubjectAlternativeName(addresses), critical=False)
    return key, builder.sign(signing_key, hashes.SHA256())


def _pem(certificate: x509.Certificate) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding  # noqa: PLC0415  # as in _certificate

    return certificate.public_bytes(Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415  # as in _certificate

    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
