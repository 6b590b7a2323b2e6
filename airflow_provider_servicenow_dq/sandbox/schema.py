"""Tables and columns of an instance as it comes, as far as tickets need them.

Lengths, types and defaults follow the vendor's Table API samples and the dictionary of an unmodified incident
table.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: Up to this length strings are ``varchar`` and are cut; longer ones, ``mediumtext``, are not (KB0685779).
VARCHAR_LIMIT = 255


class Kind(StrEnum):
    """What a column holds; the values are the names of the dictionary's internal types."""

    STRING = "string"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    REFERENCE = "reference"
    LIST = "glide_list"
    DATETIME = "glide_date_time"
    JOURNAL = "journal_input"
    GUID = "GUID"


@dataclass(frozen=True, slots=True)
class Column:
    """One column; ``reference`` names the table that a reference points to."""

    name: str
    label: str
    kind: Kind = Kind.STRING
    length: int = 40
    reference: str = ""
    choice: bool = False
    default: str = ""


@dataclass(frozen=True)
class Table:
    """One table with the columns of its parents."""

    name: str
    label: str
    own_columns: tuple[Column, ...]
    parent: str = ""
    display: str = "name"
    number_prefix: str = ""
    children: list[str] = field(default_factory=list)

    @cached_property
    def columns(self) -> dict[str, Column]:
        """Every column by name, in the order in which the Table API answers."""
        merged: dict[str, Column] = dict(TABLES[self.parent].columns) if self.parent else {}
        merged.update({column.name: column for column in self.own_columns})
        return dict(sorted(merged.items()))

    @cached_property
    def defaults(self) -> dict[str, str]:
        """The values of a new record before anybody has set one."""
        return {name: column.default for name, column in self.columns.items()}

    @cached_property
    def references(self) -> tuple[Column, ...]:
        """The columns that the Table API answers as objects with a link."""
        return tuple(column for column in self.columns.values() if column.kind is Kind.REFERENCE)

    @property
    def lineage(self) -> Iterator[str]:
        """The table's name and those of its parents, nearest first."""
        name = self.name
        while name:
            yield name
            name = TABLES[name].parent

    @cached_property
    def family(self) -> tuple[str, ...]:
        """The table's name and those of all its descendants."""
        return (self.name, *(name for child in self.children for name in TABLES[child].family))


def _text(name: str, label: str, length: int = 40, default: str = "") -> Column:
    return Column(name, label, length=length, default=default)


def _choice(name: str, label: str, default: str = "", kind: Kind = Kind.STRING) -> Column:
    return Column(name, label, kind, choice=True, default=default)


def _number(name: str, label: str, default: str = "0") -> Column:
    return Column(name, label, Kind.INTEGER, default=default)


def _flag(name: str, label: str, default: str = "false") -> Column:
    return Column(name, label, Kind.BOOLEAN, default=default)


def _time(name: str, label: str) -> Column:
    return Column(name, label, Kind.DATETIME)


def _link(name: str, label: str, table: str, default: str = "") -> Column:
    return Column(name, label, Kind.REFERENCE, 32, reference=table, default=default)


def _list(name: str, label: str, table: str) -> Column:
    return Column(name, label, Kind.LIST, 4000, reference=table)


def _journal(name: str, label: str) -> Column:
    return Column(name, label, Kind.JOURNAL, 4000)


SYSTEM_COLUMNS = (
    Column("sys_id", "Sys ID", Kind.GUID, 32),
    _time("sys_created_on", "Created"),
    _text("sys_created_by", "Created by"),
    _time("sys_updated_on", "Updated"),
    _text("sys_updated_by", "Updated by"),
    _number("sys_mod_count", "Updates"),
    _text("sys_tags", "Tags"),
)

