"""The outbox: what we intend for ServiceNow, written down before it is tried.

An entry is ``pending`` until somebody sends it. While it is ``sending`` its write is in doubt: whoever finds
it so looks at the instance first. It ends as ``done``, or as ``dead`` when it was refused; entries behind a
dead create are ``blocked``. Dead and blocked entries come back to life when they are recorded
again, unless a person has ``discarded`` them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from airflow_provider_servicenow_dq.store import intents, schema
from airflow_provider_servicenow_dq.store.bulk import batches, upsert

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy.engine import Connection

PENDING: Final = "pending"
SENDING: Final = "sending"
DONE: Final = "done"
DEAD: Final = "dead"
BLOCKED: Final = "blocked"
DISCARDED: Final = "discarded"

#: Nothing more is done about them, whoever records them again.
ENDED: Final = frozenset({DONE, DISCARDED})
#: Nothing more is done about them until somebody records them again, or replays them.
GIVEN_UP: Final = frozenset({DEAD, BLOCKED})

#: A report of an anomaly: what it becomes is decided at delivery.
REPORT: Final = "report"
#: A text that is appended to a ticket as it is.
NOTE: Final = "note"
#: A remark made in the source, for one of the ticket's journals.
COMMENT: Final = "comment"
#: A change of an anomaly's status, which may resolve or reopen its ticket.
STATUS: Final = "status"
#: An anomaly is linked to a ticket that is there, whoever has opened it.
LINK: Final = "link"
#: We made a ticket where the instance ignores our sys_id: is it the only one?
TWINS: Final = "twins"
#: An anomaly that is on one ticket at a time has gone from one to another.
MOVE: Final = "move"
#: One ticket of several for the same problem is canceled.
CANCEL: Final = "cancel"

#: Action of a refused create that may have been done where the account cannot see it.
HIDDEN: Final = "hidden"
#: What may have come of a note that is dead: nobody can tell whether it arrived.
UNKNOWN: Final = "unknown"

#: What belongs to the making of a ticket goes before what waits for it.
_FIRST: Final = (TWINS, CANCEL)

# Whoever works with the outbox has from here what it holds.
Address = intents.Address
Draft = intents.Draft
Entry = intents.Entry
at_address = intents.at_address
entry_of = intents.entry_of

_table: Final = schema.outbox

# Each ticket needs these a dozen times. To put a statement together takes longer than to execute it.
_OF_IDS: Final = sa.select(_table).where(_table.c.id.in_(sa.bindparam("ids", expanding=True)))
# They are locked in the order of their ids: who locks several rows in another order than others do may wait
# for them while they wait for him.
_OF_IDS_LOCKED: Final = _OF_IDS.order_by(_table.c.id).with_for_update()
_WAITING: Final = (
    sa.select(_table)
    .where(*at_address(_table), _table.c.state.in_((PENDING, SENDING, BLOCKED)))
    .order_by(_table.c.id)
    .with_for_update()
)
_STILL_WAITING: Final = _WAITING.where(
    _table.c.id.in_(sa.bindparam("locked", expanding=True)) | (_table.c.id > sa.bindparam("newest"))
)
_OF_IDENTITIES: Final = sa.select(_table).where(
    _table.c.instance == sa.bindparam("of_instance"),
    _table.c.table_name == sa.bindparam("of_table"),
    _table.c.idempotency_key.in_(sa.bindparam("keys", expanding=True)),
)
_START: Final = (
    _table.update()
    .where(_table.c.id == sa.bindparam("of_id"))
    .values(
        state=SENDING,
        write=sa.bindparam("new_write", type_=_table.c.write.type),
        tried_at=sa.bindparam("new_tried_at", type_=_table.c.tried_at.type),
        attempts=_table.c.attempts + 1,
    )
)


def record(
    connection: Connection, drafts: Sequence[Draft], *, recorded_by: str, now: datetime
) -> list[Entry]:
    """Write intents down; return their entries in the same order.

    An intent that is pending or dead gets the new payload and is pending; one that is being sent keeps its
    write; one that is done or discarded stays as it is, and so does one of which nobody can tell whether it
    arrived.

    :param recorded_by: Who intends it: the task instance.
    """
    found: dict[tuple[str, str, str], Entry] = {}
    new = {"state": PENDING, "attempts": 0, "recorded_at": now, "recorded_by": recorded_by}
    for batch in batches(drafts):
        known = {entry.identity: entry for entry in _find(connection, batch)}
        again = [draft for draft in batch if draft.identity in known]
        open_again = [draft for draft in again if known[draft.identity].state not in ENDED]
        _renew(connection, open_again, known, recorded_by, now)
        # In one order for all, like everything that locks several rows: else two wait for each other. On one
        # ticket the order is the caller's.
        fresh = sorted(
            ({**intents.row_of(draft), **new} for draft in batch if draft.identity not in known),
            key=lambda row: str(row["correlation_id"]),
        )
        upsert(connection, _table, fresh, keys=("instance", "table_name", "idempotency_key"))
        found.update((entry.identity, entry) for entry in _find(connection, batch))
    return [found[draft.identity] for draft in drafts]


def is_recorded(connection: Connection, draft: Draft) -> bool:
    """Whether an intent was written down before, whatever has become of it."""
    return not new_ones(connection, [draft])


def new_ones(connection: Connection, drafts: Iterable[Draft]) -> list[Draft]:
    """Return the intents that were never written down before."""
    fresh: list[Draft] = []
    for batch in batches(drafts):
        known = {entry.identity for entry in _find(connection, batch)}
        fresh += (draft for draft in batch if draft.identity not in known)
    return fresh


def _renew(
    connection: Connection,
    drafts: Sequence[Draft],
    known: Mapping[tuple[str, str, str], Entry],
    recorded_by: str,
    now: datetime,
) -> None:
    open_ids = [known[draft.identity].id for draft in drafts]
    # Locked and read again: meanwhile somebody may have sent it, or given it up.
    locked = {entry.id: entry for entry in lock(connection, open_ids)}
    for draft in drafts:
        entry = locked[known[draft.identity].id]
        # To record it again says nothing about whether it arrived; only a person may decide to send it again.
        if entry.state in ENDED or (entry.state == DEAD and entry.action == UNKNOWN):
            continue
        values: dict[str, Any] = {"payload": dict(draft.payload)}
        if entry.state in GIVEN_UP:
            values |= {"state": PENDING, "message": None, "recorded_by": recorded_by, "recorded_at": now}
        connection.execute(_table.update().where(_table.c.id == entry.id).values(values))


def waiting(connection: Connection, address: Address, *, locked: Sequence[Entry] = ()) -> list[Entry]:
    """Return what is still to be done at an address, in the order in which it was recorded.

    What belongs to the making of a ticket comes first. Until the end of the transaction nobody else moves it
    to another ticket, or replaces its payload.

    :param locked: What came of this in the same transaction before. What is older, and was moved here since,
        is left out: who holds it may wait for what we hold.
    """
    if locked:
        ids = [entry.id for entry in locked]
        rows = connection.execute(_STILL_WAITING, {**address.bound, "locked": ids, "newest": max(ids)})
    else:
        rows = connection.execute(_WAITING, address.bound)
    return sorted(map(entry_of, rows), key=lambda entry: entry.kind not in _FIRST)


def sent_together(first: Entry, entries: Iterable[Entry]) -> list[Entry]:
    """Return the entries whose last write was the one that the first carries."""
    return [entry for entry in entries if entry is first or (entry.write or {}).get("entry") == first.id]


def by_ids(connection: Connection, ids: Iterable[int]) -> dict[int, Entry]:
    """Return entries by their ids."""
    entries: dict[int, Entry] = {}
    for batch in batches(ids):
        rows = connection.execute(_OF_IDS, {"ids": batch})
        entries.update((row.id, entry_of(row)) for row in rows)
    return entries


def move(connection: Connection, ids: Iterable[int], address: Address) -> None:
    """Give pending entries another ticket: one that holds many anomalies."""
    for batch in batches(sorted(ids)):
        lock(connection, batch)
        connection.execute(
            _table.update()
            .where(_table.c.id.in_(batch), _table.c.state == PENDING)
            .values(correlation_id=address.correlation_id)
        )


def start(connection: Connection, ids: Sequence[int], *, write: Mapping[str, Any], now: datetime) -> None:
    """Write down that a request is about to leave. The first entry carries it, the others follow."""
    for entry_id in ids:
        carried = dict(write) if entry_id == ids[0] else {"op": "with", "entry": ids[0]}
        connection.execute(_START, {"of_id": entry_id, "new_write": carried, "new_tried_at": now})


def settle(
    connection: Connection,
    ids: Sequence[int],
    *,
    state: str,
    now: datetime | None = None,
    action: str | None = None,
    ticket_id: int | None = None,
    message: str | None = None,
    warnings: Sequence[str] = (),
    uncount: bool = False,
) -> None:
    """Write down how entries ended, or that they wait again.

    :param uncount: The last attempt cannot have happened, so it is not one.
    """
    ended = state in {DONE, DEAD}
    if len(ids) > 1:
        lock(connection, ids)
    connection.execute(
        _table.update()
        .where(_table.c.id.in_(ids))
        .values(
            state=state,
            action=action,
            ticket_id=ticket_id,
            message=message,
            warnings=list(warnings),
            settled_at=now if ended else None,
            # What was given up as lost may still arrive, and is known by its write.
            **({"write": None} if state == DONE else {}),
            **({"attempts": _table.c.attempts - 1} if uncount else {}),
        )
    )


def lock(connection: Connection, ids: Sequence[int]) -> list[Entry]:
    """Return entries as they are now and stay until the end of the transaction."""
    return [entry_of(row) for row in connection.execute(_OF_IDS_LOCKED, {"ids": ids})]


def _find(connection: Connection, drafts: Sequence[Draft]) -> Iterator[Entry]:
    keys = [draft.idempotency_key for draft in drafts]
    places = {(draft.address.instance, draft.address.table) for draft in drafts}
    for instance, table in places:
        of = {"of_instance": instance, "of_table": table, "keys": keys}
        yield from map(entry_of, connection.execute(_OF_IDENTITIES, of))
