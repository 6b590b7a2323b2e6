"""``servicenow-dq store``: looking after the store."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import click

from airflow_provider_servicenow_dq.commands.memory import opened, store_option
from airflow_provider_servicenow_dq.commands.printing import output_option, print_facts
from airflow_provider_servicenow_dq.exceptions import StoreError
from airflow_provider_servicenow_dq.store import care, moving
from airflow_provider_servicenow_dq.store.prune import Pruned
from airflow_provider_servicenow_dq.store.prune import prune as prune_store
from airflow_provider_servicenow_dq.store.schema import HEAD

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_servicenow_dq.store.care import Health
    from airflow_provider_servicenow_dq.store.store import Store

#: A line of progress on stderr after so many steps.
_TELL_EVERY: Final = 20


@click.group("store")
def group() -> None:
    """Look after the store: what has been reported, opened and is still to be sent."""


@group.command()
@store_option
def upgrade(url: str | None) -> None:
    """Bring the store to the schema of this version; make it if there is none."""
    with opened(url) as store:
        before = store.revision()
        store.upgrade()
        click.echo(f"{store!r}: {before or 'nothing'} → {HEAD}")


@group.command()
@output_option
@store_option
def check(output: str, url: str | None) -> None:
    """Say whether the store can be used, is whole, and what is in it; exit code 1 if something is wrong."""
    with opened(url) as store:
        revision = store.revision()
        if revision != HEAD:
            raise StoreError(_of_another_time(store, revision))
        with store.snapshot() as connection:
            now = datetime.now(UTC)
            health = care.examine(connection, now=now)
        print_facts({"store": repr(store), "schema": revision, **_facts(health, now)}, output)
    if health.wrong:
        raise click.ClickException(
            "The store is damaged. Stop what uses it and put a backup in its place, or make a new one: "
            "`store upgrade`, then `store adopt` finds the tickets again; what was not delivered yet is lost."
        )


@group.command()
@click.option(
    "--older-than",
    "age",
    metavar="DAYSd",
    required=True,
    callback=lambda _, __, text: _days(text),
    help="How long ago it ended, e.g. 365d.",
)
@click.option("--dry-run", is_flag=True, help="Only count.")
@output_option
@store_option
def prune(age: timedelta, dry_run: bool, output: str, url: str | None) -> None:  # noqa: FBT001 (click calls it by name)
    """Forget tickets that were closed long ago and not reported since, and the texts of what was delivered.

    What was sent stays known, so that nothing is sent twice. A forgotten ticket is found again on the
    instance when its problem comes back.
    """
    total = Pruned()
    with opened(url) as store:
        parts = prune_store(store, before=datetime.now(UTC) - age, dry_run=dry_run)
        for number, part in enumerate(parts, start=1):
            total.add(part)
            if number % _TELL_EVERY == 0:
                click.echo(f"{total.tickets} tickets, {total.texts} texts so far", err=True)
    print_facts({"dry_run": dry_run, **dataclasses.asdict(total)}, output)


@group.command("export")
@click.argument("path", metavar="FILE")
@store_option
def export_store(path: str, url: str | None) -> None:
    """Write the whole store to FILE as JSON lines; - is stdout. Others may go on using it."""
    with opened(url) as store, _writing(path) as file:
        written = moving.export_store(store, file)
    click.echo(f"{sum(written.values())} rows written", err=True)


@group.command("import")
@click.argument("path", metavar="FILE")
@store_option
def import_store(path: str, url: str | None) -> None:
    """Read what export wrote into an empty store, also of the other kind: the way from SQLite to PostgreSQL.

    Stop the tasks that use the old store before it is exported: what they write afterwards stays there.
    """
    with opened(url) as store, _reading(path) as file:
        read = moving.import_store(store, file)
        click.echo(f"{store!r}: {sum(read.values())} rows read")


@group.command()
@click.option(
    "--conn-id", default="servicenow_default", show_default=True, help="Airflow connection to read by."
)
@click.option("--table", default="incident", show_default=True)
@click.option("--key-field", metavar="COLUMN", help="Of a table without correlation_id: that of its project.")
@output_option
@store_option
def adopt(conn_id: str, table: str, key_field: str | None, output: str, url: str | None) -> None:
    """Rebuild a lost store from the instance: its tickets, their anomalies, and what we wrote on them."""
    from airflow.sdk.exceptions import AirflowException  # noqa: PLC0415 (--help does not need Airflow)

    from airflow_provider_servicenow_dq.desk.adopt import Adopted, adopt_all  # noqa: PLC0415 (loads the desk)
    from airflow_provider_servicenow_dq.hooks.desk import open_desk  # noqa: PLC0415 (loads Airflow)
    from airflow_provider_servicenow_dq.hooks.servicenow import ServiceNowHook  # noqa: PLC0415 (loads Airflow)

    adopted = Adopted()
    try:
        with opened(url) as store, open_desk(ServiceNowHook(conn_id), store=store) as desk:
            for number, adopted in enumerate(adopt_all(desk, table, key_field=key_field), start=1):
                if number % _TELL_EVERY == 0:
                    click.echo(f"{adopted.found} tickets found so far", err=True)
    except AirflowException as error:
        raise click.ClickException(f"The connection {conn_id!r} cannot be read: {error}") from error
    print_facts(dataclasses.asdict(adopted), output)


def _days(text: str) -> timedelta:
    number = text.removesuffix("d")
    if number == text or not number.isdecimal() or not int(number):
        raise click.BadParameter(f"{text!r} is not a number of days such as 365d")
    return timedelta(days=int(number))


def _of_another_time(store: Store, revision: str | None) -> str:
    if revision is None:
        return f"{store!r} does not exist yet: the first task that needs it makes it, or `store upgrade`"
    return (
        f"{store!r} has schema {revision}, this version of the package works with {HEAD}. An older one is "
        "brought there by `store upgrade` or the first task, a newer one needs a newer package"
    )


def _facts(health: Health, now: datetime) -> dict[str, Any]:
    oldest = health.oldest_waiting
    meaning = []
    if oldest is not None and now - oldest > timedelta(days=1):
        meaning.append("something waits for more than a day: does a ServiceNowDeliverOperator run?")
    if health.entries["dead"]:
        meaning.append("ServiceNow refused something: see `servicenow-dq outbox list --state dead`")
    if health.left_claims:
        meaning.append("some claims ran out: a worker died, and whoever comes next takes its tickets over")
    return {
        "rows": health.rows,
        "outbox": health.entries,
        "oldest_waiting": oldest.isoformat() if oldest else None,
        "expired_claims": health.left_claims,
        "meaning": meaning,
        "wrong": health.wrong,
    }


@contextlib.contextmanager
def _writing(path: str) -> Iterator[IO[str]]:
    """Open a file that is there only when it is whole."""
    if path == "-":
        yield sys.stdout
        return
    target = Path(path)
    part = target.with_name(f"{target.name}.part")
    try:
        part.touch(mode=0o600)  # it holds the users' texts
        with part.open("w", encoding="utf-8") as file:
            yield file
        part.replace(target)
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)


@contextlib.contextmanager
def _reading(path: str) -> Iterator[IO[str]]:
    if path == "-":
        yield sys.stdin
        return
    try:
        with Path(path).open(encoding="utf-8") as file:
            yield file
    except (OSError, UnicodeDecodeError) as error:
        raise click.ClickException(f"{path} cannot be read: {error}") from error
