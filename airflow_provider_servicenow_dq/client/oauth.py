"""Asking an instance for a token. The OAuth is authlib's; what is ours is what its failures mean."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import requests

from airflow_provider_servicenow_dq.client.answers import failure_of, is_json
from airflow_provider_servicenow_dq.client.hiding import without_secrets
from airflow_provider_servicenow_dq.client.lost import without_answer
from airflow_provider_servicenow_dq.exceptions import (
    MayHaveHappenedError,
    NotServiceNowError,
    ServiceNowConfigError,
    ServiceNowError,
    TokenRefusedError,
    UnreachableError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_servicenow_dq.client.config import InstanceConfig

#: Life of a token where the instance names none: its documented default.
_USUAL_LIFE_S = 1800.0
#: A token is renewed this long before it ends, or at half of its life if that is shorter: until it ends the
#: instance always returns the current one, so what is left of it can be short.
_MARGIN_S = 60.0

#: How a key signs; the instance takes RS and ES of 256 to 512 bits.
_ALGORITHMS = {"RSA": "RS256", "P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}
_ASSERTION_LIFE_S = 300

_CLIENT = "the client id or secret is wrong or missing, or the OAuth client is inactive"
#: What can be wrong with each grant, in the platform's own names: it says ``access_denied`` to all of it.
_CAUSES = {
    "oauth_client_credentials": (
        f"{_CLIENT}; the system property glide.oauth.inbound.client.credential.grant_type.enabled is not "
        "true; the OAuth client has no OAuth Application User, or that user is inactive"
    ),
    "oauth_password": (
        f"{_CLIENT}; the login or password is wrong; the user is locked out, inactive, or must first reset "
        "the password"
    ),
    "oauth_jwt": (
        f"{_CLIENT}; the JWT endpoint has no verifier map for jwt_kid with the certificate that belongs to "
        "jwt_private_key; no active user has the login as the JWT user field; the clocks differ by more than "
        "5 minutes"
    ),
}


@dataclass(frozen=True, slots=True)
class Token:
    """An access token.

    :param renew_at: When to ask for the next, by the monotonic clock.
    """

    value: str = field(repr=False)
    renew_at: float


def fetch_token(config: InstanceConfig, on_secret: Callable[[str], None]) -> Token:
    """Ask the instance for a token.

    :raises UnreachableError: Also where the answer was lost: the request that needed the token was not sent.
    :raises TokenRefusedError: If it refuses.
    """
    # Only those who use OAuth pay for loading it.
    from authlib.integrations.base_client import OAuthError  # noqa: PLC0415  # see above
    from authlib.integrations.requests_client import OAuth2Session  # noqa: PLC0415  # see above

    grant = _grant(config, on_secret)
    failure: ServiceNowError
    # The instance takes the secret in the body only (glide.oauth.allow.parameters.in.post.body.only).
    how = "client_secret_post" if config.client_secret else "none"
    with OAuth2Session(config.client_id, config.client_secret, token_endpoint_auth_method=how) as session:
        session.trust_env = not config.is_loopback
        session.register_compliance_hook("access_token_response", _checked_reply)
        try:
            reply = session.fetch_token(
                f"{config.base_url}/oauth_token.do",
                timeout=config.timeout_s / 3,  # it delays a write, which must not be sent late
                allow_redirects=False,
                verify=config.verify,
                cert=config.certificate,
                proxies=config.proxies,
                **grant,
            )
        except OAuthError as error:
            failure = _refusal(config, error.error, error.description)
        except MayHaveHappenedError as error:
            failure = UnreachableError(f"No token: {error}", error.retry_after)
        except requests.RequestException as error:
            failure = _lost(error, config.host)
        except (ValueError, TypeError, OverflowError):
            failure = NotServiceNowError("No token: the answer of the token endpoint is none of ServiceNow's")
        else:
            return _token_of(reply, on_secret)
    # Raised outside the handler: the library's error carries the request with the secrets in its body.
    raise without_secrets(failure, (config.client_secret, grant.get("password"), grant.get("assertion")))


def _grant(config: InstanceConfig, on_secret: Callable[[str], None]) -> dict[str, str]:
    """Return the form fields that say by what right we ask, beside the client's own."""
    scope = {"scope": config.scope} if config.scope else {}
    if config.auth_type == "oauth_password":
        person = {"username": config.login or "", "password": config.password or ""}
        return {"grant_type": "password"} | person | scope
    if config.auth_type == "oauth_jwt":
        assertion = _assertion(config)
        on_secret(assertion)
        grant = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": assertion}
        return grant | scope
    return {"grant_type": "client_credentials"} | scope


