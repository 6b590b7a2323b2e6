"""Rows that follow from how the instance is set up: choices, the dictionary, and system properties."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from airflow_provider_servicenow_dq.sandbox import choice_lists, data
from airflow_provider_servicenow_dq.sandbox.customising import ChoiceList, customised
from airflow_provider_servicenow_dq.sandbox.schema import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_provider_servicenow_dq.sandbox.data import Seed
    from airflow_provider_servicenow_dq.sandbox.records import Row
    from airflow_provider_servicenow_dq.sandbox.schema import Column, Schema
    from airflow_provider_servicenow_dq.sandbox.switches import Switches

#: Properties of the platform by the switch that they are here.
PROPERTIES: Mapping[str, str] = {
    "glide.invalid_query.returns_no_rows": "invalid_query_returns_no_rows",
    "glide.rest.choice.allow_non_existing_value": "allow_non_existing_choice",
    "glide.rest.table_api.admin_only_sys_fields": "admin_only_sys_fields",
    "glide.oauth.inbound.client.credential.grant_type.enabled": "client_credentials_enabled",
    "glide.sys.default.tz": "time_zone",
    "glide.sys.date_format": "date_format",
    "glide.sys.time_format": "time_format",
}

_STAMP = "2025-01-01 08:00:00"


def seeded(schema: Schema, table: str, values: Row) -> Row:
    """Return a whole row that was there before anybody used the instance."""
    stamps = {
        "sys_created_on": _STAMP,
        "sys_created_by": "system",
        "sys_updated_on": _STAMP,
        "sys_updated_by": "system",
    }
    row = {**schema[table].defaults, **stamps, **values}
    if "sys_class_name" in row:
        row["sys_class_name"] = table
    return row


def rows(switches: Switches) -> Mapping[tuple[str, str], Row]:
    """Return the rows by table and sys_id; equal set-ups share them."""
    properties = tuple((name, as_property(getattr(switches, field))) for name, field in PROPERTIES.items())
    return _rows(switches.close_code_set, switches.choice, switches.table, switches.column, properties)


def as_property(value: object) -> str:
    """Return a switch as the text that a property has."""
    return str(value).lower() if isinstance(value, bool) else str(value)


@lru_cache(maxsize=64)
def _rows(
    close_codes: str,
    choices: tuple[str, ...],
    tables: tuple[str, ...],
    columns: tuple[str, ...],
    properties: tuple[tuple[str, str], ...],
) -> Mapping[tuple[str, str], Row]:
    schema = customised(tables, columns)
    seeds = (
        *_choices(close_codes, choices),
        *_dictionary(schema),
        *(_property(name, value) for name, value in properties),
    )
    return {(table, values["sys_id"]): seeded(schema, table, values) for table, values in seeds}


def _choices(close_codes: str, choices: tuple[str, ...]) -> Iterator[Seed]:
    lists = [ChoiceList.parse(text) for text in choices]
    replaced = {(found.table, found.column, found.dependent) for found in lists}
    for table, values in (*choice_lists.choices(), *choice_lists.close_codes(close_codes)):
        if (values["name"], values["element"], values["dependent_value"]) not in replaced:
            yield table, values
    for found in lists:
        for sequence, (value, label) in enumerate(found.pairs, start=1):
            yield choice_lists.choice_record(
                found.table, found.column, value, label, sequence, found.dependent
            )


def _dictionary(schema: Schema) -> Iterator[Seed]:
    for kind in Kind:
        name = kind.value
        values = {"sys_id": data.sys_id_of("kind", name), "name": name, "label": _words(name)}
        yield "sys_glide_object", values
    for table in schema:
        yield (
            "sys_db_object",
            {
                "sys_id": data.sys_id_of("table", table.name),
                "name": table.name,
                "label": table.label,
                "super_class": data.sys_id_of("table", table.parent.name) if table.parent else "",
                "is_extendable": "true" if table.children else "false",
            },
        )
        # The entry of the table itself, as the platform has it, and one for each of its own columns.
        yield (
            "sys_dictionary",
            {
                "sys_id": data.sys_id_of("dictionary", table.name),
                "name": table.name,
                "column_label": table.label,
                "internal_type": "collection",
            },
        )
        for column in {column.name: column for column in table.own_columns}.values():
            yield _entry(table.name, column, is_display=column.name == table.display)


def _entry(table: str, column: Column, *, is_display: bool) -> Seed:
    return "sys_dictionary", {
        "sys_id": data.sys_id_of("dictionary", table, column.name),
        "name": table,
        "element": column.name,
        "column_label": column.label,
        "internal_type": column.kind.value,
        "reference": column.reference,
        "max_length": str(column.length),
        "choice": "1" if column.choice else "0",
        "default_value": column.default,
        "unique": "true" if column.kind is Kind.GUID else "false",
        "display": "true" if is_display else "false",
    }


def _property(name: str, value: str) -> Seed:
    kind = "boolean" if value in {"true", "false"} else "string"
    return "sys_properties", {
        "sys_id": data.sys_id_of("property", name),
        "name": name,
        "value": value,
        "type": kind,
    }


def _words(name: str) -> str:
    return name.replace("_", " ").capitalize()
