"""The outbox as a person sees it: reading it, and deciding about what was given up.

An entry changes its state here only under a claim on its ticket, taken and given back in the same
transaction: whoever is delivering there has either not begun with it or is done with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from airflow_provider_servicenow_dq.store import claims, outbox, schema
from airflow_provider_servicenow_dq.store.bulk import batches
from airflow_provider_servicenow_dq.store.claims import Claim

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from sqlalchemy.engine import Connection

    from airflow_provider_servicenow_dq.store.outbox import Entry

STATES: Final = (
    outbox.PENDING,
    outbox.SENDING,
    outbox.DEAD,
    outbox.BLOCKED,
    outbox.DONE,
    outbox.DISCARDED,
)

#: How a note ends of which nobody can tell whether it arrived.
UNKNOWN: Final = "unknown:"

_table: Final = schema.outbox
#: Longer than a transaction lasts; the claim is given back at its end.
_LEASE: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Letter:
    """An entry, and what only people ask about it.

    :param anomaly: What it is about, as last reported.
    :param ticket: Number of the ticket that it reached.
    """

    entry: Entry
    anomaly: dict[str, Any] | None
    recorded_at: datetime
    settled_at: datetime | None
    ticket: str | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a wish to change an entry.

    :param done: Whether it was changed.
    :param words: What to know about it, or why it was not.
    """

    entry_id: int
    done: bool
    words: str


def read(
    connection: Connection,
    *,
    states: Sequence[str] = (),
    instance: str | None = None,
    ids: Sequence[int] | None = None,
    limit: int | None = None,
    oldest_first: bool = False,
) -> list[Letter]:
    """Return entries, the newest first unless asked otherwise.

    :param states: Only those in one of these; none of them means all.
    :param instance: Only those for this host.
    """
    order = _table.c.id.asc() if oldest_first else _table.c.id.desc()
    rows = connection.execute(
        sa.select(_table, schema.ticket.c.number, schema.anomaly.c.content)
        .outerjoin(schema.anomaly, schema.anomaly.c.key == _table.c.key)
        .outerjoin(schema.ticket, schema.ticket.c.id == _table.c.ticket_id)
        .where(*_chosen(states, instance, ids))
        .order_by(order)
        .limit(limit)
    )
    return [
        Letter(
            entry,
            entry.payload.get("anomaly") or row.content,
            row.recorded_at,
            row.settled_at,
            row.number,
        )
        for row in rows
        for entry in (outbox.entry_of(row),)
    ]


def about(letter: Letter) -> str:
    """Return what an entry is about, in a line: the check that failed, or else the ticket."""
    if letter.anomaly:
        return f"{letter.anomaly['check_name']} on {letter.anomaly['dataset']}"
    return f"{letter.entry.kind} for {letter.entry.address.correlation_id}"


def count(connection: Connection, *, states: Sequence[str] = (), instance: str | None = None) -> int:
    """Return how many entries there are."""
    counting = sa.select(sa.func.count()).select_from(_table).where(*_chosen(states, instance, None))
    return connection.execute(counting).scalar_one()


def count_by_state(connection: Connection, *, instance: str | None = None) -> dict[str, int]:
    """Return how many entries there are in each state, of all states."""
    rows = connection.execute(
        sa.select(_table.c.state, sa.func.count())
        .where(*_chosen((), instance, None))
        .group_by(_table.c.state)
    )
    return dict.fromkeys(STATES, 0) | {row[0]: row[1] for row in rows}


def dead_ids(connection: Connection) -> list[int]:
    """Return the ids of all dead entries, in the order in which they were recorded."""
    dead = sa.select(_table.c.id).where(_table.c.state == outbox.DEAD).order_by(_table.c.id)
    return list(connection.execute(dead).scalars())


def replay(connection: Connection, ids: Iterable[int], *, now: datetime) -> list[Answer]:
    """Let dead and blocked entries wait for delivery again; say what came of each."""
    answers = []
    for entry, refusal in _touchable(connection, ids, now):
        if isinstance(entry, int):
            answers.append(Answer(entry, done=False, words=refusal))
        elif entry.state not in {outbox.DEAD, outbox.BLOCKED}:
            answers.append(Answer(entry.id, done=False, words=_WHY_NOT_REPLAYED[entry.state]))
        else:
            _set(
                connection,
                entry,
                state=outbox.PENDING,
                # One attempt and its write stay: what was given up may still arrive, and is known by them.
                attempts=min(entry.attempts, 1),
                message=None,
                settled_at=None,
            )
            answers.append(Answer(entry.id, done=True, words=_what_to_know(connection, entry)))
    return answers


