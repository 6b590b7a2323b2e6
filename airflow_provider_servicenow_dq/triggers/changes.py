"""What has changed among the records of a query: each change once, and none left out.

An instance stamps a change when it begins and shows it when it is done. So every read begins some minutes
before the one before it did, and what it has shown already is known by its stamp and its number of changes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Self

from airflow_provider_servicenow_dq.client.checked import check_conditions
from airflow_provider_servicenow_dq.client.query import Query, as_query
from airflow_provider_servicenow_dq.desk.result import SCHEMA_VERSION
from airflow_provider_servicenow_dq.tickets.states import states_of
from airflow_provider_servicenow_dq.tickets.ticket import iso, record_url

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_provider_servicenow_dq.client.query import Value
    from airflow_provider_servicenow_dq.client.table import Record, TableApi

#: A transaction of an instance may take a minute and more, and two clocks differ.
_OVERLAP: Final = timedelta(minutes=3)

#: Records that are remembered over a restart; of more that changed within minutes, some are told again.
_MOST_REMEMBERED: Final = 500

_FIELDS: Final = (
    "sys_id",
    "number",
    "state",
    "priority",
    "short_description",
    "sys_updated_on",
    "sys_updated_by",
    "sys_mod_count",
)

#: One version of a record.
Version = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Position:
    """How far the changes have been read.

    :param read_at: When the last read began, by the instance's clock.
    :param seen: The versions that it has shown of what changed shortly before, by sys_id.
    """

    read_at: datetime
    seen: Mapping[str, Version] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON of bounded size."""
        newest = sorted(self.seen.items(), key=lambda item: item[1], reverse=True)[:_MOST_REMEMBERED]
        return {
            "read_at": self.read_at.isoformat(),
            "seen": [[sys_id, *version] for sys_id, version in newest],
        }

    @classmethod
    def from_json(cls, kept: Any) -> Self | None:
        """Return what :meth:`as_json` has given; None for anything else."""
        try:
            read_at = datetime.fromisoformat(kept["read_at"])
            return cls(read_at, {sys_id: (stamp, count) for sys_id, stamp, count in kept["seen"]})
        except (TypeError, KeyError, ValueError):
            return None


def query_of(query: Mapping[str, Value] | str) -> Query:
    """Return the query of equal conditions, or of an encoded text, which is taken as it is.

    :raises UnsafeQueryError: If a condition cannot be said exactly.
    """
    return Query.raw(query) if isinstance(query, str) else as_query(query)


def begin(table_api: TableApi, table: str, query: Query) -> Position:
    """Return the position from which changes are those that happen from now on.

    :raises UnsafeQueryError: If the instance ignores a condition, so that every change would match.
    """
    # Also tells the instance's clock.
    check_conditions(table_api, table, query)
    table_api.first_page(table, query, fields=("sys_id",), limit=1)
    start = Position(_now(table_api))
    _, position = read(table_api, table, query, start)
    return position


def read(table_api: TableApi, table: str, query: Query, position: Position) -> tuple[list[Record], Position]:
    """Return the records that changed since a position, in the order of their changes, and the new position.

    A record that changed several times between two reads comes once, as it is now.
    """
    began = datetime.now(UTC)
    since = position.read_at - _OVERLAP
    rows = list(table_api.find_updated(table, query, since=since, fields=_FIELDS))
    read_at = began + table_api.transport.clock.ahead
    changed = list(_new(rows, position.seen))
    keep_from = f"{read_at - _OVERLAP:%Y-%m-%d %H:%M:%S}"
    seen = {row["sys_id"]: _version(row) for row in rows if row["sys_updated_on"] >= keep_from}
    return changed, Position(read_at, seen)


def payload(record: Record, *, table: str, base_url: str) -> dict[str, Any]:
    """Return what is told of a change."""
    state = str(record.get("state") or "")
    return {
        "schema_version": SCHEMA_VERSION,
        "table": table,
        "sys_id": record["sys_id"],
        "number": record.get("number") or "",
        "state": state,
        "status": states_of(table).label(state),
        "priority": record.get("priority") or "",
        "short_description": record.get("short_description") or "",
        "updated_at": iso(record["sys_updated_on"]),
        "updated_by": record.get("sys_updated_by") or "",
        "changes": record.get("sys_mod_count") or "",
        "url": record_url(base_url, table, record["sys_id"]),
    }


def _now(table_api: TableApi) -> datetime:
    return datetime.now(UTC) + table_api.transport.clock.ahead


def _version(row: Record) -> Version:
    return row["sys_updated_on"], str(row.get("sys_mod_count") or "")


def _new(rows: Iterable[Record], seen: Mapping[str, Version]) -> Iterable[Record]:
    """Yield what is new; a record that changes while the list is read comes again with its new time."""
    known = dict(seen)
    for row in rows:
        if known.get(row["sys_id"]) != _version(row):
            known[row["sys_id"]] = _version(row)
            yield row
