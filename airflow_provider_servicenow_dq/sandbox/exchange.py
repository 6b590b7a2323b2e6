"""One HTTP request as the rest of the sandbox sees it, and as it is remembered."""

from __future__ import annotations

import ast
import json
import math
import re
from dataclasses import dataclass, field
from functools import cached_property
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from airflow_provider_servicenow_dq.sandbox.rules import RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping


_API = re.compile(r"/api/[a-z]+(?:/v\d+)?/([a-z]+)(?:/([^/]*))?(?:/|\Z)")


@dataclass
class Request:
    """A request whose body was read; header names are in lower case.

    :param target: Path and query as sent.
    :param certificate_name: Common name of the client's certificate.
    :param in_batch: It came within a batch.
    :param deadline: When its quota ends, by the monotonic clock.
    """

    method: str
    target: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(default=b"", repr=False)
    user: str = ""
    certificate_name: str = ""
    in_batch: bool = False
    deadline: float = math.inf

    @cached_property
    def api(self) -> str:
        """The REST API that is addressed, such as ``table``, empty if it is none."""
        match = _API.match(self.path)
        return match[1] if match else ""

    @cached_property
    def resource(self) -> str:
        """What comes after the API in the path, such as the name of a table."""
        match = _API.match(self.path)
        return (match[2] or "") if match else ""

    @cached_property
    def path(self) -> str:
        """The path, percent-decoded."""
        return unquote(urlsplit(self.target).path)

    @cached_property
    def query_string(self) -> str:
        """The query as sent."""
        return urlsplit(self.target).query

    @cached_property
    def query(self) -> dict[str, str]:
        """Parameters by name, percent-decoded; of a repeated one the first."""
        parameters: dict[str, str] = {}
        for name, value in parse_qsl(self.query_string, keep_blank_values=True):
            parameters.setdefault(name, value)
        return parameters

    @cached_property
    def searchable(self) -> str:
        """Path and query, percent-decoded: what patterns of faults and barriers are searched in."""
        query = "&".join(f"{name}={value}" for name, value in self.query.items())
        return f"{self.path}?{query}" if query else self.path

    @cached_property
    def session_id(self) -> str:
        """The session cookie, empty without one."""
        cookies: SimpleCookie = SimpleCookie()
        try:
            cookies.load(self.headers.get("cookie", ""))
        except CookieError:
            return ""
        return cookies["JSESSIONID"].value if "JSESSIONID" in cookies else ""

    def is_true(self, parameter: str) -> bool:
        """Tell whether a boolean parameter is ``true``."""
        return self.query.get(parameter, "").lower() == "true"

    def number(self, parameter: str, default: int) -> int:
        """Return a parameter as a number; what is none, or negative, counts as not given."""
        text = self.query.get(parameter, "")
        return int(text) if text.isascii() and text.isdecimal() else default

    @cached_property
    def fields(self) -> dict[str, Any]:
        """The JSON object in the body.

        As on the platform, single quotes pass for double ones, and of several records only the first counts.

        :raises RefusedError: 400, the body is not JSON.
        """
        content = _lenient_json(self.body) if self.body.strip() else {}
        if isinstance(content, dict) and isinstance(content.get("records"), list):
            content = content["records"]
        if isinstance(content, list):
            content = content[0] if content else {}
        if not isinstance(content, dict):
            raise _unreadable()
        return content


def _lenient_json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (UnicodeDecodeError, RecursionError) as error:
        raise _unreadable() from error
    except json.JSONDecodeError:
        try:
            return ast.literal_eval(body.decode().strip())
        except (ValueError, SyntaxError, RecursionError, MemoryError) as error:
            raise _unreadable() from error


def _unreadable() -> RefusedError:
    return RefusedError(400, "Exception while reading request", "Cannot decode: java.io.StringReader@5d3c5d")


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """A request that was answered or dropped.

    ``status`` is 0 where no answer was sent; ``started`` and ``finished`` are Unix times.
    """

    method: str
    path: str
    query: dict[str, str]
    body: dict[str, Any] | None
    status: int
    user: str
    started: float
    finished: float
