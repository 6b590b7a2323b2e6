"""The tables of an instance as it comes, as far as tickets need them."""

from __future__ import annotations

from functools import cache

from airflow_provider_servicenow_dq.sandbox.columns import SYSTEM_COLUMNS, choice, text
from airflow_provider_servicenow_dq.sandbox.other_columns import (
    ATTACHMENT,
    ATTACHMENT_DOC,
    CHOICE,
    CI,
    DB_OBJECT,
    DICTIONARY,
    GROUP,
    JOURNAL,
    MEMBER,
    PROPERTY,
    USER,
)
from airflow_provider_servicenow_dq.sandbox.schema import Schema, Table
from airflow_provider_servicenow_dq.sandbox.task_columns import (
    CHANGE,
    INCIDENT,
    PROBLEM,
    SECURITY_INCIDENT,
    TASK,
)

_ITIL = frozenset({"itil"})
_INCIDENT_WRITERS = frozenset({"itil", "sn_incident_write", "list_updater"})
_SECURITY = frozenset({"sn_si.basic", "sn_si.analyst", "sn_si.manager", "sn_si.admin"})
_SEEN = frozenset({"snc_read_only"})
_NOBODY: frozenset[str] = frozenset()


def standard_tables() -> list[Table]:
    """Return the tables, parents before their children, made anew: they come to know their children."""
    task = Table("task", "Task", SYSTEM_COLUMNS + TASK, None, "number", "TASK", _ITIL, _ITIL | _SEEN)
    item = Table("cmdb_ci", "Configuration Item", SYSTEM_COLUMNS + CI)
    seen_by = _INCIDENT_WRITERS | _SEEN | {"sn_incident_read"}
    return [
        task,
        Table("incident", "Incident", INCIDENT, task, "number", "INC", _INCIDENT_WRITERS, seen_by),
        Table("problem", "Problem", PROBLEM, task, "number", "PRB", _ITIL, _ITIL | _SEEN),
        Table("change_request", "Change Request", CHANGE, task, "number", "CHG", _ITIL, _ITIL | _SEEN),
        Table(
            "sn_si_incident",
            "Security Incident",
            SECURITY_INCIDENT,
            task,
            "number",
            "SIR",
            _SECURITY,
            _SECURITY | {"sn_si.read"},
        ),
        item,
        Table("cmdb_ci_service", "Service", (choice("busines_criticality", "Business criticality"),), item),
        Table(
            "cmdb_ci_server",
            "Server",
            (text("os", "Operating System"), text("ip_address", "IP Address")),
            item,
        ),
        Table("sys_user", "User", SYSTEM_COLUMNS + USER),
        Table("sys_user_group", "Group", SYSTEM_COLUMNS + GROUP),
        Table("sys_user_grmember", "Group Member", SYSTEM_COLUMNS + MEMBER, display="sys_id"),
        Table("sys_choice", "Choice", SYSTEM_COLUMNS + CHOICE, display="label"),
        Table("sys_attachment", "Attachment", SYSTEM_COLUMNS + ATTACHMENT, display="file_name"),
        Table("sys_attachment_doc", "Attachment Document", SYSTEM_COLUMNS + ATTACHMENT_DOC, display="sys_id"),
        Table("sys_journal_field", "Journal Entry", SYSTEM_COLUMNS + JOURNAL, display="sys_id"),
        Table("sys_db_object", "Table", SYSTEM_COLUMNS + DB_OBJECT, display="label"),
        Table("sys_dictionary", "Dictionary Entry", SYSTEM_COLUMNS + DICTIONARY, display="column_label"),
        Table(
            "sys_glide_object",
            "Field class",
            (*SYSTEM_COLUMNS, text("name", "Name", 80), text("label", "Label", 80)),
            display="label",
        ),
        Table("sys_properties", "System Property", SYSTEM_COLUMNS + PROPERTY, readers=_NOBODY),
    ]


@cache
def standard() -> Schema:
    """Return the schema of an instance that nobody has customised."""
    return Schema(standard_tables())
