"""Where the tickets of a table keep what they are known by: ``correlation_id``, or a project's ``key_field``.

A ticket that cannot be found again would be opened again, so nothing is sent to a table without the column.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_servicenow_dq.client.dictionary import TASKS, read_lineage
from airflow_provider_servicenow_dq.client.query import Query
from airflow_provider_servicenow_dq.desk.order import CORRELATION
from airflow_provider_servicenow_dq.exceptions import (
    DeliveryRefusedError,
    RefusedError,
    ServiceNowConfigError,
)
from airflow_provider_servicenow_dq.store import key_columns
from airflow_provider_servicenow_dq.store.key_columns import KeyColumn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.engine import Connection

    from airflow_provider_servicenow_dq.desk.desk import Desk
    from airflow_provider_servicenow_dq.projects.project import Project

log = logging.getLogger(__name__)

#: A column of every table: where the dictionary does not know it, the dictionary cannot be read.
_EVERYWHERE: Final = "sys_created_on"
#: Both columns, each once for every table that the table extends.
_MOST_ROWS: Final = 20


class NoKeyColumnError(DeliveryRefusedError):
    """A table has no column for our correlation ids."""


def declared(connection: Connection, desk: Desk, project: Project) -> str:
    """Return the column in which the tickets of a project's table are known, and remember it.

    :raises ServiceNowConfigError: If tickets of that table are known by another one.
    """
    known = key_columns.get(connection, desk.host, project.table)
    if project.key_field is None:
        return known.name if known else CORRELATION
    if known is None or (known.name != project.key_field and not known.is_proven):
        key_columns.learn(connection, desk.host, project.table, KeyColumn(project.key_field, is_proven=False))
    elif known.name != project.key_field:
        raise ServiceNowConfigError(
            f"Project {project.id!r} has key_field {project.key_field!r}, and the tickets of "
            f"{project.table} on {desk.host} are known by {known.name!r}: they would be opened a second "
            "time. All projects of a table need the same key_field"
        )
    return project.key_field


def proven(desk: Desk, table: str, known: KeyColumn | None) -> str:
    """Return the column in which the tickets of a table are known; ask the instance once whether it is there.

    :param known: What the store knows of it.
    :raises NoKeyColumnError: If the table has no such column.
    """
    if known is None and table in TASKS:
        return CORRELATION
    column = known or KeyColumn(CORRELATION, is_proven=False)
    if column.is_proven:
        return column.name
    exists = _exists(desk, table, column.name)
    if exists is False:
        raise NoKeyColumnError(
            f"The table {table} has no column {column.name} that the account may read, so its tickets could "
            "not be found again: nothing was sent. Give the project a key_field, a column of the table for "
            "texts of 76 characters"
        )
    if exists:
        with desk.store.begin() as connection:
            key_columns.learn(connection, desk.host, table, KeyColumn(column.name, is_proven=True))
    return column.name


def is_kept(address_table: str, column: str, sent: Mapping[str, Any], record: Mapping[str, Any]) -> bool:
    """Whether a new record has the correlation id where it was sent to, so that it will be found again."""
    if column == CORRELATION and address_table in TASKS:
        return True
    return bool(record.get(column) == sent.get(column))


def _exists(desk: Desk, table: str, column: str) -> bool | None:
    """Whether a table has a column; None where neither a record nor the dictionary tells."""
    # An instance leaves out of an answer what a table does not have, and what the account may not read.
    rows = desk.table_api.first_page(table, Query(), fields=("sys_id", column), limit=1)
    if rows:
        return column in rows[0]
    try:
        lineage = Query.any_of("name", read_lineage(desk.table_api, table) or (table,))
        listed = Query.any_of("element", (column, _EVERYWHERE)).also(lineage)
        found = desk.table_api.first_page("sys_dictionary", listed, fields=("element",), limit=_MOST_ROWS)
    except RefusedError as error:
        log.info("Whether %s has a column %s cannot be read: %s", table, column, error)
        return None
    elements = {row.get("element") for row in found}
    return column in elements if elements else None
