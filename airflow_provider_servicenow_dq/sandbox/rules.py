"""What a write goes through before it is kept: business rules, data policies and unique keys.

Sources: the vendor's pages on the incident state model, priority look-up rules and data policies; where they
are silent, what clients of live instances observed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_servicenow_dq.sandbox.data import sys_id_of
from airflow_provider_servicenow_dq.sandbox.record_switches import Rule

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_servicenow_dq.sandbox.records import Records, Row
    from airflow_provider_servicenow_dq.sandbox.schema import Table
    from airflow_provider_servicenow_dq.sandbox.switches import Switches

NEW, IN_PROGRESS, ON_HOLD, RESOLVED, CLOSED, CANCELED = "1", "2", "3", "6", "7", "8"

#: States in which an incident is locked for everybody but admin.
LOCKED_STATES = frozenset({CLOSED, CANCELED})

#: Roles that the access rule of the REST API lets through; itil and admin contain the one made for it.
_API_ROLES = frozenset(
    {
        "itil",
        "admin",
        "snc_read_only",
        "snc_platform_rest_api_access",
        "rest_service",
        "web_service_admin",
    }
)


class RefusedError(Exception):
    """The instance says no.

    :param status: HTTP status that the Table API gives it.
    :param message: ``error.message`` of the answer.
    :param detail: ``error.detail`` of the answer.
    """

    def __init__(self, status: int, message: str, detail: str | None = None) -> None:
        super().__init__(status, message, detail)
        self.status = status
        self.message = message
        self.detail = detail


def operation_failed(detail: str) -> RefusedError:
    """Return the refusal that policies, rules, access rules and unique keys share."""
    return RefusedError(403, "Operation Failed", detail)


@dataclass(frozen=True, slots=True)
class Account:
    """Who acts."""

    sys_id: str
    user_name: str
    roles: frozenset[str]

    @property
    def is_admin(self) -> bool:
        """Whether access rules do not apply."""
        return "admin" in self.roles

    @property
    def may_use_api(self) -> bool:
        """Whether any role lets the user through the Table API's own access rule."""
        return bool(self.roles & _API_ROLES)


@dataclass(slots=True)
class Change:
    """One insert or update on its way through the rules.

    :param old: The row before, None for an insert.
    :param given: Columns that the request writes.
    :param journal: Journal columns that it adds an entry to.
    """

    table: str
    account: Account
    now: str
    old: Row | None
    new: Row
    given: frozenset[str]
    records: Records
    switches: Switches
    journal: frozenset[str] = frozenset()

    @property
    def schema(self) -> Table:
        """The table with its columns."""
        return self.records.schema[self.table]

    def changes(self, name: str) -> bool:
        """Whether the column gets another value than it had."""
        return self.new[name] != (self.old[name] if self.old else "")

    def enters(self, state: str) -> bool:
        """Whether the record comes into a state."""
        return self.new["state"] == state and (self.old is None or self.old["state"] != state)


def check_policies(change: Change, mandatory: list[str], matches: Callable[[str, Row], bool]) -> None:
    """Apply data policies, then the administrator's aborting rules, then unique keys.

    :param mandatory: Columns that the platform's own policies want.
    :param matches: Tells whether the new row satisfies an encoded query.
    :raises RefusedError: A mandatory column is empty, a rule aborts, or a value is taken.
    """
    columns = change.schema.columns
    wanted = list(mandatory)
    for rule in map(Rule.parse, change.switches.mandatory):
        if rule.table in change.schema.lineage and rule.column in columns and matches(rule.query, change.new):
            wanted.append(rule.column)
    missing = [columns[name].label for name in wanted if not change.new[name]]
    if missing:
        names = ", ".join(missing)
        raise operation_failed(f"Data Policy Exception: \n\tThe following fields are mandatory: {names}")
    for text in change.switches.abort:
        rule = Rule.parse(text)
        if rule.table in change.schema.lineage and matches(rule.query, change.new):
            raise aborted(change.table, f"Abort changes on {rule.table}", text)
    _check_keys(change)


def aborted(table: str, name: str, source: str) -> RefusedError:
    """Return the refusal of a business rule that calls ``setAbortAction``.

    :param source: What makes the rule's sys_id.
    """
    stack = f"'{name}^{sys_id_of('rule', source)}'. Business Rule Stack:{name}"
    return operation_failed(f"Operation against file '{table}' was aborted by Business Rule {stack}")


def not_stored(change: Change) -> RefusedError:
    """Return the refusal of the database: a key that is taken, or a value that does not fit."""
    operation = "insert" if change.old is None else "update"
    name = change.new[change.schema.display] or change.new["sys_id"]
    status = int(change.switches.duplicate_status)
    detail = f"Error during {operation} of {change.table} ({name})"
    return RefusedError(status, "Operation Failed", detail)


def _check_keys(change: Change) -> None:
    if change.old is None and change.records.is_taken(change.table, change.new["sys_id"]):
        raise not_stored(change)
    for rule in map(Rule.parse, change.switches.unique):
        if rule.table not in change.schema.lineage or rule.column not in change.new:
            continue
        value = change.new[rule.column]
        # Keys compare as MySQL's collation does, without case.
        if value and any(
            row[rule.column].casefold() == value.casefold() and row["sys_id"] != change.new["sys_id"]
            for row in change.records.rows(rule.table)
        ):
            raise not_stored(change)
