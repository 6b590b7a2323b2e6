"""Every place in the rooms of the work that commits or talks to the instance, read out of the code."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Final, NamedTuple

import points

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMITS: Final = "commits"
ASKS: Final = "asks"

_OPENING: Final = {"begin", "snapshot", "transaction", "deciding", "settling"}
_ASKING: Final = {"table_api", "names"}
_BOUNDARIES: Final = ("commit", "reading")


class Place(NamedTuple):
    """A function of the desk, and what it does that a death can cut off."""

    function: str
    does: str


def in_the_code() -> set[Place]:
    """Return all places that there are."""
    return {
        Place(name, does)
        for room in points.ROOMS
        for path in room.rglob("*.py")
        for name, function in _functions(ast.parse(path.read_text()).body, f"{path.name}:")
        for does in _doings(function)
        if name not in points.LENDS
    }


def visited_by(step: str) -> Place:
    """Return the place of a moment."""
    what = step.rpartition(": ")[2]
    return Place(points.place_of(step), COMMITS if what.endswith(_BOUNDARIES) else ASKS)


def _functions(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, ast.AST]]:
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield from _functions(node.body, f"{prefix}{node.name}.")
        elif isinstance(node, ast.FunctionDef):
            yield f"{prefix}{node.name}", node


def _doings(function: ast.AST) -> Iterator[str]:
    for node in ast.walk(function):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Attribute):
            if node.func.attr in _OPENING:
                yield COMMITS
            if _name(node.func.value) in _ASKING:
                yield ASKS
        # Handed to a function of the client, which asks; to one of the desk, which is a place of its own.
        if "table_api" in map(_name, node.args):
            yield ASKS


def _name(node: ast.AST) -> str:
    """Return the last part of a dotted name."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