def _assertion(config: InstanceConfig) -> str:
    """Return a signed JWT: login is the subject, the client id issuer and audience (create-jwt-endpoint.md).

    :raises ServiceNowConfigError: If the key cannot sign.
    """
    from joserfc import errors, jwk, jwt  # noqa: PLC0415  # as in fetch_token

    now = int(time.time())
    claims = {"iss": config.client_id, "aud": config.client_id, "sub": config.login, "jti": uuid.uuid4().hex}
    pem = config.jwt_private_key or ""
    try:
        key: jwk.RSAKey | jwk.ECKey
        try:
            key = jwk.RSAKey.import_key(pem)
        except errors.InvalidKeyTypeError:
            key = jwk.ECKey.import_key(pem)
        algorithm = _ALGORITHMS[key.curve_name if isinstance(key, jwk.ECKey) else "RSA"]
        header = {"alg": algorithm} | ({"kid": config.jwt_kid} if config.jwt_kid else {})
        return jwt.encode(header, claims | {"iat": now, "exp": now + _ASSERTION_LIFE_S}, key, [algorithm])
    except (errors.JoseError, ValueError, TypeError, KeyError) as error:
        reason = type(error).__name__
    raise ServiceNowConfigError(f"jwt_private_key cannot sign ({reason}): it must be an RSA or EC key in PEM")


def _checked_reply(reply: requests.Response) -> requests.Response:
    """Return a reply that authlib can read; anything else than JSON is told in our words.

    :raises ServiceNowError: If it is a page, 429 or 5xx.
    """
    understood = {HTTPStatus.OK, HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
    readable = is_json(reply.headers) and reply.status_code in understood
    try:
        if readable and isinstance(reply.json(), dict):
            return reply
    except requests.JSONDecodeError:
        pass
    raise failure_of(reply.status_code, reply.headers, reply.content)


def _refusal(config: InstanceConfig, error: Any, description: Any) -> TokenRefusedError:
    """Return what a refused token means. ServiceNow says ``access_denied`` for nearly everything."""
    # A refusal of the REST layer: {"error": {"message", "detail"}}.
    words = error.get("message") or error.get("detail") if isinstance(error, dict) else description or error
    return TokenRefusedError(
        HTTPStatus.UNAUTHORIZED,
        f"No token from {config.host}: {words}",
        f"It says so for any of these: {_CAUSES[config.auth_type]}",
    )


def _lost(error: requests.RequestException, host: str) -> ServiceNowError:
    """Return why no answer came. Whatever it is, the request that needed the token was not sent."""
    failure = without_answer(error, host)
    if isinstance(failure, MayHaveHappenedError):
        return UnreachableError(f"No token: {failure}", failure.retry_after)
    return failure


def _token_of(reply: dict[str, Any], on_secret: Callable[[str], None]) -> Token:
    value = reply.get("access_token")
    if not isinstance(value, str) or not value:
        raise TokenRefusedError(HTTPStatus.UNAUTHORIZED, "No token: the answer holds none")
    on_secret(value)
    if isinstance(refresh := reply.get("refresh_token"), str):
        on_secret(refresh)
    life = _life_s(reply.get("expires_in"))
    return Token(value, time.monotonic() + life - min(_MARGIN_S, life / 2))


def _life_s(expires_in: Any) -> float:
    """Return the seconds that a token has left; it may be handed out at the very end of its life."""
    try:
        return max(0.0, float(expires_in))
    except (TypeError, ValueError):
        return _USUAL_LIFE_S
