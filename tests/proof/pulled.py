"""Whether what was pulled is what people did to tickets: nothing missing, nothing twice, nothing of ours."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from airflow_provider_servicenow_dq.store import schema
from airflow_provider_servicenow_dq.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from judge import Evidence

_US: Final = "svc_airflow"
_JOURNALS: Final = ("work_notes", "comments")
#: Columns that people change here and that we never write to a ticket that is there.
_THEIRS: Final = ("short_description", "assigned_to")

#: Content of a change, with its store and the key of its anomaly.
Change = dict[str, Any]


@dataclass(frozen=True)
class Deed:
    """What a person did to a ticket.

    :param followed: The store knew the ticket, and an anomaly on it, before.
    """

    sys_id: str
    values: dict[str, str]
    followed: bool


def followed(url: str) -> set[str]:
    """Return the sys_ids of the tickets that a store follows."""
    wanted = sa.select(schema.ticket.c.sys_id).join(
        schema.link, schema.link.c.ticket_id == schema.ticket.c.id
    )
    return {row.sys_id for row in _rows(url, wanted)}


def read(urls: Sequence[str]) -> list[Change]:
    """Return what stores have been told, in order; what one knows the others need not."""
    wanted = sa.select(schema.change).order_by(schema.change.c.number)
    return [{**row.content, "key": f"{url} {row.key}"} for url in urls for row in _rows(url, wanted)]


def judge(evidence: Evidence) -> Iterator[str]:
    """Return what is wrong, in words; nothing if all is well."""
    by_ticket: dict[str, list[Change]] = defaultdict(list)
    for change in evidence.changes:
        by_ticket[change["sys_id"]].append(change)
    # What another store has written is told like what people write.
    apart = any("store" in task for task in evidence.tasks)
    for incident in evidence.incidents:
        changes = by_ticket.pop(incident["sys_id"], [])
        deeds = [each for each in evidence.deeds if each.sys_id == incident["sys_id"]]
        journal = [
            row
            for row in evidence.journal
            if row["element_id"] == incident["sys_id"] and (apart or row["sys_created_by"] != _US)
        ]
        yield from _journals(incident, changes, deeds, journal)
        yield from _columns(incident, changes, deeds)
    for sys_id in by_ticket:
        yield f"doubled: something was pulled of a ticket that is none of ours: {sys_id}"


def _journals(
    incident: dict[str, str], changes: list[Change], deeds: list[Deed], journal: list[dict[str, str]]
) -> Iterator[str]:
    there = Counter((row["element"], row["value"]) for row in journal)
    must = Counter(
        (name, deed.values[name])
        for deed in deeds
        if deed.followed
        for name in _JOURNALS
        if name in deed.values
    )
    told: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for change in changes:
        if change["field"] in _JOURNALS:
            told[change["field"], change["new"]][change["key"]] += 1
    for place in there.keys() | must.keys() | told.keys():
        times = max(told[place].values(), default=0)
        words = f"{place[0]} {place[1]!r} of {incident['number']} was pulled {times} times"
        if times > there[place]:
            yield f"doubled: {words}, people wrote it {there[place]} times"
        elif times < must[place]:
            yield f"lost: {words}, people wrote it {must[place]} times"


def _columns(incident: dict[str, str], changes: list[Change], deeds: list[Deed]) -> Iterator[str]:
    for name in _THEIRS:
        chains: dict[str, list[Change]] = defaultdict(list)
        for change in changes:
            if change["field"] == name:
                chains[change["key"]].append(change)
        for chain in chains.values():
            steps = [(change["old"], change["new"]) for change in chain]
            if any(after[0] != before[1] for before, after in itertools.pairwise(steps)):
                yield f"doubled: {name} of {incident['number']} was pulled as {steps}"
        ends = {chain[-1]["new"] for chain in chains.values()}
        last = [deed for deed in deeds if name in deed.values][-1:]
        if any(deed.followed for deed in last) and incident[name] not in ends:
            yield f"lost: {name} of {incident['number']} is {incident[name]!r}, and pulled was {ends}"


def _rows(url: str, wanted: sa.Select[Any]) -> list[Any]:
    store = Store(url)
    try:
        with store.snapshot() as connection:
            return list(connection.execute(wanted))
    finally:
        store.close()
