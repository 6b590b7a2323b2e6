"""What people did to tickets, numbered in the order in which it became known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import sqlalchemy as sa

from airflow_provider_servicenow_dq.store import schema
from airflow_provider_servicenow_dq.store.bulk import BATCH, batches, insert_into

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from sqlalchemy.engine import Connection

_table: Final = schema.change
_feed: Final = schema.feed


class Change(NamedTuple):
    """A change that is about to be written down.

    :param table: Table of the ticket.
    :param key: Of the anomaly that is on the ticket.
    :param content: What whoever follows is told, without its number.
    :param text_hash: Of the text of a journal entry.
    """

    table: str
    sys_id: str
    key: str
    field: str
    content: dict[str, Any]
    text_hash: str | None = None


class Numbered(NamedTuple):
    """A change as it was written down."""

    number: int
    field: str
    content: dict[str, Any]


def add(connection: Connection, instance: str, changes: Sequence[Change], *, now: datetime) -> None:
    """Write changes down in this order.

    Whoever has seen a number has seen all lower ones, whatever else is going on: who writes holds the
    instance's last number until the end of the transaction.
    """
    if not changes:
        return
    first = insert_into(connection, _feed).values(host=instance, last_number=0)
    connection.execute(first.on_conflict_do_nothing())
    last: int = connection.execute(
        _feed.update()
        .where(_feed.c.host == instance)
        .values(last_number=_feed.c.last_number + len(changes))
        .returning(_feed.c.last_number)
    ).scalar_one()
    rows = [
        {
            "instance": instance,
            "number": last - len(changes) + place,
            "table_name": change.table,
            "sys_id": change.sys_id,
            "key": change.key,
            "field": change.field,
            "content": change.content,
            "text_hash": change.text_hash,
            "echoed": False,
            "recorded_at": now,
        }
        for place, change in enumerate(changes, start=1)
    ]
    for batch in batches(rows):
        connection.execute(_table.insert(), batch)


def last_number(connection: Connection, instance: str) -> int:
    """Return the number of the newest change on an instance; 0 if there was none."""
    number: int | None = connection.execute(
        sa.select(_feed.c.last_number).where(_feed.c.host == instance)
    ).scalar_one_or_none()
    return number or 0


def read(
    connection: Connection,
    instance: str,
    table: str,
    *,
    after: int,
    up_to: int,
    besides: Sequence[str] = (),
) -> Iterator[Numbered]:
    """Yield the changes of a table's tickets in their order; for the parameters see :func:`page`."""
    while found := page(connection, instance, table, after=after, up_to=up_to, besides=besides):
        yield from found
        after = found[-1].number


def page(
    connection: Connection,
    instance: str,
    table: str,
    *,
    after: int,
    up_to: int,
    besides: Sequence[str] = (),
    limit: int = BATCH,
) -> list[Numbered]:
    """Return the next changes of a table's tickets in their order; nothing when there are no more.

    :param after: Only those with a greater number.
    :param up_to: Only those with this number or a smaller one.
    :param besides: Fields to leave out.
    :param limit: As many as are in hand at once.
    """
    rows = connection.execute(
        sa.select(_table.c.number, _table.c.field, _table.c.content)
        .where(
            _table.c.instance == instance,
            _table.c.table_name == table,
            _table.c.number > after,
            _table.c.number <= up_to,
            *([_table.c.field.not_in(besides)] if besides else ()),
        )
        .order_by(_table.c.number)
        .limit(limit)
    )
    return [Numbered(row.number, row.field, row.content) for row in rows]


def claim_echo(connection: Connection, instance: str, sys_id: str, key: str, text_hash: str) -> bool:
    """Whether an anomaly has been told a text from its ticket; each time counts once.

    :param text_hash: Of the text alone.
    """
    said = sa.select(sa.func.min(_table.c.number)).where(
        _table.c.instance == instance,
        _table.c.sys_id == sys_id,
        _table.c.key == key,
        _table.c.text_hash == text_hash,
        _table.c.echoed.is_(False),
    )
    while (number := connection.execute(said).scalar_one()) is not None:
        claimed = connection.execute(
            _table.update()
            .where(_table.c.instance == instance, _table.c.number == number, _table.c.echoed.is_(False))
            .values(echoed=True)
        )
        if claimed.rowcount:
            return True
        # Somebody was quicker; the same text may have been said again.
    return False
