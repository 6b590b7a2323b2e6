"""The instance itself: its records, its people, its clock, and every operation on them.

Nothing here knows of HTTP. One lock is held per operation; rows are never changed in place.
"""

from __future__ import annotations

import random
import threading
import time
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from airflow_provider_servicenow_dq.sandbox import data
from airflow_provider_servicenow_dq.sandbox.filters import Filter
from airflow_provider_servicenow_dq.sandbox.records import Records, Row, class_of
from airflow_provider_servicenow_dq.sandbox.rules import (
    Account,
    Change,
    RefusedError,
    check_access,
    check_policies,
    operation_failed,
    run_business_rules,
)
from airflow_provider_servicenow_dq.sandbox.schema import TABLES
from airflow_provider_servicenow_dq.sandbox.scripts import TIME_FORMAT, Scripts
from airflow_provider_servicenow_dq.sandbox.switches import Rule, Switches
from airflow_provider_servicenow_dq.sandbox.values import SYS_ID, Choices, Reader

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_provider_servicenow_dq.sandbox.data import SeedUser

NO_RECORD = RefusedError(404, "No Record found", "Record doesn't exist or ACL restricts the record retrieval")


class Instance:
    """A ServiceNow instance in memory.

    :param switches: How an administrator has set it up.
    :param users: People besides those of the demo data.
    """

    def __init__(self, switches: Switches, users: Iterable[SeedUser] = ()) -> None:
        self.switches = switches
        self.users = {user.user_name: user for user in (*data.USERS, *users)}
        self._lock = threading.RLock()
        self._shuffle = random.Random(0)  # noqa: S311  # an arbitrary row order, not a secret
        self.reset()

    def reset(self) -> None:
        """Go back to the demo data."""
        with self._lock:
            self.records = Records()
            self.choices = Choices(self.records)
            for table, values in (
                *map(data.user_record, self.users.values()),
                *data.organisation(),
                *data.choices(),
            ):
                self._seed(table, values)
            self._seed_close_codes()

    def configure(self, switches: Switches) -> None:
        """Change the switches."""
        with self._lock:
            codes_change = switches.close_code_set != self.switches.close_code_set
            self.switches = switches
            if codes_change:
                self._seed_close_codes()

    def now(self) -> datetime:
        """Return the instance's time, in UTC."""
        return datetime.fromtimestamp(time.time() + self.switches.clock_offset_s, UTC)

    def account(self, user_name: str) -> Account | None:
        """Return who acts under a user name, or None if the user does not exist or may not log in."""
        user = self.users.get(user_name)
        if user is None:
            return None
        sys_id = data.user_record(user)[1]["sys_id"]
        row = self.records.get("sys_user", sys_id)
        if row is None or row["active"] != "true" or row["locked_out"] == "true":
            return None
        return Account(sys_id, user.user_name, frozenset(user.roles))

    def select(
        self, account: Account, table: str, encoded: str, filters: Mapping[str, str] | None = None
    ) -> list[Row]:
        """Return the rows that a query or name=value filters find, in any order unless the query orders them.

        Access rules are not applied: the platform counts and cuts pages before it does.
        """
        with self._lock:
            found = self._filter(account, table).select(encoded)
            for name, value in (filters or {}).items():
                test = self._filter(account, table).equal(name, self._literals(table, name, value))
                found = [row for row in found if test(row)] if test else found
        if "ORDERBY" not in encoded:
            self._shuffle.shuffle(found)
        return found

    def all_rows(self, table: str) -> list[Row]:
        """Return every row of a table, oldest first.

        :raises KeyError: There is no such table.
        """
        with self._lock:
            return self.records.rows(table)

    def can_read(self, account: Account, table: str, row: Row) -> bool:
        """Tell whether access rules let the user see a row."""
        if account.is_admin:
            return True
        if table == "sys_journal_field" and self.switches.journal_acl:
            return False
        own_table = class_of(table, row)
        rules = [rule for rule in map(Rule.parse, self.switches.hidden) if rule.table == own_table]
        return not any(self._filter(account, own_table).matches(rule.query, row) for rule in rules)

    def unreadable(self, account: Account, table: str) -> frozenset[str]:
        """Return the columns that access rules leave out of what the user is answered."""
        if account.is_admin:
            return frozenset()
        rules = map(Rule.parse, self.switches.unreadable)
        return frozenset(rule.column for rule in rules if rule.table in TABLES[table].lineage)

    def read(self, account: Account, table: str, sys_id: str) -> Row:
        """Return one record.

        :raises RefusedError: 404 where there is none, or none that the user may see.
        """
        row = self.records.get(table, sys_id)
        if row is None or not self.can_read(account, table, row):
            raise NO_RECORD
        return row

    def insert(
        self, account: Account, table: str, body: Mapping[str, Any], *, input_display: bool = False
    ) -> Row:
        """Create a record.

        :raises RefusedError: Access rules, policies, rules or the primary key say no.
        """
        with self._lock:
            check_access(account, table, "Insert")
            written = self._reader(account, input_display=input_display).read(table, body)
            stamp = self.now().strftime(TIME_FORMAT)
            own_id = str(body.get("sys_id", "")) if self._may_write_system(account) else ""
            new = {
                **TABLES[table].defaults,
                **self._stamps(account, stamp),
                **written.values,
                "sys_id": own_id if SYS_ID.fullmatch(own_id) else uuid.uuid4().hex,
            }
            if "sys_class_name" in new:
                new["sys_class_name"] = table
            self._apply(Change(table, account, stamp, None, new, frozenset(body), self.records))
            if self.records.is_taken(table, new["sys_id"]):
                name = new[TABLES[table].display] or new["sys_id"]
                raise operation_failed(f"Error during insert of {table} ({name})")
            self._store(table, new)
            self._write_journal(account, table, new, written.journal, stamp)
            return new

    def update(
        self,
        account: Account,
        table: str,
        sys_id: str,
        body: Mapping[str, Any],
        *,
        input_display: bool = False,
    ) -> Row:
        """Change a record; what changes nothing leaves ``sys_updated_on`` as it is.

        :raises RefusedError: There is no such record, or access rules, policies or rules say no.
        """
        with self._lock:
            old = self.read(account, table, sys_id)
            own_table = class_of(table, old)
            check_access(account, own_table, "Update", old)
            columns = TABLES[table].columns
            body = {name: value for name, value in body.items() if name in columns}
            written = self._reader(account, input_display=input_display).read(own_table, body)
            stamp = self.now().strftime(TIME_FORMAT)
            new = {**old, **written.values}
            self._apply(Change(own_table, account, stamp, old, new, frozenset(written.values), self.records))
            if new == old and not written.journal:
                return old
            new["sys_mod_count"] = str(int(old["sys_mod_count"]) + 1)
            new["sys_updated_on"] = written.values.get("sys_updated_on", stamp)
            new["sys_updated_by"] = written.values.get("sys_updated_by", account.user_name)
            self._store(own_table, new)
            self._write_journal(account, own_table, new, written.journal, stamp)
            return new

    def delete(self, account: Account, table: str, sys_id: str) -> None:
        """Delete a record.

        :raises RefusedError: There is no such record, or the user may not.
        """
        with self._lock:
            row = self.read(account, table, sys_id)
            own_table = class_of(table, row)
            check_access(account, own_table, "Delete")
            self.records.remove(own_table, sys_id)
            self.choices.forget()

    def _apply(self, change: Change) -> None:
        run_business_rules(change)
        tests = self._filter(change.account, change.table)
        check_policies(change, self.switches, tests.matches)

    def _store(self, table: str, row: Row) -> None:
        self.records.put(table, row)
        if table == "sys_choice":
            self.choices.forget()

    def _write_journal(
        self, account: Account, table: str, row: Row, entries: list[tuple[str, str]], stamp: str
    ) -> None:
        for element, text in entries:
            entry = {
                **TABLES["sys_journal_field"].defaults,
                **self._stamps(account, stamp),
                "sys_id": uuid.uuid4().hex,
                "name": table,
                "element": element,
                "element_id": row["sys_id"],
                "value": text,
            }
            self.records.put("sys_journal_field", entry)

    def _stamps(self, account: Account, stamp: str) -> Row:
        return {
            "sys_created_on": stamp,
            "sys_created_by": account.user_name,
            "sys_updated_on": stamp,
            "sys_updated_by": account.user_name,
        }

    def _may_write_system(self, account: Account) -> bool:
        """``glide.rest.table_api.admin_only_sys_fields``: off unless the instance was hardened."""
        return account.is_admin or not self.switches.admin_only_sys_fields

    def _reader(self, account: Account, *, input_display: bool) -> Reader:
        may_write_system = self._may_write_system(account)
        return Reader(self.records, self.choices, self.switches, may_write_system, input_display)

    def _filter(self, account: Account, table: str) -> Filter:
        switches = self.switches
        zone = ZoneInfo(switches.time_zone)

        def groups() -> list[str]:
            members = self.records.rows("sys_user_grmember")
            return [row["group"] for row in members if row["user"] == account.sys_id]

        scripts = Scripts(self.now(), zone, account.sys_id, account.user_name, groups)
        strict = switches.invalid_query_returns_no_rows
        return Filter(self.records, table, scripts, switches.case_sensitive_equality, strict)

    def _literals(self, table: str, name: str, value: str) -> list[str]:
        """Return the raw values that a name=value filter means: the value itself and what it displays."""
        column = TABLES[table].columns.get(name)
        if column is None:
            return [value]
        if column.choice:
            labels = self.choices.of(table, name)
            return [value, *(raw for raw, label in labels.items() if label.casefold() == value.casefold())]
        if column.reference in TABLES:
            row = self.records.by_display_value(column.reference, value)
            return [value, row["sys_id"]] if row else [value]
        return [value]

    def _seed(self, table: str, values: Row) -> None:
        stamps = self._stamps(Account("", "system", frozenset()), "2025-01-01 08:00:00")
        row = {**TABLES[table].defaults, **stamps, **values}
        if "sys_class_name" in row:
            row["sys_class_name"] = table
        self._store(table, row)

    def _seed_close_codes(self) -> None:
        for row in self.records.rows("sys_choice"):
            if (row["name"], row["element"]) == ("incident", "close_code"):
                self.records.remove("sys_choice", row["sys_id"])
        for table, values in data.close_codes(self.switches.close_code_set):
            self._seed(table, values)
        self.choices.forget()
