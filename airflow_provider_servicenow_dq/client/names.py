"""From what people write (a name, a number, an e-mail address) to the sys_id that the instance stores."""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING

from airflow_provider_servicenow_dq.client.choices import Choice, get_choices
from airflow_provider_servicenow_dq.client.query import Query
from airflow_provider_servicenow_dq.exceptions import AmbiguousNameError, UnsafeQueryError

if TYPE_CHECKING:
    from airflow_provider_servicenow_dq.client.query import Value
    from airflow_provider_servicenow_dq.client.table import TableApi

_SYS_ID = re.compile(r"[0-9a-f]{32}")
#: Databases find more than what equals the text (accents, case), so a few rows are read and compared here.
_CANDIDATES = 20


class Names:
    """Look-ups of one run; each answer is asked for once. Safe to share between threads.

    Every method takes a sys_id as it is, returns None where nothing matches, and raises
    ``AmbiguousNameError`` where several records do: never the first.

    :param table_api: The instance.
    """

    def __init__(self, table_api: TableApi) -> None:
        self._table_api = table_api
        self._lock = threading.Lock()
        self._found: dict[tuple[str, str], list[str]] = {}
        self._choices: dict[tuple[str, str], list[Choice]] = {}

    def user(self, text: str) -> str | None:
        """Return the active user with this user name, e-mail address or full name."""
        return self._look_up("sys_user", text, ("user_name", "email", "name"), {"active": True})

    def group(self, text: str) -> str | None:
        """Return the active group of this name."""
        return self._look_up("sys_user_group", text, ("name",), {"active": True})

    def record(self, table: str, text: str) -> str | None:
        """Return the record of any table with this number or name."""
        return self._look_up(table, text, ("number", "name"), {})

    def choices(self, table: str, field: str) -> list[Choice]:
        """Return the choices of a field."""
        with self._lock:
            known = self._choices.get((table, field))
        if known is None:
            known = get_choices(self._table_api, table, field)
            with self._lock:
                self._choices[table, field] = known
        return known

    def _look_up(
        self, table: str, text: str, fields: tuple[str, ...], conditions: dict[str, Value]
    ) -> str | None:
        name = text.strip()
        if not name or _SYS_ID.fullmatch(name):
            return name or None
        with self._lock:
            matches = self._found.get((table, name))
        if matches is None:
            matches = self._search(table, name, fields, conditions)
            with self._lock:
                self._found[table, name] = matches
        if len(matches) > 1:
            raise AmbiguousNameError(table, name, len(matches))
        return matches[0] if matches else None

    def _search(
        self, table: str, name: str, fields: tuple[str, ...], conditions: dict[str, Value]
    ) -> list[str]:
        """Return the sys_ids behind a name; the first field that knows it decides.

        What no query can say, such as a control character, is nobody's name.
        """
        for field in fields:
            try:
                query = Query.equals({field: name, **conditions})
            except UnsafeQueryError:
                return []
            rows = self._table_api.first_page(table, query, fields=("sys_id", field), limit=_CANDIDATES)
            # An instance drops conditions on fields that a table does not have, and answers with any rows.
            matches = [row["sys_id"] for row in rows if row.get(field, "").casefold() == name.casefold()]
            if matches:
                return matches
        return []
