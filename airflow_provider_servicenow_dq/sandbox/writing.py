"""How a record comes to be and changes: values, rules, policies, journal."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_servicenow_dq.sandbox import task_rules
from airflow_provider_servicenow_dq.sandbox.rules import Account, Change, check_policies, not_stored
from airflow_provider_servicenow_dq.sandbox.scripts import TIME_FORMAT
from airflow_provider_servicenow_dq.sandbox.values import SYS_ID, Reader, Written

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_servicenow_dq.sandbox.instance import Instance
    from airflow_provider_servicenow_dq.sandbox.locales import Locale
    from airflow_provider_servicenow_dq.sandbox.records import Row


@dataclass(frozen=True, slots=True)
class Writing:
    """One operation on an instance, under its lock."""

    instance: Instance

    def insert(self, account: Account, table: str, body: Mapping[str, Any], locale: Locale | None) -> Row:
        """Create a record.

        :param locale: How the user writes display values; None: the values are raw.
        """
        unwritable = self.instance.access.unwritable(account, table)
        written = self._reader(account, unwritable, locale).read(table, body)
        stamp = self._stamp()
        own_id = str(body.get("sys_id", "")) if self._may_write_system(account) else ""
        new = {
            **self.instance.schema[table].defaults,
            **_stamps(account, stamp),
            **written.values,
            "sys_id": own_id if SYS_ID.fullmatch(own_id) else uuid.uuid4().hex,
        }
        if "sys_class_name" in new:
            new["sys_class_name"] = table
        self._apply(self._change(account, table, stamp, None, new, frozenset(body), written), written)
        self.instance.records.put(table, new)
        self._write_journal(account, table, new, written, stamp)
        return new

    def update(
        self, account: Account, table: str, old: Row, body: Mapping[str, Any], locale: Locale | None
    ) -> Row:
        """Change a record of exactly this table.

        :param locale: How the user writes display values; None: the values are raw.
        """
        unwritable = self.instance.access.unwritable(account, table, old)
        return self._update(account, table, old, self._reader(account, unwritable, locale).read(table, body))

    def _update(self, account: Account, table: str, old: Row, written: Written) -> Row:
        stamp = self._stamp()
        new = {**old, **written.values}
        change = self._change(account, table, stamp, old, new, frozenset(written.values), written)
        self._apply(change, written)
        if new == old and not written.journal:
            return old
        new["sys_mod_count"] = str(int(old["sys_mod_count"]) + 1)
        new["sys_updated_on"] = written.values.get("sys_updated_on", stamp)
        new["sys_updated_by"] = written.values.get("sys_updated_by", account.user_name)
        self.instance.records.put(table, new)
        self._write_journal(account, table, new, written, stamp)
        for child, values in task_rules.children_of(change):
            self._update(account, table, child, Written(values))
        return new

    def _change(
        self,
        account: Account,
        table: str,
        stamp: str,
        old: Row | None,
        new: Row,
        given: frozenset[str],
        written: Written,
    ) -> Change:
        journal = frozenset(name for name, _ in written.journal)
        instance = self.instance
        return Change(table, account, stamp, old, new, given, instance.records, instance.switches, journal)

    def _apply(self, change: Change, written: Written) -> None:
        def matches(encoded: str, row: Row) -> bool:
            return self.instance.matches(change.account, change.table, encoded, row)

        task_rules.run_business_rules(change)
        check_policies(change, task_rules.mandatory_columns(change), matches)
        if written.too_long and change.switches.long_strings == "refuse":
            raise not_stored(change)

    def _reader(self, account: Account, unwritable: frozenset[str], locale: Locale | None) -> Reader:
        def make(table: str, name: str) -> str:
            """Create the record that a reference allows to be made on the way."""
            column = self.instance.schema[table].display
            return self.insert(account, table, {column: name}, None)["sys_id"]

        instance = self.instance
        may_write_system = self._may_write_system(account)
        return Reader(
            instance.records, instance.choices, instance.switches, may_write_system, make, unwritable, locale
        )

    def _may_write_system(self, account: Account) -> bool:
        """``glide.rest.table_api.admin_only_sys_fields``: off unless the instance was hardened."""
        return account.is_admin or not self.instance.switches.admin_only_sys_fields

    def _write_journal(self, account: Account, table: str, row: Row, written: Written, stamp: str) -> None:
        for element, text in written.journal:
            entry = {
                **self.instance.schema["sys_journal_field"].defaults,
                **_stamps(account, stamp),
                "sys_id": uuid.uuid4().hex,
                "name": table,
                "element": element,
                "element_id": row["sys_id"],
                "value": text,
            }
            self.instance.records.put("sys_journal_field", entry)

    def _stamp(self) -> str:
        return self.instance.now().strftime(TIME_FORMAT)


def _stamps(account: Account, stamp: str) -> Row:
    return {
        "sys_created_on": stamp,
        "sys_created_by": account.user_name,
        "sys_updated_on": stamp,
        "sys_updated_by": account.user_name,
    }
