"""The instance itself: its records, its people, its clock, and every operation on them.

Nothing here knows of HTTP. One lock is held per operation; rows are never changed in place.
"""

from __future__ import annotations

import random
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_servicenow_dq.sandbox import data, definitions
from airflow_provider_servicenow_dq.sandbox.access import Access
from airflow_provider_servicenow_dq.sandbox.customising import customised
from airflow_provider_servicenow_dq.sandbox.filters import Filter
from airflow_provider_servicenow_dq.sandbox.locales import Locale, locale
from airflow_provider_servicenow_dq.sandbox.records import Records, Row, class_of
from airflow_provider_servicenow_dq.sandbox.rules import Account, RefusedError
from airflow_provider_servicenow_dq.sandbox.scripts import Scripts
from airflow_provider_servicenow_dq.sandbox.values import Choices
from airflow_provider_servicenow_dq.sandbox.writing import Writing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from airflow_provider_servicenow_dq.sandbox.data import SeedUser
    from airflow_provider_servicenow_dq.sandbox.schema import Schema
    from airflow_provider_servicenow_dq.sandbox.storage import Storage
    from airflow_provider_servicenow_dq.sandbox.switches import Switches

NO_RECORD = RefusedError(404, "No Record found", "Record doesn't exist or ACL restricts the record retrieval")


