"""The HTTP session of one instance."""

from __future__ import annotations

from http import HTTPStatus
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any

import requests
from requests.adapters import HTTPAdapter

from airflow_provider_servicenow_dq import __version__
from airflow_provider_servicenow_dq.client.tls import check_tls_files

if TYPE_CHECKING:
    from airflow_provider_servicenow_dq.client.auth import InstanceAuth
    from airflow_provider_servicenow_dq.client.config import InstanceConfig


class InstanceSession(requests.Session):
    """A session of one instance: it keeps no cookies, follows no redirect and never waits for ever.

    Cookies would queue all requests of one session behind each other on the instance, which drops those
    that are too many with a 202. There is no adapter for any other host, so credentials cannot go there.

    :param config: The instance. A path given instead of a URL is one of this instance.
    :param auth: What signs every request.
    :raises ServiceNowConfigError: If a CA file, certificate or key cannot be used.
    """

    def __init__(self, config: InstanceConfig, auth: InstanceAuth) -> None:
        super().__init__()
        check_tls_files(config)
        self.base_url = config.base_url
        self.timeout_s = config.timeout_s
        self.instance_auth = auth
        self.auth = auth
        self.headers["Accept"] = "application/json"
        self.headers["User-Agent"] = f"airflow-provider-servicenow-dq/{__version__}"
        self.verify = config.verify
        self.cert = config.certificate
        # A company's proxy and CA bundle are found in the environment, but never lie before a sandbox.
        self.trust_env = not config.is_loopback
        self.proxies = config.proxies or {}
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.adapters.clear()
        self.mount(
            f"{config.base_url}/", HTTPAdapter(pool_connections=1, pool_maxsize=config.max_concurrency)
        )

    def request(self, method: str | bytes, url: str | bytes, *args: Any, **kwargs: Any) -> requests.Response:
        """Send a request; ``/api/now/…`` is a path of the instance."""
        if isinstance(url, str) and url.startswith("/"):
            url = self.base_url + url
        # What a session was given, REQUESTS_CA_BUNDLE and HTTPS_PROXY of the environment would win over.
        if self.verify is not True:
            kwargs.setdefault("verify", self.verify)
        if self.proxies:
            kwargs.setdefault("proxies", dict(self.proxies))
        return super().request(method, url, *args, **kwargs)

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Send a prepared request, once more with a new token if the instance refuses the one in use."""
        if kwargs.get("timeout") is None:
            kwargs["timeout"] = self.timeout_s
        response = super().send(request, **kwargs)
        if response.status_code != HTTPStatus.UNAUTHORIZED or not isinstance(
            request.body, str | bytes | None
        ):
            return response
        if not self.instance_auth.renew(request):
            return response
        response.close()
        return super().send(self.instance_auth(request.copy()), **kwargs)

    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002  # the library passes it
        """Return None: a redirect leads to a login page or away from the instance."""
        return None