_TASK = (
    _text("number", "Number"),
    _text("short_description", "Short description", 160),
    _text("description", "Description", 4000),
    _text("correlation_id", "Correlation ID", 100),
    _text("correlation_display", "Correlation display", 100),
    _link("parent", "Parent", "task"),
    _link("opened_by", "Opened by", "sys_user"),
    _link("closed_by", "Closed by", "sys_user"),
    _link("assigned_to", "Assigned to", "sys_user"),
    _link("assignment_group", "Assignment group", "sys_user_group"),
    _link("cmdb_ci", "Configuration item", "cmdb_ci"),
    _link("business_service", "Service", "cmdb_ci_service"),
    _link("service_offering", "Service offering", "cmdb_ci_service"),
    _link("sys_domain", "Domain", "sys_user_group", "global"),
    _list("watch_list", "Watch list", "sys_user"),
    _list("work_notes_list", "Work notes list", "sys_user"),
    _list("additional_assignee_list", "Additional assignee list", "sys_user"),
    _list("group_list", "Group list", "sys_user_group"),
    _journal("work_notes", "Work notes"),
    _journal("comments", "Additional comments"),
    _journal("comments_and_work_notes", "Comments and Work notes"),
    _choice("state", "State", "1", Kind.INTEGER),
    _choice("impact", "Impact", "3", Kind.INTEGER),
    _choice("urgency", "Urgency", "3", Kind.INTEGER),
    _choice("priority", "Priority", "4", Kind.INTEGER),
    _choice("contact_type", "Channel", "phone"),
    _choice("approval", "Approval", "not requested"),
    _choice("upon_approval", "Upon approval", "proceed"),
    _choice("upon_reject", "Upon reject", "cancel"),
    _choice("escalation", "Escalation", "0", Kind.INTEGER),
    _number("reassignment_count", "Reassignment count"),
    _number("order", "Order", ""),
    _flag("active", "Active", "true"),
    _flag("made_sla", "Made SLA", "true"),
    _flag("knowledge", "Knowledge"),
    _time("opened_at", "Opened"),
    _time("closed_at", "Closed"),
    _time("due_date", "Due date"),
    _time("sla_due", "SLA due"),
    _time("activity_due", "Activity due"),
    _time("expected_start", "Expected start"),
    _time("follow_up", "Follow up"),
    _time("work_start", "Actual start"),
    _time("work_end", "Actual end"),
    _text("business_duration", "Business duration"),
    _text("calendar_duration", "Duration"),
    _text("time_worked", "Time worked"),
    _text("close_notes", "Close notes", 4000),
    _text("approval_history", "Approval history", 4000),
    _text("user_input", "User input", 4000),
    _text("route_reason", "Transfer reason"),
    _text("task_effective_number", "Effective number"),
    _text("sys_class_name", "Task type", 80),
    _text("sys_domain_path", "Domain Path", 255, "/"),
)

_INCIDENT = (
    _link("caller_id", "Caller", "sys_user"),
    _link("resolved_by", "Resolved by", "sys_user"),
    _link("reopened_by", "Last reopened by", "sys_user"),
    _link("parent_incident", "Parent Incident", "incident"),
    _link("problem_id", "Problem", "problem"),
    _link("rfc", "Change Request", "change_request"),
    _link("caused_by", "Caused by Change", "change_request"),
    _choice("category", "Category", "inquiry"),
    _choice("subcategory", "Subcategory"),
    _choice("incident_state", "Incident state", "1", Kind.INTEGER),
    _choice("hold_reason", "On hold reason", "", Kind.INTEGER),
    _choice("severity", "Severity", "3", Kind.INTEGER),
    _choice("notify", "Notify", "1", Kind.INTEGER),
    _choice("close_code", "Resolution code"),
    _time("resolved_at", "Resolved"),
    _time("reopened_time", "Last reopened at"),
    _number("reopen_count", "Reopen count"),
    _number("child_incidents", "Child Incidents"),
    _number("business_stc", "Business resolve time", ""),
    _number("calendar_stc", "Resolve time", ""),
    _text("business_impact", "Business impact", 4000),
    _text("cause", "Probable cause", 4000),
)

_PROBLEM = (
    _choice("state", "State", "101", Kind.INTEGER),
    _choice("problem_state", "Problem state", "101", Kind.INTEGER),
    _choice("resolution_code", "Resolution code"),
    _text("cause_notes", "Cause notes", 4000),
    _text("fix_notes", "Fix notes", 4000),
    _text("workaround", "Workaround", 4000),
    _flag("known_error", "Known error"),
    _number("related_incidents", "Related Incidents"),
    _time("resolved_at", "Resolved"),
    _link("resolved_by", "Resolved by", "sys_user"),
)

_CHANGE = (
    _choice("state", "State", "-5", Kind.INTEGER),
    _choice("type", "Type", "normal"),
    _choice("risk", "Risk", "3", Kind.INTEGER),
    _choice("category", "Category", "Other"),
    _text("justification", "Justification", 4000),
    _text("implementation_plan", "Implementation plan", 4000),
    _text("backout_plan", "Backout plan", 4000),
    _time("start_date", "Planned start date"),
    _time("end_date", "Planned end date"),
    _link("requested_by", "Requested by", "sys_user"),
)

_USER = (
    _text("user_name", "User ID"),
    _text("name", "Name", 151),
    _text("first_name", "First name", 50),
    _text("last_name", "Last name", 50),
    _text("email", "Email", 100),
    _text("employee_number", "Employee number"),
    _text("title", "Title", 60),
    _text("phone", "Business phone"),
    _flag("active", "Active", "true"),
    _flag("locked_out", "Locked out"),
    _flag("web_service_access_only", "Web service access only"),
    _link("manager", "Manager", "sys_user"),
)