class Instance:
    """A ServiceNow instance in memory.

    :param switches: How an administrator has set it up.
    :param users: People besides those of the demo data.
    :param storage: Where what people do is kept as well; what it holds has been done already.
    """

    def __init__(
        self, switches: Switches, users: Iterable[SeedUser] = (), storage: Storage | None = None
    ) -> None:
        self.switches = switches
        self.users = {user.user_name: user for user in (*data.USERS, *users)}
        self._storage = storage
        self._lock = threading.RLock()
        self._shuffle = random.Random(0)  # noqa: S311  # an arbitrary row order, not a secret
        self._begin()

    @property
    def schema(self) -> Schema:
        """The tables that the instance has."""
        return self.records.schema

    @property
    def access(self) -> Access:
        """Who may see and change what."""
        return Access(self.schema, self.switches, self.matches)

    def reset(self) -> None:
        """Go back to the demo data."""
        with self._lock:
            if self._storage:
                self._storage.clear()
                self._storage.commit()
            self._begin()

    def configure(self, switches: Switches) -> None:
        """Change the switches."""
        with self._lock:
            self.switches = switches
            schema = customised(switches.table, switches.column)
            if schema is not self.schema:
                self.records.adapt(schema)
            self._define()

    def close(self) -> None:
        """Let go of the file; the records are still here."""
        with self._lock:
            self.records.detach()
            if self._storage:
                self._storage.close()
                self._storage = None

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

    def locale(self, account: Account | None = None) -> Locale:
        """Return how a user sees dates and times, or how everybody does who has not chosen otherwise."""
        user = (self.records.get("sys_user", account.sys_id) if account else None) or {}
        names = ("time_zone", "date_format", "time_format")
        zone, date_format, time_format = (user.get(name) or getattr(self.switches, name) for name in names)
        try:
            return locale(zone, date_format, time_format)
        except ValueError:
            # Whatever somebody wrote into the user's profile; the platform goes on with its own.
            return locale(*(getattr(self.switches, name) for name in names))

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

    def matches(self, account: Account, table: str, encoded: str, row: Row) -> bool:
        """Tell whether one row, stored or not, satisfies an encoded query."""
        return self._filter(account, table).matches(encoded, row)

    def check_table(self, table: str) -> None:
        """Make sure that there is such a table.

        :raises RefusedError: There is none; everybody is told so, whatever their rights.
        """
        if table not in self.schema:
            raise RefusedError(400, f"Invalid table {table}")

    def all_rows(self, table: str) -> list[Row]:
        """Return every row of a table, oldest first.

        :raises KeyError: There is no such table.
        """
        with self._lock:
            return self.records.rows(table)

    def can_read(self, account: Account, table: str, row: Row) -> bool:
        """Tell whether access rules let the user see a row."""
        return self.access.can_read(account, table, row)

    def unreadable(self, account: Account, table: str) -> frozenset[str]:
        """Return the columns that access rules leave out of what the user is answered."""
        return self.access.unreadable(account, table)

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

        :raises RefusedError: Access rules, policies, rules or a unique key say no.
        """
        with self._operation(table) as writing:
            self.access.check(account, table, "Insert")
            return writing.insert(account, table, body, self.locale(account) if input_display else None)

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
        with self._operation(table) as writing:
            old = self.read(account, table, sys_id)
            own_table = class_of(table, old)
            self.access.check(account, own_table, "Update", old)
            columns = self.schema[table].columns
            body = {name: value for name, value in body.items() if name in columns}
            seen = self.locale(account) if input_display else None
            return writing.update(account, own_table, old, body, seen)

    def delete(self, account: Account, table: str, sys_id: str) -> None:
        """Delete a record.

        :raises RefusedError: There is no such record, or the user may not.
        """
        with self._operation(table):
            row = self.read(account, table, sys_id)
            own_table = class_of(table, row)
            self.access.check(account, own_table, "Delete")
            self.records.remove(own_table, sys_id)

    @contextmanager
    def _operation(self, table: str) -> Iterator[Writing]:
        """Hold the lock for one operation on a table, and keep what it wrote."""
        with self._lock:
            try:
                yield Writing(self)
            finally:
                self.records.commit()
                if table == "sys_choice":
                    self.choices.forget()
                if table == "sys_properties":
                    self._obey_properties()

    def _filter(self, account: Account, table: str) -> Filter:
        switches = self.switches
        seen = self.locale(account)

        def groups() -> list[str]:
            members = self.records.rows("sys_user_grmember")
            return [row["group"] for row in members if row["user"] == account.sys_id]

        return Filter(
            self.records,
            table,
            Scripts(self.now(), seen.zone, account.sys_id, account.user_name, groups),
            switches.case_sensitive_equality,
            switches.invalid_query_returns_no_rows,
            seen if switches.query_dates == "user" else None,
            frozenset() if account.is_admin else frozenset(switches.query_range),
        )

    def _literals(self, table: str, name: str, value: str) -> list[str]:
        """Return the raw values that a name=value filter means: the value itself and what it displays."""
        column = self.schema[table].columns.get(name)
        if column is None:
            return [value]
        if column.choice:
            labels = self.choices.of(table, name)
            return [value, *(raw for raw, label in labels.items() if label.casefold() == value.casefold())]
        if column.reference in self.schema:
            row = self.records.by_display_value(column.reference, value)
            return [value, row["sys_id"]] if row else [value]
        return [value]

    def _begin(self) -> None:
        """Put the demo data in place, then what was done to it."""
        self.records = Records(customised(self.switches.table, self.switches.column))
        self.choices = Choices(self.records)
        self._defined: Mapping[tuple[str, str], Row] = {}
        for table, values in (*map(data.user_record, self.users.values()), *data.organisation()):
            self.records.seed(table, definitions.seeded(self.schema, table, values))
        self._define()
        if self._storage:
            self.records.attach(self._storage)
            self._obey_properties()

    def _define(self) -> None:
        """Bring what follows from the switches in line with them; what people have changed stays."""
        wanted = definitions.rows(self.switches)
        if wanted is self._defined:
            return
        for (table, sys_id), row in self._defined.items():
            if table not in self.schema or self.records.get(table, sys_id) != row:
                continue
            if (table, sys_id) not in wanted:
                self.records.unseed(table, sys_id)
        for (table, sys_id), row in wanted.items():
            if self.records.get(table, sys_id) == self._defined.get((table, sys_id)):
                self.records.seed(table, row)
        self._defined = wanted
        self.choices.forget()

    def _obey_properties(self) -> None:
        """Set the switches that system properties are."""
        for row in self.records.rows("sys_properties"):
            name = definitions.PROPERTIES.get(row["name"])
            if name is None or row["value"] == definitions.as_property(getattr(self.switches, name)):
                continue
            value: Any = row["value"]
            if isinstance(getattr(self.switches, name), bool):
                value = value == "true"
            self.switches = self.switches.changed(**{name: value})
