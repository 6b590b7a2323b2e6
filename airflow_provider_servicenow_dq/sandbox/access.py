"""Who may see and change what: the access rules of tables, rows and columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_servicenow_dq.sandbox.record_switches import Rule
from airflow_provider_servicenow_dq.sandbox.records import class_of
from airflow_provider_servicenow_dq.sandbox.rules import LOCKED_STATES, Account, operation_failed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from airflow_provider_servicenow_dq.sandbox.records import Row
    from airflow_provider_servicenow_dq.sandbox.schema import Schema
    from airflow_provider_servicenow_dq.sandbox.switches import Switches

#: Groups that hold one of these are not seen by others than admin (the vendor's group read ACL).
_PRIVILEGED = frozenset({"admin", "security_admin"})
#: What callers may write to incidents of their own.
CALLERS_COLUMNS = frozenset({"comments"})


@dataclass(frozen=True, slots=True)
class Access:
    """The access rules of one instance.

    :param matches: Tells whether a row of a table satisfies an encoded query, for an account.
    """

    schema: Schema
    switches: Switches
    matches: Callable[[Account, str, str, Row], bool]

    def may_use_api(self, account: Account) -> bool:
        """Tell whether the access rule of the REST API itself lets the user through."""
        return account.may_use_api or not self.switches.api_acl

    def sees_table(self, account: Account, table: str) -> bool:
        """Tell whether the user may see any row of a table at all."""
        if account.is_admin:
            return True
        if table == "sys_journal_field" and self.switches.journal_acl:
            return False
        readers = self.schema[table].readers
        rules = map(Rule.parse, self.switches.hidden)
        is_hidden = any(rule.table in self.schema[table].lineage and not rule.query for rule in rules)
        return not is_hidden and (readers is None or bool(readers & account.roles))

    def can_read(self, account: Account, table: str, row: Row) -> bool:
        """Tell whether the user sees a row that was found in a table."""
        if account.is_admin:
            return True
        if table == "sys_journal_field" and self.switches.journal_acl:
            return False
        if table == "sys_user_group" and _PRIVILEGED & set(row["roles"].split(",")):
            return False
        own_table = class_of(table, row)
        readers = self.schema[own_table].readers
        if readers is not None and not readers & account.roles and not _is_callers(account, row):
            return False
        rules = [rule for rule in map(Rule.parse, self.switches.hidden) if rule.table == own_table]
        return not any(self.matches(account, own_table, rule.query, row) for rule in rules)

    def unreadable(self, account: Account, table: str) -> frozenset[str]:
        """Return the columns that are left out of what the user is answered."""
        return self._columns(account, table, self.switches.unreadable)

    def unwritable(self, account: Account, table: str, row: Row | None = None) -> frozenset[str]:
        """Return the columns that the user writes in vain."""
        closed = self._columns(account, table, self.switches.unwritable)
        if row is not None and not self._is_writer(account, table):
            closed |= frozenset(self.schema[table].columns) - CALLERS_COLUMNS
        return closed

    def check(self, account: Account, table: str, operation: str, row: Row | None = None) -> None:
        """Let a user write.

        :param operation: ``Insert``, ``Update`` or ``Delete``.
        :param row: The row that changes.
        :raises RefusedError: The user may not.
        """
        allowed = account.is_admin or (operation != "Delete" and self._is_writer(account, table))
        if not allowed and operation == "Update" and row is not None:
            allowed = _is_callers(account, row)
        if allowed and row is not None and table == "incident" and not account.is_admin:
            # Closed and canceled incidents are locked for everybody else.
            allowed = row["state"] not in LOCKED_STATES
        if not allowed:
            raise operation_failed(f"ACL Exception {operation} Failed due to security constraints")

    def _is_writer(self, account: Account, table: str) -> bool:
        return account.is_admin or bool(self.schema[table].writers & account.roles)

    def _columns(self, account: Account, table: str, texts: Iterable[str]) -> frozenset[str]:
        if account.is_admin:
            return frozenset()
        rules = map(Rule.parse, texts)
        return frozenset(rule.column for rule in rules if rule.table in self.schema[table].lineage)


def _is_callers(account: Account, row: Row) -> bool:
    """Tell whether an incident is one that the user called in."""
    return bool(row.get("caller_id")) and row["caller_id"] == account.sys_id
