"""From what people write (a name, a number, an e-mail address) to the sys_id that the instance stores."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final, TypeVar

from airflow_provider_servicenow_dq.client.choices import Choice, get_choices
from airflow_provider_servicenow_dq.client.dictionary import Dictionary, read_dictionary
from airflow_provider_servicenow_dq.client.ids import is_sys_id
from airflow_provider_servicenow_dq.client.query import Query
from airflow_provider_servicenow_dq.exceptions import AmbiguousNameError, UnsafeQueryError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from airflow_provider_servicenow_dq.client.query import Value
    from airflow_provider_servicenow_dq.client.table import TableApi

_Key = TypeVar("_Key")
_Found = TypeVar("_Found")

#: Databases find more than what equals the text (accents, case), so a few rows are read and compared here.
_CANDIDATES: Final = 20

_ACTIVE: Final[Mapping[str, Value]] = {"active": True}
#: Under which columns people look for a record, the surest first, and which records count.
_KNOWN_BY: Final[Mapping[str, tuple[tuple[str, ...], Mapping[str, Value]]]] = {
    "sys_user": (("user_name", "email", "employee_number", "name"), _ACTIVE),
    "sys_user_group": (("name", "email"), _ACTIVE),
}
_PERSON: Final = ("email", "user_name")
_ANY_RECORD: Final[tuple[tuple[str, ...], Mapping[str, Value]]] = (("number", "name"), {})


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
        self._people: dict[str, list[str]] = {}
        self._choices: dict[tuple[str, str], list[Choice]] = {}
        self._dictionaries: dict[str, Dictionary | None] = {}

    def user(self, text: str) -> str | None:
        """Return the active user with this user name, e-mail address, employee number or full name."""
        return self.record("sys_user", text)

    def person(self, text: str) -> str | None:
        """Return the active user with this e-mail address, else of this user name.

        What else people are called by, such as a full name, is not what they log in with.
        """
        name = text.strip()
        columns = _PERSON if "@" in name else _PERSON[1:]
        matches = self._once(self._people, name, lambda: self._users(name, columns))
        return _only("sys_user", name, matches)

    def group(self, text: str) -> str | None:
        """Return the active group of this name or e-mail address."""
        return self.record("sys_user_group", text)

    def record(self, table: str, text: str) -> str | None:
        """Return the record of any table with this number or name; of users and groups as above."""
        name = text.strip()
        if not name or is_sys_id(name.lower()):
            return name.lower() or None
        matches = self._once(self._found, (table, name), lambda: self._search(table, name))
        return _only(table, name, matches)

    def choices(self, table: str, field: str) -> list[Choice]:
        """Return the choices of a field."""
        return self._once(self._choices, (table, field), lambda: get_choices(self._table_api, table, field))

    def dictionary(self, table: str) -> Dictionary | None:
        """Return the columns of a table; None where this user may not read the dictionary."""
        return self._once(self._dictionaries, table, lambda: read_dictionary(self._table_api, table))

    def _once(self, known: dict[_Key, _Found], key: _Key, ask: Callable[[], _Found]) -> _Found:
        with self._lock:
            if key in known:
                return known[key]
        found = ask()
        with self._lock:
            return known.setdefault(key, found)

    def _search(self, table: str, name: str) -> list[str]:
        """Return the sys_ids behind a name; the first column that knows it decides.

        What no query can say, such as a control character, is nobody's name.
        """
        columns, conditions = _KNOWN_BY.get(table, _ANY_RECORD)
        return self._search_by(table, name, columns, conditions)

    def _users(self, name: str, columns: Sequence[str]) -> list[str]:
        return self._search_by("sys_user", name, columns, _ACTIVE) if name else []

    def _search_by(
        self, table: str, name: str, columns: Sequence[str], conditions: Mapping[str, Value]
    ) -> list[str]:
        for column in columns:
            try:
                query = Query.equals({column: name, **conditions})
            except UnsafeQueryError:
                return []
            rows = self._table_api.first_page(table, query, fields=("sys_id", column), limit=_CANDIDATES)
            # An instance drops conditions on columns that a table does not have, and answers with any rows.
            matches = [
                row["sys_id"] for row in rows if str(row.get(column) or "").casefold() == name.casefold()
            ]
            if matches:
                return matches
        return []


def _only(table: str, name: str, matches: Sequence[str]) -> str | None:
    if len(matches) > 1:
        raise AmbiguousNameError(table, name, len(matches))
    return matches[0] if matches else None
