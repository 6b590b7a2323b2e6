"""Whether a history ended as promised: nothing lost, nothing doubled, and no word that is not true.

The truth is what the instance holds. The stores and their ledgers say what was intended and what is believed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

import pulled
from ledger import START

from airflow_provider_servicenow_dq.anomalies.model import Anomaly, anomaly_key, correlation_id
from airflow_provider_servicenow_dq.store import outbox
from airflow_provider_servicenow_dq.tickets.links import has_details
from airflow_provider_servicenow_dq.tickets.notes import member_mark

if TYPE_CHECKING:
    from collections.abc import Iterator

    from histories import History
    from ledger import Event, Line
    from pulled import Change, Deed

Row = dict[str, str]

_US: Final = "svc_airflow"
_ENDED: Final = frozenset({"6", "7", "8"})
_CANCELED: Final = "8"
_MANY: Final = ("dq:group:", "dq:rollup:")


@dataclass
class Evidence:
    """What there is to see at the end.

    :param journal: Work notes and comments, in the order in which the instance wrote them.
    :param books: The entries of each store with their ledgers.
    :param told: What each process was told that lived to hear it.
    :param deeds: What people did, in order.
    :param changes: What was pulled of it, in order.
    """

    incidents: list[Row]
    journal: list[Row]
    books: list[list[Line]]
    told: list[dict[str, Any]]
    tasks: list[dict[str, Any]]
    requests: int
    slowest_s: float
    deeds: list[Deed] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)


def judge(history: History, evidence: Evidence) -> list[str]:
    """Return what is wrong, in words; nothing if all is well."""
    return [
        *_lost(evidence),
        *_doubled_tickets(history, evidence),
        *_on_two_tickets(history, evidence),
        *_texts(evidence),
        *_given_up(evidence),
        *_claims(history, evidence),
        *pulled.judge(evidence),
    ]


def _lost(evidence: Evidence) -> Iterator[str]:
    """Every problem that was reported has a ticket, or its entry says why not."""
    for check, anomaly in _reported(evidence).items():
        key = anomaly_key(anomaly)
        if _homes(anomaly, evidence):
            continue
        ends = {line.state for book in evidence.books for line in book if line.key == key}
        if not ends & {outbox.DEAD}:
            yield f"lost: {check!r} was reported and is on no ticket; its entries are {sorted(ends)}"


def _reported(evidence: Evidence) -> dict[str, Anomaly]:
    return {
        check: Anomaly(source="custom", dataset="nyc.flights", check_name=check)
        for task in evidence.tasks
        if task["what"] == "report"
        for check, _, _ in task["anomalies"]
    }


def _homes(anomaly: Anomaly, evidence: Evidence) -> list[Row]:
    """Return the tickets of a problem: its own, and those that list it."""
    own, mark = correlation_id("custom", anomaly_key(anomaly)), member_mark(anomaly, "")
    listing = {row["element_id"] for row in evidence.journal if mark in row["value"]}
    return [
        incident
        for incident in evidence.incidents
        if incident["correlation_id"] == own
        or has_details(anomaly, incident["description"])
        or (
            incident["correlation_id"].startswith(_MANY)
            and (mark in incident["description"] or incident["sys_id"] in listing)
        )
    ]


def _on_two_tickets(history: History, evidence: Evidence) -> Iterator[str]:
    """No problem has a ticket of its own, or a second roll-up, while an open roll-up lists it."""
    if "group_by" in history.rules:
        return  # each run, or dataset, has a ticket of its own on purpose
    for check, anomaly in _reported(evidence).items():
        homes = [each for each in _homes(anomaly, evidence) if each["state"] not in _ENDED]
        places = {each["correlation_id"] for each in homes} - {""}  # linked to another by a person
        if len(places) > 1:
            yield f"doubled: {check!r} is on open tickets of {sorted(places)}"


def _doubled_tickets(history: History, evidence: Evidence) -> Iterator[str]:
    """A problem has one ticket after the other; of twins all but one are canceled, and say for which."""
    by_problem: dict[str, list[Row]] = defaultdict(list)
    for incident in filter(itemgetter("correlation_id"), evidence.incidents):
        by_problem[incident["correlation_id"]].append(incident)
    notes = defaultdict(list)
    for row in evidence.journal:
        notes[row["element_id"]].append(row)
    warnings = [text for book in evidence.books for line in book for text in line.warnings]
    for problem, tickets in by_problem.items():
        alone = [each for each in tickets if not _is_canceled_twin(each, notes[each["sys_id"]])]
        if len(alone) < len(tickets) and history.instance == "honouring":
            yield f"doubled: {problem} had twins on an instance that honours our sys_id"
        still_open = [each for each in alone if each["state"] not in _ENDED]
        untouched = [each for each in still_open if not _is_touched(each, notes[each["sys_id"]])]
        if len(still_open) > 1 and not (
            len(untouched) <= 1 and any("close one of the two" in text for text in warnings)
        ):
            yield f"doubled: {problem} has open tickets {[each['number'] for each in still_open]}"
        # Who does not know of the other may find the twin only after somebody has worked on it.
        apart = history.instance == "hardened" and any("store" in task for task in evidence.tasks)
        counted = [each for each in alone if not (apart and _is_touched(each, notes[each["sys_id"]]))]
        follows = Counter(_predecessor(each) for each in counted)
        for before, times in follows.items():
            if times > 1 and len(still_open) <= 1:
                numbers = [each["number"] for each in counted if _predecessor(each) == before]
                yield f"doubled: {problem} has {numbers}, all after {before or 'nothing'}"


def _is_canceled_twin(incident: Row, notes: list[Row]) -> bool:
    return incident["state"] == _CANCELED and any(
        row["sys_created_by"] == _US and row["value"].startswith("Opened at the same moment as")
        for row in notes
    )


def _is_touched(incident: Row, notes: list[Row]) -> bool:
    by_people = any(row["sys_created_by"] != _US for row in notes)
    ours = sum(row["sys_created_by"] == _US for row in notes)
    return by_people or incident["sys_updated_by"] != _US or int(incident["sys_mod_count"]) > ours


def _predecessor(incident: Row) -> str:
    first = incident["description"].partition("\n")[0]
    return first.split()[1] if first.startswith("Follows ") else ""


def _texts(evidence: Evidence) -> Iterator[str]:
    """What entries believe to be on a ticket is there once for each; nothing else of ours is; in order."""
    there: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for place, row in enumerate(evidence.journal):
        if row["sys_created_by"] == _US:
            there[row["element_id"], row["element"], row["value"]].append(place)
    sure: dict[tuple[str, str, str], list[Line]] = defaultdict(list)
    unsure: Counter[tuple[str, str, str]] = Counter()
    for line in (line for book in evidence.books for line in book):
        write, certain = _last_write(line)
        if write is not None and write["op"] != "create":
            place = _place(write)
            if certain:
                sure[place].append(line)
            else:
                unsure[place] += 1
    for place in there.keys() | sure.keys():
        times, wanted = len(there[place]), len(sure[place])
        if times and all(line.kind == outbox.CANCEL for line in sure[place]):
            wanted = min(times, wanted)  # two that share no store cancel the same twin, one of them does it
        told = f"{place[2]!r} on {place[0]}: {times} times, for entries {[line.id for line in sure[place]]}"
        if times < wanted:
            yield f"lost: {told}"
        elif times > wanted + unsure[place]:
            yield f"doubled: {told} and {unsure[place]} that gave up"
    yield from _disorder(evidence, there, sure)


def _disorder(evidence: Evidence, there: dict[Any, list[int]], sure: dict[Any, list[Line]]) -> Iterator[str]:
    for book in evidence.books:
        mine = {line.id: line for line in book}
        order: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for place, lines in sure.items():
            ours = [line for line in lines if mine.get(line.id) is line]
            if len(ours) < len(lines) or len(there[place]) != len(lines):
                continue  # equal texts of two stores, or wrong already
            for position, line in zip(there[place], sorted(ours, key=lambda line: line.id), strict=True):
                if _keeps_its_place(line):
                    order[place[0]].append((position, line.id))
        for sys_id, placed in order.items():
            ids = [entry_id for _, entry_id in sorted(placed)]
            if ids != sorted(ids):
                yield f"disorder: on {sys_id} the texts are those of entries {ids}"


def _keeps_its_place(line: Line) -> bool:
    """Whether nothing let the entry fall behind, or go first."""
    given_up = {event.event for event in line.events} & {outbox.DEAD, outbox.BLOCKED}
    first = line.kind in {outbox.TWINS, outbox.CANCEL}
    moved = line.kind == outbox.REPORT and line.correlation_id.startswith(_MANY)
    return not (given_up or first or moved)


def _last_write(line: Line) -> tuple[dict[str, Any] | None, bool]:
    """Return what an entry last sent, and whether it believes that it is there."""
    last: Event | None = None
    certain = False
    for event in line.events:
        if event.event == START:
            last, certain = event, False
        elif last is not None:
            if event.event == outbox.DONE:
                certain = True
            elif event.event == outbox.PENDING:
                last = None  # it was found not to have happened
    return (last.write if last else None), certain


def _place(write: dict[str, Any]) -> tuple[str, str, str]:
    element = "work_notes" if "work_notes" in write["values"] else "comments"
    return write["sys_id"], element, write["values"][element]


def _given_up(evidence: Evidence) -> Iterator[str]:
    """Nothing is dead or stuck without a reason that history gave."""
    for line in (line for book in evidence.books for line in book):
        if line.state == outbox.DEAD:
            yield f"given up: {line.kind} {line.id}: {line.message}"
        if line.state == outbox.BLOCKED and "there is no ticket" not in line.message:
            yield f"blocked: {line.kind} {line.id}: {line.message}"


def _claims(history: History, evidence: Evidence) -> Iterator[str]:
    """No result says more than is true."""
    incidents = {incident["number"]: incident for incident in evidence.incidents}
    ours = Counter(row["element_id"] for row in evidence.journal if row["sys_created_by"] == _US)
    for told in evidence.told:
        for result in told["results"]:
            if not result["delivered"]:
                continue
            if result["ticket"] is None:
                if result["action"] not in {"suppressed", "unchanged"}:
                    yield f"untrue: {result['message']}: no ticket"
                continue
            incident = incidents.get(result["ticket"]["ticket_number"])
            if incident is None:
                yield f"untrue: {result['message']}: there is no such ticket"
            elif result["action"] in {"noted", "reopened", "resolved"} and not ours[incident["sys_id"]]:
                yield f"untrue: {result['message']}: it has no note of ours"
            elif result["action"] == "reopened" and incident["reopen_count"] in {"", "0"}:
                yield f"untrue: {result['message']}: it was never reopened"
            elif (
                result["action"] == "created"
                and "category" in history.columns
                and not any("category" in warning for warning in result["warnings"])
            ):
                yield f"silent: {result['message']}: nothing says that the category was dropped"
