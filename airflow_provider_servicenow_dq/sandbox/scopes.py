"""REST API auth scopes: what a securely scoped OAuth client may call."""

from __future__ import annotations

import re
from dataclasses import dataclass

#: The REST APIs of this instance, as in their addresses.
APIS = ("table", "stats", "attachment", "batch", "tinyurl", "ui")

_SCOPE = re.compile(rf"(?P<name>[\w.-]+):(?P<api>{'|'.join(APIS)})(?::(?P<method>[A-Z]+))?")


@dataclass(frozen=True, slots=True)
class AuthScope:
    """One scope: a name, an API and, unless it is for all of them, a method."""

    name: str
    api: str
    method: str

    @classmethod
    def parse(cls, text: str) -> AuthScope:
        """Read ``NAME:API[:METHOD]``.

        :raises ValueError: The text is not of that form.
        """
        match = _SCOPE.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is not of the form NAME:API[:METHOD], with one of {', '.join(APIS)}")
        return cls(match["name"], match["api"], match["method"] or "")

    def covers(self, api: str, method: str) -> bool:
        """Tell whether it lets a request through."""
        return self.api == api and self.method in {"", method}
