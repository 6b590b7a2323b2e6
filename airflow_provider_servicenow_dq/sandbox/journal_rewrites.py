"""What instances and their databases do to the text of a work note or comment before they keep it.

Each is known of some instances and none of all, so each is a switch of its own.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_FOUR_BYTES: Final = re.compile(r"[\U00010000-\U0010ffff]")
_ENTITIES: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&#34;", "'": "&#39;"})


def _tidy_blanks(text: str) -> str:
    lines = re.split(r"\r\n|\r|\n", re.sub(r"[ \t]+", " ", text))
    return "\n".join(line.rstrip() for line in lines).strip()


#: Every rewrite by name, in the order in which a text goes through them.
REWRITES: Final[Mapping[str, Callable[[str], str]]] = {
    # XML cannot carry them, and journals travel in XML (update sets, SOAP, ECC queue); not documented.
    "controls": lambda text: _CONTROLS.sub("", text),
    # KB0621602, PRB833032: a journal that is not "String (Full UTF-8)" holds no character of four bytes.
    # MySQL drops the rest of the text with it, MariaDB keeps a question mark for each byte.
    "cut_at_emoji": lambda text: _FOUR_BYTES.split(text)[0],
    "question_marks": lambda text: _FOUR_BYTES.sub("????", text),
    # Business rules that call GlideStringUtil.escapeHTML on journals; not documented.
    "escaped": lambda text: text.translate(_ENTITIES),
    # Seen where a form or a script of the instance saves the text again; not documented.
    "blanks": _tidy_blanks,
    "line_ends": lambda text: re.sub(r"\r\n|\r|\n", "\r\n", text),
}


def rewritten(text: str, names: Iterable[str]) -> str:
    """Return a text after some of the rewrites."""
    chosen = set(names)
    for name, rewrite in REWRITES.items():
        if name in chosen:
            text = rewrite(text)
    return text
