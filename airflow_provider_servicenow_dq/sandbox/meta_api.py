"""What forms need to know of a table: ``/api/now/ui/meta/{table}``, undocumented and widely used."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from airflow_provider_servicenow_dq.sandbox.answers import Answer, json_answer, no_such_resource
from airflow_provider_servicenow_dq.sandbox.content import check_accept, no_such_method
from airflow_provider_servicenow_dq.sandbox.record_switches import Rule

if TYPE_CHECKING:
    from airflow_provider_servicenow_dq.sandbox.exchange import Request
    from airflow_provider_servicenow_dq.sandbox.instance import Instance
    from airflow_provider_servicenow_dq.sandbox.rules import Account
    from airflow_provider_servicenow_dq.sandbox.schema import Column

_PATH = re.compile(r"/api/now(?:/v1)?/ui/meta/(?P<table>[^/]+)/?")


class MetaApi:
    """Tells columns and choices, those of parent tables included."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance

    def answer(self, account: Account, request: Request) -> Answer:
        """Return the columns of a table that the user may read.

        :raises RefusedError: The table does not exist.
        """
        match = _PATH.fullmatch(request.path)
        if match is None:
            return no_such_resource()
        if request.method not in {"GET", "HEAD"}:
            raise no_such_method(request)
        check_accept(request, self._instance.switches)
        table = match["table"]
        self._instance.check_table(table)
        hidden = self._instance.unreadable(account, table)
        rules = [rule for rule in map(Rule.parse, self._instance.switches.mandatory) if rule.table == table]
        mandatory = {rule.column for rule in rules if not rule.query}
        columns = {
            name: self._told(table, column, is_mandatory=name in mandatory)
            for name, column in self._instance.schema[table].columns.items()
            if name not in hidden
        }
        return json_answer(200, {"result": {"columns": columns}})

    def _told(self, table: str, column: Column, *, is_mandatory: bool) -> dict[str, Any]:
        told: dict[str, Any] = {
            "name": column.name,
            "label": column.label,
            "type": column.kind.value,
            "internal_type": column.kind.value,
            "max_length": column.length,
            "mandatory": is_mandatory,
            "read_only": column.name.startswith("sys_"),
            "filterable": True,
        }
        if column.reference:
            told["reference"] = column.reference
        choices = self._instance.choices.of(table, column.name) if column.choice else {}
        if choices:
            told["choices"] = [
                {"label": label, "value": value, "sequence": sequence}
                for sequence, (value, label) in enumerate(choices.items(), start=1)
            ]
        return told