def discard(connection: Connection, ids: Iterable[int], *, now: datetime) -> list[Answer]:
    """Give entries up for good, also when they are reported again; say what came of each."""
    answers = []
    for entry, refusal in _touchable(connection, ids, now):
        if isinstance(entry, int):
            answers.append(Answer(entry, done=False, words=refusal))
        elif entry.state in _WHY_NOT_DISCARDED:
            answers.append(Answer(entry.id, done=False, words=_WHY_NOT_DISCARDED[entry.state]))
        else:
            _set(connection, entry, state=outbox.DISCARDED, settled_at=now)
            behind = _blocked_behind(connection, entry)
            words = f"{behind} more at this ticket stay blocked until there is a ticket" if behind else ""
            answers.append(Answer(entry.id, done=True, words=words))
    return answers


_IN_DOUBT: Final = "it is in doubt whether it arrived: whoever delivers next finds out"
_WHY_NOT_REPLAYED: Final = {
    outbox.PENDING: "it waits for delivery already",
    outbox.SENDING: _IN_DOUBT,
    outbox.DONE: "it is delivered",
    outbox.DISCARDED: "it was discarded",
}
_WHY_NOT_DISCARDED: Final = {
    outbox.SENDING: _IN_DOUBT,
    outbox.DONE: "it is delivered",
    outbox.DISCARDED: "it was discarded already",
}


def _chosen(
    states: Sequence[str], instance: str | None, ids: Sequence[int] | None
) -> Iterator[sa.ColumnElement[bool]]:
    if states:
        yield _table.c.state.in_(states)
    if instance is not None:
        yield _table.c.instance == instance
    if ids is not None:
        yield _table.c.id.in_(ids)


def _touchable(
    connection: Connection, ids: Iterable[int], now: datetime
) -> Iterator[tuple[Entry | int, str]]:
    """Yield each entry while its ticket is claimed, or its id with the reason why there is none."""
    # In one order for all: two people who decide about the same entries must not wait for each other.
    for batch in batches(sorted(set(ids))):
        places = {entry_id: entry.address for entry_id, entry in outbox.by_ids(connection, batch).items()}
        for entry_id in batch:
            if entry_id not in places:
                yield entry_id, "there is no such entry"
                continue
            claim = claims.take(connection, places[entry_id], now=now, lease=_LEASE)
            if isinstance(claim, Claim):
                # Read again under the claim: it may have been sent, or moved to another ticket, meanwhile.
                entry = outbox.by_ids(connection, [entry_id])[entry_id]
                if entry.address == claim.address:
                    yield entry, ""
                else:
                    yield entry_id, "it has just moved to another ticket, try again"
                claims.release(connection, claim)
            else:
                yield entry_id, f"its ticket is being worked on until {claim:%H:%M:%S} UTC at most, try again"


def _set(connection: Connection, entry: Entry, **values: Any) -> None:
    connection.execute(_table.update().where(_table.c.id == entry.id).values(values))


def _what_to_know(connection: Connection, entry: Entry) -> str:
    if (entry.message or "").startswith(UNKNOWN):
        return "it may then stand on its ticket twice: nobody could tell whether it had arrived"
    if entry.state == outbox.BLOCKED:
        dead = _dead_before(connection, entry)
        if dead is not None:
            return f"it waited behind entry {dead}, which is still dead"
    return ""


def _dead_before(connection: Connection, entry: Entry) -> int | None:
    first = sa.select(sa.func.min(_table.c.id)).where(
        *outbox.at_address(_table), _table.c.state == outbox.DEAD
    )
    entry_id: int | None = connection.execute(first, entry.address.bound).scalar_one()
    return entry_id


def _blocked_behind(connection: Connection, entry: Entry) -> int:
    blocked = (
        sa.select(sa.func.count())
        .select_from(_table)
        .where(*outbox.at_address(_table), _table.c.state == outbox.BLOCKED)
    )
    return connection.execute(blocked, entry.address.bound).scalar_one()
