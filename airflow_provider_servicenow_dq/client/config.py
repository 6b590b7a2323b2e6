"""What we know of an instance: a pure function from an Airflow connection's fields to one frozen value."""

from __future__ import annotations

import ipaddress
import math
import re
import unicodedata
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_provider_servicenow_dq.client.extras import read_extras, warn_of_unknown_extras
from airflow_provider_servicenow_dq.exceptions import ServiceNowConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

#: What each way to authenticate needs, in the words of the connection form.
_NEEDED: dict[str, tuple[str, ...]] = {
    "basic": ("login", "password"),
    "oauth_client_credentials": ("client_id", "client_secret"),
    "oauth_password": ("client_id", "client_secret", "login", "password"),
    # The instance may know the client as a public one, without a secret.
    "oauth_jwt": ("client_id", "login", "jwt_private_key"),
    "api_key": ("api_key",),
    "bearer": ("api_key",),
}
_NO_ADDRESS = "the host is no address: write it like https://acme.service-now.com"
_HOST = re.compile(r"[\w.-]+|\[[0-9a-fA-F:.]+\]")


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine itself."""
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class InstanceConfig:
    r"""How to reach one instance and as whom. Its text shows no secret.

    :param base_url: ``https://acme.service-now.com``, without a trailing slash.
    :param auth_type: One of ``basic``, ``oauth_client_credentials``, ``oauth_password``, ``oauth_jwt``,
        ``api_key``, ``bearer``.
    :param api_key: Value of ``x-sn-apikey``, or the bearer token.
    :param jwt_private_key: PEM text of the key that signs the JWT assertion; ``\n`` may stand for its line
        breaks.
    :param scope: What an OAuth token is asked for; a securely scoped client needs its scopes named.
    :param client_cert: Path of the client certificate, with ``client_private_key`` if that is another file.
    :param verify: Whether to check the instance's certificate, or the path of a CA file to check it with.
    :param proxy: URL of the proxy to use.
    :param timeout_s: Seconds that one request may take.
    :param max_concurrency: How many requests may be under way at once.
    :param batch_size: How many requests one batch holds at most.
    :raises ServiceNowConfigError: If it cannot work so.
    """

    base_url: str
    auth_type: str = "basic"
    login: str | None = None
    password: str | None = field(default=None, repr=False)
    client_id: str | None = None
    client_secret: str | None = field(default=None, repr=False)
    api_key: str | None = field(default=None, repr=False)
    jwt_private_key: str | None = field(default=None, repr=False)
    jwt_kid: str | None = None
    scope: str | None = None
    client_cert: str | None = None
    client_private_key: str | None = None
    verify: bool | str = True
    proxy: str | None = field(default=None, repr=False)
    timeout_s: float = 30.0
    max_concurrency: int = 4
    batch_size: int | None = None

    def __post_init__(self) -> None:
        _check_base_url(self.base_url)
        _check_credentials(self)
        if self.client_private_key and not self.client_cert:
            raise ServiceNowConfigError(
                "client_private_key needs client_cert, the certificate that belongs to it"
            )
        if self.proxy and urlsplit(self.proxy).scheme not in {"http", "https"}:
            raise ServiceNowConfigError("proxy must be a URL such as http://proxy.example.com:3128")
        if not (math.isfinite(self.timeout_s) and self.timeout_s > 0):
            raise ServiceNowConfigError("timeout_s must be a number of seconds above 0")
        if self.max_concurrency < 1 or (self.batch_size is not None and self.batch_size < 1):
            raise ServiceNowConfigError("max_concurrency and batch_size must be at least 1")

    @property
    def host(self) -> str:
        """Host and, if unusual, port in lower case: what makes two connections the same instance."""
        return urlsplit(self.base_url).netloc.lower()

    @property
    def is_loopback(self) -> bool:
        """Whether the instance is on this machine: a sandbox."""
        return is_loopback(urlsplit(self.base_url).hostname or "")

    @property
    def is_known_by_certificate(self) -> bool:
        """Whether the client certificate is all that we log in with: the instance maps it to a user."""
        return self.auth_type == "basic" and bool(self.client_cert) and not (self.login or self.password)

    @property
    def certificate(self) -> str | tuple[str, str] | None:
        """The client certificate as ``requests`` takes it."""
        if self.client_cert and self.client_private_key:
            return self.client_cert, self.client_private_key
        return self.client_cert

    @property
    def proxies(self) -> dict[str, str] | None:
        """The proxy as ``requests`` takes it."""
        return {"http": self.proxy, "https": self.proxy} if self.proxy else None

    @classmethod
    def from_connection_fields(
        cls,
        *,
        conn_id: str,
        host: str | None,
        login: str | None,
        password: str | None,
        port: int | None,
        extra: Mapping[str, Any],
    ) -> InstanceConfig:
        """Read an Airflow connection. Nulls and empty texts mean unset; texts are coerced (URI connections).

        :param conn_id: Only named in messages.
        :param host: Instance URL, host name or, for ``acme.service-now.com``, just ``acme``.
        :param port: None and 0 (which Airflow's form sends) mean the usual one.
        :param extra: Keys that we do not know are warned of and ignored.
        :raises ServiceNowConfigError: Names the connection and what to do; never holds a secret.
        """
        warn_of_unknown_extras(conn_id, extra, _EXTRA_KEYS)
        try:
            settings = read_extras(extra, _EXTRA_KEYS)
            if settings.get("auth_type") in {"api_key", "bearer"}:
                settings.setdefault("api_key", password or None)
            return cls(_base_url(host, port), login=login or None, password=password or None, **settings)
        except ServiceNowConfigError as error:
            reason = str(error)
        raise ServiceNowConfigError(f"Connection {conn_id!r}: {reason}")


_EXTRA_KEYS = {item.name for item in fields(InstanceConfig)} - {"base_url", "login", "password"}


def _base_url(host: str | None, port: int | None) -> str:
    """Return the instance's URL out of what people write into the host field."""
    address = (host or "").strip()
    if not address:
        raise ServiceNowConfigError(
            "it has no host: fill in the instance's address, https://acme.service-now.com"
        )
    try:
        parts = urlsplit(address if "://" in address else f"https://{address}")
    except ValueError:
        raise ServiceNowConfigError(_NO_ADDRESS) from None
    if "@" in parts.netloc:
        raise ServiceNowConfigError(
            "the host holds a user or password: put them into the login and password fields"
        )
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ServiceNowConfigError(
            "the host must be the instance's address alone, https://acme.service-now.com"
        )
    name = parts.netloc.lower()
    has_port = bool(re.search(r":\d*$", name))
    if re.fullmatch(r"[a-z0-9-]+", name) and not is_loopback(name):
        name = f"{name}.service-now.com"
    if port and not has_port:
        name = f"{name}:{port}"
    usual = ":80" if parts.scheme == "http" else ":443"
    return f"{parts.scheme}://{name.removesuffix(usual)}"


def _check_base_url(base_url: str) -> None:
    try:
        parts = urlsplit(base_url)
        hostname, port = parts.netloc, parts.port
    except ValueError:
        raise ServiceNowConfigError(
            "the host is no address: write it like https://acme.service-now.com"
        ) from None
    if port is not None:
        hostname = hostname.rpartition(":")[0]
    if parts.scheme not in {"http", "https"} or not _HOST.fullmatch(hostname) or base_url.endswith("/"):
        raise ServiceNowConfigError(_NO_ADDRESS)
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise ServiceNowConfigError(
            f"plain http:// would send the password to {hostname} in clear: write https://{hostname}"
        )


def _check_credentials(config: InstanceConfig) -> None:
    needed = () if config.is_known_by_certificate else _NEEDED.get(config.auth_type)
    if needed is None:
        raise ServiceNowConfigError(
            f"unknown auth_type {config.auth_type!r}: choose one of {', '.join(_NEEDED)}"
        )
    missing = [name for name in needed if not getattr(config, name)]
    if missing:
        raise ServiceNowConfigError(
            f"auth_type {config.auth_type} needs {' and '.join(missing)}: fill them in"
        )
    for name in ("login", "password", "client_id", "client_secret", "jwt_private_key"):
        if any(unicodedata.category(character) == "Cs" for character in getattr(config, name) or ""):
            raise ServiceNowConfigError(f"{name} holds half a surrogate pair, which cannot be sent")
    if config.auth_type == "basic" and ":" in (config.login or ""):
        raise ServiceNowConfigError("a login for basic authentication cannot hold a colon")
    if config.auth_type in {"api_key", "bearer"} and not re.fullmatch(r"[\x21-\x7e]+", config.api_key or ""):
        raise ServiceNowConfigError(
            f"the key for auth_type {config.auth_type} holds spaces or unprintable characters"
        )
