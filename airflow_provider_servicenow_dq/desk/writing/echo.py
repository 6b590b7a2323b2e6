"""What a ticket has said itself is not said to it again, however the source tells it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from airflow_provider_servicenow_dq.anomalies.model import Status
from airflow_provider_servicenow_dq.store import anomalies, changes, outbox, tickets

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime

    from sqlalchemy.engine import Connection

    from airflow_provider_servicenow_dq.store.outbox import Draft, Entry

#: Where the draft of a comment has the hash of what its author wrote.
SAID: Final = "said"

_WORDS: Final = "{} said so itself"


def among(connection: Connection, drafts: Iterable[Draft]) -> dict[str, tuple[int, str]]:
    """Return the id and number of the ticket, by idempotency key, for those intents that came from it.

    It is asked in the transaction that records them, after the anomalies' statuses are written down. A
    comment is an echo as often as its text was pulled, and no further time.
    """
    found: dict[str, tuple[int, str]] = {}
    drafts = [draft for draft in drafts if draft.key is not None]
    # What was copied before is no echo now, and it is by far the most of what a source tells.
    copied = [draft for draft in drafts if draft.kind == outbox.COMMENT]
    fresh = outbox.new_ones(connection, copied)
    for draft in (*(draft for draft in drafts if draft.kind == outbox.STATUS), *fresh):
        ticket = _came_from(connection, draft)
        if ticket is not None:
            found[draft.idempotency_key] = ticket.id, ticket.number or ticket.sys_id
    return found


def settle(
    connection: Connection, entries: Collection[Entry], echoes: dict[str, tuple[int, str]], *, now: datetime
) -> list[Entry]:
    """Write down that echoes need no request; return the entries as they are now."""
    settled = [
        entry
        for entry in entries
        if entry.idempotency_key in echoes and entry.state == outbox.PENDING and not entry.attempts
    ]
    for entry in settled:
        ticket_id, number = echoes[entry.idempotency_key]
        outbox.settle(
            connection,
            [entry.id],
            state=outbox.DONE,
            action="unchanged",
            ticket_id=ticket_id,
            message=_WORDS.format(number),
            now=now,
        )
    again = outbox.by_ids(connection, [entry.id for entry in settled])
    return [again.get(entry.id, entry) for entry in entries]


def _came_from(connection: Connection, draft: Draft) -> tickets.Ticket | None:
    """Return the ticket from which an intent for it came, if that is where it came from."""
    if draft.key is None:
        return None
    if draft.kind == outbox.STATUS:
        said = anomalies.came_from(connection, draft.key, Status(draft.payload["status"]))
        ticket = _ticket(connection, draft) if said else None
        return ticket if ticket is not None and ticket.sys_id in said else None
    ticket = _ticket(connection, draft)
    text = draft.payload[SAID]
    if ticket is not None and changes.claim_echo(
        connection, draft.address.instance, ticket.sys_id, draft.key, text
    ):
        return ticket
    return None


def _ticket(connection: Connection, draft: Draft) -> tickets.Ticket | None:
    known = tickets.at(connection, [draft.address]).get(draft.address, [])
    return known[0] if known else None
