"""Foreign text made fit for a ticket: harmless, and cut where it must be, never silently."""

from __future__ import annotations

import hashlib
import re
from typing import Final

_CODE_TAG: Final = re.compile(r"\[(/?)code\]", re.IGNORECASE)
_BLANKS: Final = re.compile(r"\s+")
#: Those that are no white space in a text: a journal may lose them.
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
#: Ampersands, escaped any number of times.
_AMPERSAND: Final = re.compile(r"&(?:amp;)+")
_ESCAPED: Final = {"lt": "<", "gt": ">", "quot": '"', "#34": '"', "apos": "'", "#39": "'"}
_ENTITY: Final = re.compile(f"&({'|'.join(_ESCAPED)});")
_FOUR_BYTES: Final = re.compile("[\U00010000-\U0010ffff]")
#: What a database may have made question marks of, one for a character or one for each of its bytes.
_UNSURE: Final = re.compile("[?\ufffd\ud800-\udfff\U00010000-\U0010ffff]+")

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


def as_kept(text: str) -> str:
    """Return what is left of a text whatever an instance and its database do to a journal entry.

    Two texts that only an instance could have made of each other are the same here: they may differ in white
    space and line ends, in control characters, in how markup is escaped, and in characters of four bytes, of
    which some databases keep question marks (KB0621602). Words and figures stay.
    """
    text = _CONTROLS.sub("", text)
    text = _ENTITY.sub(lambda found: _ESCAPED[found[1]], _AMPERSAND.sub("&", text))
    return one_line(_UNSURE.sub("?", text))


def text_hash(text: str) -> str:
    """Return a hash by which a text is known again in a journal."""
    return hashlib.sha256(as_kept(text).encode()).hexdigest()[:32]


def stump(text: str) -> str:
    """Return what databases keep of a text that drop its end with the first character of four bytes.

    KB0621602: MySQL, for columns that are not "String (Full UTF-8)". Most texts are their own stump.
    """
    return _FOUR_BYTES.split(text, maxsplit=1)[0]


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
