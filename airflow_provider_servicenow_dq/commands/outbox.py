"""``servicenow-dq outbox``: what we intend for ServiceNow, and deciding about what was refused."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import click

from airflow_provider_servicenow_dq.commands.memory import opened, store_option
from airflow_provider_servicenow_dq.commands.printing import output_option, print_facts, print_rows
from airflow_provider_servicenow_dq.store import letters
from airflow_provider_servicenow_dq.store.bulk import batches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from airflow_provider_servicenow_dq.store.letters import Answer, Letter
    from airflow_provider_servicenow_dq.store.store import Store

#: Entries changed in one transaction, during which nobody else may write to a SQLite store.
_AT_ONCE: Final = 100
#: Characters of a message in the list.
_MESSAGE_LENGTH: Final = 200


@click.group()
def outbox() -> None:
    """List and decide about what waits for ServiceNow or was refused by it."""


@outbox.command("list")
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice(letters.STATES),
    help="Only entries in this state. Repeatable.",
)
@click.option("--instance", metavar="HOST", help="Only entries for this instance.")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True)
@click.option("--oldest-first", is_flag=True, help="By default the newest come first.")
@output_option
@store_option
def list_entries(
    states: tuple[str, ...],
    instance: str | None,
    limit: int,
    oldest_first: bool,  # noqa: FBT001 (click calls it by name)
    output: str,
    url: str | None,
) -> None:
    """List entries, newest first; their texts are in ``show``."""
    with opened(url) as store, store.snapshot() as connection:
        found = letters.read(
            connection, states=states, instance=instance, limit=limit, oldest_first=oldest_first
        )
        total = letters.count(connection, states=states, instance=instance)
    print_rows([_line(letter, whole=output in {"json", "yaml"}) for letter in found], output)
    if total > len(found):
        click.echo(f"{len(found)} of {total} entries; --limit shows more.", err=True)


@outbox.command()
@click.argument("entry_id", metavar="ID", type=int)
@output_option
@store_option
def show(entry_id: int, output: str, url: str | None) -> None:
    """Show everything about one entry, its texts included."""
    with opened(url) as store, store.snapshot() as connection:
        found = letters.read(connection, ids=[entry_id])
    if not found:
        raise click.ClickException(f"There is no outbox entry {entry_id}.")
    (letter,) = found
    entry = letter.entry
    print_facts(
        {
            **_line(letter, whole=True),
            "correlation_id": entry.address.correlation_id,
            "idempotency_key": entry.idempotency_key,
            "anomaly_key": entry.key,
            "tried_at": _iso(entry.tried_at),
            "settled_at": _iso(letter.settled_at),
            "action": entry.action,
            "ticket": letter.ticket,
            "warnings": entry.warnings,
            "write": entry.write,
            "payload": entry.payload,
        },
        output,
    )


@outbox.command()
@click.argument("entry_ids", metavar="[ID]...", type=int, nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All dead entries.")
@store_option
def replay(entry_ids: tuple[int, ...], everything: bool, url: str | None) -> None:  # noqa: FBT001 (click calls it by name)
    """Let dead or blocked entries wait for delivery again.

    They are sent by the next task that works on their ticket, or by ServiceNowDeliverOperator. What is
    blocked behind a replayed entry follows by itself.
    """
    _decide(letters.replay, "waits for delivery again", entry_ids, everything=everything, url=url)


@outbox.command()
@click.argument("entry_ids", metavar="[ID]...", type=int, nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All dead entries.")
@store_option
def discard(entry_ids: tuple[int, ...], everything: bool, url: str | None) -> None:  # noqa: FBT001 (click calls it by name)
    """Give entries up for good: they are not sent, also when they are reported again."""
    _decide(letters.discard, "is discarded", entry_ids, everything=everything, url=url)


def _decide(
    change: Callable[..., list[Answer]],
    done: str,
    entry_ids: Sequence[int],
    *,
    everything: bool,
    url: str | None,
) -> None:
    if bool(entry_ids) == everything:
        raise click.UsageError("Name entries by their IDs, or all dead ones by --all.")
    refused = 0
    with opened(url) as store:
        if everything:
            with store.snapshot() as connection:
                entry_ids = letters.dead_ids(connection)
            if not entry_ids:
                click.echo("There are no dead entries.")
        for answer in _answers(store, change, entry_ids):
            if answer.done:
                click.echo(f"{answer.entry_id} {done}{': ' if answer.words else ''}{answer.words}")
            else:
                refused += 1
                click.echo(f"{answer.entry_id} is left as it is: {answer.words}", err=True)
    if refused:
        raise click.exceptions.Exit(1)


def _answers(store: Store, change: Callable[..., list[Answer]], entry_ids: Sequence[int]) -> Iterator[Answer]:
    for batch in batches(entry_ids, _AT_ONCE):
        with store.begin() as connection:
            answers = change(connection, batch, now=datetime.now(UTC))
        yield from answers


def _line(letter: Letter, *, whole: bool) -> dict[str, Any]:
    entry = letter.entry
    message = entry.message or ""
    recorded_at = _iso(letter.recorded_at) if whole else f"{letter.recorded_at:%Y-%m-%d %H:%M:%S}"
    if not whole and len(message) > _MESSAGE_LENGTH:
        message = message[: _MESSAGE_LENGTH - 1] + "…"
    return {
        "id": entry.id,
        "state": entry.state,
        "kind": entry.kind,
        "instance": entry.address.instance,
        "table": entry.address.table,
        "what": letters.about(letter),
        "attempts": entry.attempts,
        "recorded_at": recorded_at,
        "recorded_by": entry.recorded_by,
        "message": message,
    }


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
