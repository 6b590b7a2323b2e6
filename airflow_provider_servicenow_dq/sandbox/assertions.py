"""JWT assertions of the bearer grant: whose they are, and whether they are good.

After the vendor's page "Create an OAuth JWT API endpoint for external clients": ``aud`` and ``iss`` are the
client id, ``sub`` is found in a column of ``sys_user``, ``jti`` is good once, clocks may be 300 s apart.
"""

from __future__ import annotations

import hashlib
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from joserfc.jwk import ECKey, RSAKey

    from airflow_provider_servicenow_dq.sandbox.instance import Instance

_ALGORITHMS = ["RS256", "RS384", "RS512", "ES256", "ES384", "ES512"]
_SKEW_S = 300
#: What the key pair built in is derived from: the same in every run, and a secret of nobody.
_SEED = b"servicenow-dq sandbox"


def private_key() -> str:
    """Return the private half of the key pair built in: P-256, in PEM."""
    # Only who uses assertions pays for loading cryptography.
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415  # see above
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415  # see above

    number = int.from_bytes(hashlib.sha256(_SEED).digest())
    return (
        ec.derive_private_key(number, ec.SECP256R1())
        .private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        .decode()
    )


def read_key(pem: str) -> RSAKey | ECKey:
    """Read a key or a certificate.

    :raises ValueError: The text is no RSA or EC key in PEM.
    """
    from joserfc import errors, jwk  # noqa: PLC0415  # as in private_key

    for kind in (jwk.RSAKey, jwk.ECKey):
        try:
            key: RSAKey | ECKey = kind.import_key(pem)
        except (errors.JoseError, ValueError, TypeError):
            continue
        return key
    raise ValueError("the key for JWT assertions is no RSA or EC public key in PEM")


class Assertions:
    """Checks assertions, and remembers those that were used.

    :param pem: Public key or certificate of the clients, None for the pair built in.
    """

    def __init__(self, instance: Instance, pem: str | None) -> None:
        self._instance = instance
        self._key = read_key(pem) if pem is not None else None
        self._lock = threading.Lock()
        self._used: dict[str, float] = {}

    def forget(self) -> None:
        """Let every assertion be used again."""
        with self._lock:
            self._used.clear()

    def user_of(self, assertion: str, client_id: str) -> str | None:
        """Return the user name that an assertion speaks for, None where it is no good."""
        claims = self._claims_of(assertion)
        if claims is None or claims.get("aud") not in (client_id, [client_id]):
            return None
        ends = claims.get("exp")
        if claims.get("iss") != client_id or not isinstance(ends, int | float):
            return None
        if ends + _SKEW_S < time.time() or not self._is_new(claims.get("jti"), ends):
            return None
        column = self._instance.switches.jwt_user_field
        for row in self._instance.all_rows("sys_user"):
            if row[column] and row[column] == claims.get("sub"):
                return row["user_name"]
        return None

    def _claims_of(self, assertion: str) -> dict[str, Any] | None:
        from joserfc import errors, jwt  # noqa: PLC0415  # as in private_key

        if self._key is None:
            self._key = read_key(private_key())
        try:
            return jwt.decode(assertion, self._key, algorithms=_ALGORITHMS).claims
        except (errors.JoseError, ValueError, TypeError, KeyError):
            return None

    def _is_new(self, jti: object, ends: float) -> bool:
        """Use up an assertion; it is remembered as long as it could be used."""
        if not self._instance.switches.jwt_one_time:
            return True
        if not isinstance(jti, str) or not jti:
            return False
        now = time.time()
        with self._lock:
            self._used = {used: until for used, until in self._used.items() if until > now}
            if jti in self._used:
                return False
            self._used[jti] = ends + _SKEW_S
        return True