_GROUP = (
    _text("name", "Name", 80),
    _text("description", "Description", 1000),
    _text("email", "Group email", 100),
    _text("type", "Type", 1024),
    _flag("active", "Active", "true"),
    _link("manager", "Manager", "sys_user"),
    _link("parent", "Parent", "sys_user_group"),
)

_CI = (
    _text("name", "Name", 255),
    _text("short_description", "Description", 1000),
    _text("correlation_id", "Correlation ID", 512),
    _choice("operational_status", "Operational status", "1", Kind.INTEGER),
    _choice("install_status", "Status", "1", Kind.INTEGER),
    _text("sys_class_name", "Class", 80),
    _link("support_group", "Support group", "sys_user_group"),
    _link("owned_by", "Owned by", "sys_user"),
    _link("sys_domain", "Domain", "sys_user_group", "global"),
)

_CHOICE = (
    _text("name", "Table", 80),
    _text("element", "Element", 80),
    _text("value", "Value", 255),
    _text("label", "Label", 255),
    _text("language", "Language", 40, "en"),
    _text("dependent_value", "Dependent value"),
    _text("hint", "Hint", 255),
    _number("sequence", "Sequence", ""),
    _flag("inactive", "Inactive"),
)

_JOURNAL = (
    _text("name", "Name", 80),
    _text("element", "Element", 80),
    _text("element_id", "Element ID", 32),
    _text("value", "Value", 4000),
)

_ATTACHMENT = (
    _text("file_name", "File name", 100),
    _text("content_type", "Content type", 100),
    _text("table_name", "Table", 80),
    _text("table_sys_id", "Table sys ID", 32),
    _number("size_bytes", "Size bytes"),
    _number("size_compressed", "Size compressed"),
    _flag("compressed", "Compressed", "true"),
    _text("hash", "Hash", 64),
    _text("state", "State", default="available"),
    _number("chunk_size_bytes", "Chunk size bytes", "700000"),
    _number("image_height", "Image height", ""),
    _number("image_width", "Image width", ""),
    _text("average_image_color", "Average image color"),
    _text("encryption_context", "Encryption context", 32),
)

_ATTACHMENT_DOC = (
    _link("sys_attachment", "Attachment", "sys_attachment"),
    _number("position", "Position"),
    _number("length", "Length"),
    _text("data", "Data", 4000),
)

_MEMBER = (_link("user", "User", "sys_user"), _link("group", "Group", "sys_user_group"))


def _tables() -> Mapping[str, Table]:
    tables = [
        Table("task", "Task", SYSTEM_COLUMNS + _TASK, display="number", number_prefix="TASK"),
        Table("incident", "Incident", _INCIDENT, "task", "number", "INC"),
        Table("problem", "Problem", _PROBLEM, "task", "number", "PRB"),
        Table("change_request", "Change Request", _CHANGE, "task", "number", "CHG"),
        Table("cmdb_ci", "Configuration Item", SYSTEM_COLUMNS + _CI),
        Table(
            "cmdb_ci_service", "Service", (_choice("busines_criticality", "Business criticality"),), "cmdb_ci"
        ),
        Table(
            "cmdb_ci_server",
            "Server",
            (_text("os", "Operating System"), _text("ip_address", "IP Address")),
            "cmdb_ci",
        ),
        Table("sys_user", "User", SYSTEM_COLUMNS + _USER),
        Table("sys_user_group", "Group", SYSTEM_COLUMNS + _GROUP),
        Table("sys_user_grmember", "Group Member", SYSTEM_COLUMNS + _MEMBER, display="sys_id"),
        Table("sys_choice", "Choice", SYSTEM_COLUMNS + _CHOICE, display="label"),
        Table("sys_attachment", "Attachment", SYSTEM_COLUMNS + _ATTACHMENT, display="file_name"),
        Table(
            "sys_attachment_doc", "Attachment Document", SYSTEM_COLUMNS + _ATTACHMENT_DOC, display="sys_id"
        ),
        Table("sys_journal_field", "Journal Entry", SYSTEM_COLUMNS + _JOURNAL, display="sys_id"),
    ]
    by_name = {table.name: table for table in tables}
    for table in tables:
        if table.parent:
            by_name[table.parent].children.append(table.name)
    return by_name


#: Every table that this instance has.
TABLES = _tables()


def resolve_path(table: str, path: str) -> list[Column] | None:
    """Return the columns along a dot-walked path such as ``caller_id.email``, or None if it does not exist.

    :param table: Table at which the path starts.
    :param path: Column names joined by dots; all but the last are references.
    """
    columns: list[Column] = []
    for name in path.split("."):
        column = TABLES[table].columns.get(name) if table else None
        if column is None:
            return None
        columns.append(column)
        table = column.reference if column.kind is Kind.REFERENCE else ""
    return columns
