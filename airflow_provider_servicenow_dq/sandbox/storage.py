"""One SQLite file that holds the records, so that they are still there after the sandbox has ended.

It is written along with every operation and read only at the start. What one operation wrote is in it
altogether or not at all, also if the process is killed.
"""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from airflow_provider_servicenow_dq.sandbox.records import Row

#: Changes when files of before cannot be read any more.
_FORMAT = 1
_TABLES = """
CREATE TABLE IF NOT EXISTS record (
    "table" TEXT, sys_id TEXT, "values" TEXT NOT NULL, PRIMARY KEY ("table", sys_id)
);
CREATE TABLE IF NOT EXISTS number ("table" TEXT PRIMARY KEY, next INTEGER NOT NULL);
"""


class Storage:
    """The file of one instance.

    :param path: Created where it does not exist.
    :raises ValueError: It is no file of a sandbox, or another process has it open.
    """

    def __init__(self, path: Path) -> None:
        # Autocommit is off: an operation begins with its first statement and ends with commit().
        self._connection = sqlite3.connect(path, timeout=0.2, check_same_thread=False)
        try:
            # An exclusive lock goes with its process, however that ends.
            self._connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
            (found,) = self._connection.execute("PRAGMA user_version").fetchone()
            if found not in {0, _FORMAT}:
                raise ValueError(f"{path} is of another version of the sandbox, format {found}")
            self._connection.executescript(f"{_TABLES} PRAGMA user_version = {_FORMAT};")
        except sqlite3.DatabaseError as error:
            self._connection.close()
            raise ValueError(f"{path} cannot hold the sandbox's records: {error}") from error

    def records(self) -> Iterator[tuple[str, str, Row | None]]:
        """Yield table, sys_id and values of every record, in their order; of a deleted one None."""
        found = self._connection.execute('SELECT "table", sys_id, "values" FROM record ORDER BY rowid')
        for table, sys_id, values in found:
            yield table, sys_id, json.loads(values)

    def numbers(self) -> dict[str, int]:
        """Return the next record number by table."""
        return dict(self._connection.execute('SELECT "table", next FROM number'))

    def put(self, table: str, sys_id: str, row: Row | None) -> None:
        """Write a record in the place of the one with its sys_id; None: it was deleted."""
        self._connection.execute(
            'INSERT INTO record VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET "values" = excluded."values"',
            (table, sys_id, json.dumps(row)),
        )

    def count(self, table: str, number: int) -> None:
        """Remember the next record number of a table."""
        self._connection.execute("INSERT OR REPLACE INTO number VALUES (?, ?)", (table, number))

    def clear(self) -> None:
        """Delete everything."""
        self._connection.execute("DELETE FROM record")
        self._connection.execute("DELETE FROM number")

    def commit(self) -> None:
        """Make what was written since the last commit last."""
        self._connection.commit()

    def close(self) -> None:
        """Let another process have the file."""
        self._connection.close()
