"""Words without secrets: an instance, or what stands before it, may say back whatever it was sent."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, quote_plus, unquote

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_servicenow_dq.exceptions import ServiceNowError

#: Shorter ones would black out half of what is said.
_SHORTEST: Final = 4


def hidden(text: str, secrets: Iterable[str | None]) -> str:
    """Return a text in which no secret stands, as it is or as URLs, forms and JSON write it."""
    known = {form for secret in secrets if secret for form in _forms_of(secret) if len(form) >= _SHORTEST}
    for form in sorted(known, key=len, reverse=True):
        text = text.replace(form, "***")
    return text


def without_secrets(error: ServiceNowError, secrets: Iterable[str | None]) -> ServiceNowError:
    """Return an error in whose words no secret stands; the same one if there is none."""
    secrets = list(secrets)
    args = tuple(hidden(arg, secrets) if isinstance(arg, str) else arg for arg in error.args)
    return error if args == error.args else type(error)(*args)


def _forms_of(secret: str) -> set[str]:
    in_python = repr(secret)[1:-1]
    return {secret, unquote(secret), quote(secret), quote_plus(secret), json.dumps(secret)[1:-1], in_python}
