"""Foreign text made fit for a ticket: harmless, and cut where it must be, never silently."""

from __future__ import annotations

import hashlib
import re
from typing import Final

_CODE_TAG: Final = re.compile(r"\[(/?)code\]", re.IGNORECASE)
_BLANKS: Final = re.compile(r"\s+")

#: What stands at the end of a text that had to be cut.
CUT_MARK: Final = " […]"


def harmless(text: str) -> str:
    """Return the text with the instance's ``[code]`` markup defused.

    Between ``[code]`` tags an instance renders HTML in journals, and data-quality text holds values from the
    data. A space inside the bracket keeps it readable and stops the rendering.
    """
    return _CODE_TAG.sub(r"[ \1code]", text)


def cut(text: str, limit: int) -> str:
    """Return the text in at most ``limit`` characters, with a visible mark where it was cut."""
    if len(text) <= limit:
        return text
    return text[: limit - len(CUT_MARK)] + CUT_MARK


def one_line(text: str) -> str:
    """Return the text with every run of white space as one blank."""
    return _BLANKS.sub(" ", text).strip()


def text_hash(text: str) -> str:
    """Return a hash that survives what an instance does to white space and line ends of a journal entry."""
    return hashlib.sha256(one_line(text).encode("utf-8", "replace")).hexdigest()[:32]


def paged(heading: str, lines: list[str], limit: int) -> list[str]:
    """Return pages that each start with the heading and hold whole lines, none longer than ``limit``.

    A line that is too long for a page of its own is cut with a mark.
    """
    room = limit - len(heading) - 1
    pages: list[str] = []
    body = ""
    for line in (cut(line, room) for line in lines):
        if body and len(body) + 1 + len(line) > room:
            pages.append(f"{heading}\n{body}")
            body = line
        else:
            body = f"{body}\n{line}" if body else line
    return [*pages, f"{heading}\n{body}"] if body else pages
