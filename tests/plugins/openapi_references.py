"""References within a JSON document."""

from __future__ import annotations

from typing import Any


def dangling(document: dict[str, Any]) -> set[str]:
    """Return the references that lead nowhere."""
    return {reference for reference in _references(document) if not _leads_somewhere(document, reference)}


def _references(part: Any) -> set[str]:
    if isinstance(part, list):
        return {found for each in part for found in _references(each)}
    if not isinstance(part, dict):
        return set()
    own = {part["$ref"]} if isinstance(part.get("$ref"), str) else set()
    return own | {found for each in part.values() for found in _references(each)}


def _leads_somewhere(document: dict[str, Any], reference: str) -> bool:
    place: Any = document
    for name in reference.removeprefix("#/").split("/"):
        place = place.get(name) if isinstance(place, dict) else None
    return place is not None
