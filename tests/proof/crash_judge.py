"""Whether a story that was cut off by deaths ended as it must."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from crash_story import CANCELED, NEW

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crash_story import Scenario

End = dict[str, Any]


def judge(scenario: Scenario, end: End, alive: End) -> list[str]:
    """Return what is wrong with an end.

    :param alive: How the same story ends when nobody dies.
    """
    if scenario.meets:
        return [*_twins(end), *_memory(end)]
    return [*_expected(scenario, end), *_memory(end), *_differences("", alive, end)]


def _expected(scenario: Scenario, end: End) -> Iterator[str]:
    """Hold what the instance holds against what the story itself says."""
    ends = tuple((ticket["state"], len(ticket["notes"])) for ticket in end["instance"])
    if ends != scenario.ends:
        yield f"state and number of notes of the incidents are {ends} instead of {scenario.ends}"


def _twins(end: End) -> Iterator[str]:
    """One stays open; every other one is canceled, with one note that names it."""
    tickets = end["instance"]
    still_open = [place for place, ticket in enumerate(tickets, start=1) if ticket["state"] == NEW]
    if len(still_open) != 1:
        yield f"{len(still_open)} tickets are open"
        return
    for ticket in tickets[: still_open[0] - 1] + tickets[still_open[0] :]:
        if ticket["state"] != CANCELED or len(ticket["notes"]) != 1:
            yield f"a twin has state {ticket['state']} and {len(ticket['notes'])} notes"
        elif f"#{still_open[0]}" not in ticket["notes"][0]:
            yield f"a twin's note does not name the ticket that stays: {ticket['notes'][0]}"


def _memory(end: End) -> Iterator[str]:
    """The store agrees with the instance, and nothing waits any more."""
    for kind, state, *_ in end["store"]["entries"]:
        if state not in {"done", "dead"}:
            yield f"an outbox entry of kind {kind} is {state}"
    for ticket in end["store"]["tickets"]:
        if not ticket["in step"]:
            yield f"the store is not in step with ticket {ticket['ticket']}"


def _differences(place: str, alive: Any, end: Any) -> Iterator[str]:
    """Yield each innermost place where two ends differ."""
    if isinstance(alive, dict) and isinstance(end, dict) and alive.keys() == end.keys():
        for name in alive:
            yield from _differences(f"{place}/{name}", alive[name], end[name])
    elif isinstance(alive, list) and isinstance(end, list) and len(alive) == len(end):
        for number, pair in enumerate(zip(alive, end, strict=True), start=1):
            yield from _differences(f"{place}/{number}", *pair)
    elif alive != end:
        yield f"{place.lstrip('/')} is {json.dumps(end)[:600]} instead of {json.dumps(alive)[:600]}"
