"""Columns as the tables of an instance have them, in short, and those that every table has."""

from __future__ import annotations

from airflow_provider_servicenow_dq.sandbox.schema import Column, Kind


def text(name: str, label: str, length: int = 40, default: str = "") -> Column:
    """Return a column that holds a text."""
    return Column(name, label, length=length, default=default)


def choice(name: str, label: str, default: str = "", kind: Kind = Kind.STRING) -> Column:
    """Return a column that holds one of a list of choices."""
    return Column(name, label, kind, choice=True, default=default)


def number(name: str, label: str, default: str = "0") -> Column:
    """Return a column that holds a number."""
    return Column(name, label, Kind.INTEGER, default=default)


def flag(name: str, label: str, default: str = "false") -> Column:
    """Return a column that holds a yes or no."""
    return Column(name, label, Kind.BOOLEAN, default=default)


def time(name: str, label: str) -> Column:
    """Return a column that holds a time."""
    return Column(name, label, Kind.DATETIME)


def link(name: str, label: str, table: str, default: str = "") -> Column:
    """Return a column that holds a reference to a record."""
    return Column(name, label, Kind.REFERENCE, 32, reference=table, default=default)


def list_of(name: str, label: str, table: str) -> Column:
    """Return a column that holds references to records."""
    return Column(name, label, Kind.LIST, 4000, reference=table)


def journal(name: str, label: str) -> Column:
    """Return a column that holds a journal."""
    return Column(name, label, Kind.JOURNAL, 4000)


SYSTEM_COLUMNS = (
    Column("sys_id", "Sys ID", Kind.GUID, 32),
    time("sys_created_on", "Created"),
    text("sys_created_by", "Created by"),
    time("sys_updated_on", "Updated"),
    text("sys_updated_by", "Updated by"),
    number("sys_mod_count", "Updates"),
    text("sys_tags", "Tags"),
)
