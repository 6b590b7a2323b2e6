"""Handing out changes: each task gets those that no successful run of it has got."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_servicenow_dq.store import changes, taken
from airflow_provider_servicenow_dq.store.bulk import batches
from airflow_provider_servicenow_dq.store.taken import RETURNED, SUCCEEDED, TAKEN, Consumer, Stretch
from airflow_provider_servicenow_dq.tickets.notes import JOURNALS

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from airflow_provider_servicenow_dq.desk.desk import Desk

#: As many changes an XCom holds, and so many bytes of JSON.
MOST: Final = 1000
MOST_BYTES: Final = 1_000_000

#: Runs that Airflow is asked about in one request.
_ASKED_AT_ONCE: Final = 50

#: Tells of runs that Airflow knows whether the task succeeded in them; None where it cannot be asked.
Succeeded = Callable[[Sequence[str]], Mapping[str, bool] | None]


@dataclass(frozen=True, slots=True)
class Taking:
    """What a run has taken.

    :param truncated: There are more, for the next run.
    """

    consumer: Consumer
    stretch: Stretch
    besides: tuple[str, ...]
    truncated: bool


def take(
    desk: Desk,
    consumer: Consumer,
    run: str,
    *,
    succeeded: Succeeded,
    include_notes: bool = True,
    all_of_them: bool = False,
) -> Taking:
    """Return the changes since the last successful run; a run that comes again gets the same.

    :param run: Empty outside of a DAG: then what was returned counts as successful.
    :param all_of_them: However many they are.
    """
    besides = () if include_notes else JOURNALS
    if run:
        _learn(desk, consumer, run, succeeded)
    with desk.store.begin() as connection:
        newest = changes.last_number(connection, consumer.instance)
        known = taken.of_run(connection, consumer, run) if run else None
        if known is None:
            after = taken.succeeded_to(connection, consumer)
            to = newest if all_of_them else _end(connection, consumer, after, newest, besides)
            known = Stretch(run, after, to, TAKEN)
            if run:
                taken.put(connection, consumer, known, now=desk.now())
        rest = changes.page(
            connection,
            consumer.instance,
            consumer.table,
            after=known.to,
            up_to=newest,
            besides=besides,
            limit=1,
        )
    return Taking(consumer, known, besides, truncated=bool(rest) and not all_of_them)


def read(desk: Desk, taking: Taking) -> Iterator[dict[str, Any]]:
    """Yield the changes that were taken, in the order in which they became known.

    Whoever takes them may write them somewhere far away: no transaction is open meanwhile.
    """
    last = taking.stretch.after
    while found := _page(desk, taking, last):
        yield from map(_told, found)
        last = found[-1].number


def _page(desk: Desk, taking: Taking, after: int) -> list[changes.Numbered]:
    with desk.store.snapshot() as connection:
        return changes.page(
            connection,
            taking.consumer.instance,
            taking.consumer.table,
            after=after,
            up_to=taking.stretch.to,
            besides=taking.besides,
        )


def returned(desk: Desk, taking: Taking) -> None:
    """Write down that the changes are in the hands of the task; outside of a DAG it has succeeded."""
    consumer, stretch = taking.consumer, taking.stretch
    with desk.store.begin() as connection:
        if stretch.run:
            taken.mark(connection, consumer, [stretch.run], RETURNED)
        else:
            taken.put(connection, consumer, stretch._replace(state=SUCCEEDED), now=desk.now())


def _learn(desk: Desk, consumer: Consumer, run: str, succeeded: Succeeded) -> None:
    """Find out which runs have succeeded, as far back as it takes."""
    with desk.store.snapshot() as connection:
        others = [each for each in taken.unsettled(connection, consumer) if each.run != run]
    for batch in batches(others, _ASKED_AT_ONCE):
        told = succeeded([each.run for each in batch]) or {}
        # Of a run that Airflow does not know, or cannot be asked about, counts what it returned.
        done = [each.run for each in batch if told.get(each.run, each.state == RETURNED)]
        if done:
            with desk.store.begin() as connection:
                taken.mark(connection, consumer, done, SUCCEEDED)
            return


def _end(connection: Connection, consumer: Consumer, after: int, newest: int, besides: Sequence[str]) -> int:
    """Return up to which number an XCom has room."""
    last, size = after, 0
    found = changes.read(
        connection, consumer.instance, consumer.table, after=after, up_to=newest, besides=besides
    )
    for count, change in enumerate(found, start=1):
        size += len(json.dumps(_told(change)))
        if count > MOST or (count > 1 and size > MOST_BYTES):
            return last
        last = change.number
    return newest


def _told(change: changes.Numbered) -> dict[str, Any]:
    return {**change.content, "sequence": change.number}
