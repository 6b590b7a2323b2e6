"""The tables of an instance as it comes, as far as tickets need them.

Lengths, types and defaults follow the vendor's Table API samples and the dictionary of an unmodified incident
table; the security incident those of the plugin ``com.snc.security_incident``.
"""

from __future__ import annotations

from functools import cache

from airflow_provider_servicenow_dq.sandbox.schema import Column, Kind, Schema, Table


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
    _link("duplicate_of", "Duplicate of", "problem"),
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
    _text("time_zone", "Time zone"),
    _text("date_format", "Date format"),
    _text("time_format", "Time format"),
    _link("manager", "Manager", "sys_user"),
)

_GROUP = (
    _text("name", "Name", 80),
    _text("description", "Description", 1000),
    _text("email", "Group email", 100),
    _text("type", "Type", 1024),
    _text("roles", "Roles", 1024),
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


_SECURITY_INCIDENT = (
    _choice("state", "State", "16", Kind.INTEGER),
    _choice("category", "Category"),
    _choice("subcategory", "Subcategory"),
    _choice("close_code", "Close code"),
    _choice("business_criticality", "Business criticality", "3", Kind.INTEGER),
    _choice("risk_score_override", "Risk score override"),
    _choice("severity", "Severity", "3", Kind.INTEGER),
    _number("risk_score", "Risk score"),
    _link("affected_user", "Affected user", "sys_user"),
    _link("caller", "Requested by", "sys_user"),
    _link("incident", "Incident", "incident"),
    _text("external_url", "External URL", 1024),
    _text("automation_activity", "Automation Activity", 4000),
)

_DB_OBJECT = (
    _text("name", "Name", 80),
    _text("label", "Label", 80),
    _link("super_class", "Extends table", "sys_db_object"),
    _flag("is_extendable", "Extensible"),
)

_DICTIONARY = (
    _text("name", "Table", 80),
    _text("element", "Column name", 80),
    _text("column_label", "Column label", 80),
    _link("internal_type", "Type", "sys_glide_object"),
    _link("reference", "Reference", "sys_db_object"),
    _number("max_length", "Max length", ""),
    _number("choice", "Choice", "0"),
    _text("default_value", "Default value", 255),
    _text("attributes", "Attributes", 1000),
    _flag("mandatory", "Mandatory"),
    _flag("read_only", "Read only"),
    _flag("unique", "Unique"),
    _flag("display", "Display"),
    _flag("active", "Active", "true"),
)

_PROPERTY = (
    _text("name", "Name", 100),
    _text("value", "Value", 4000),
    _text("type", "Type"),
    _text("description", "Description", 1000),
)

_ITIL = frozenset({"itil"})
_INCIDENT_WRITERS = frozenset({"itil", "sn_incident_write", "list_updater"})
_SECURITY = frozenset({"sn_si.basic", "sn_si.analyst", "sn_si.manager", "sn_si.admin"})
_SEEN = frozenset({"snc_read_only"})
_NOBODY: frozenset[str] = frozenset()


def standard_tables() -> list[Table]:
    """Return the tables, parents before their children, made anew: they come to know their children."""
    task = Table("task", "Task", SYSTEM_COLUMNS + _TASK, None, "number", "TASK", _ITIL, _ITIL | _SEEN)
    item = Table("cmdb_ci", "Configuration Item", SYSTEM_COLUMNS + _CI)
    seen_by = _INCIDENT_WRITERS | _SEEN | {"sn_incident_read"}
    return [
        task,
        Table("incident", "Incident", _INCIDENT, task, "number", "INC", _INCIDENT_WRITERS, seen_by),
        Table("problem", "Problem", _PROBLEM, task, "number", "PRB", _ITIL, _ITIL | _SEEN),
        Table("change_request", "Change Request", _CHANGE, task, "number", "CHG", _ITIL, _ITIL | _SEEN),
        Table(
            "sn_si_incident",
            "Security Incident",
            _SECURITY_INCIDENT,
            task,
            "number",
            "SIR",
            _SECURITY,
            _SECURITY | {"sn_si.read"},
        ),
        item,
        Table("cmdb_ci_service", "Service", (_choice("busines_criticality", "Business criticality"),), item),
        Table(
            "cmdb_ci_server",
            "Server",
            (_text("os", "Operating System"), _text("ip_address", "IP Address")),
            item,
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
        Table("sys_db_object", "Table", SYSTEM_COLUMNS + _DB_OBJECT, display="label"),
        Table("sys_dictionary", "Dictionary Entry", SYSTEM_COLUMNS + _DICTIONARY, display="column_label"),
        Table(
            "sys_glide_object",
            "Field class",
            (*SYSTEM_COLUMNS, _text("name", "Name", 80), _text("label", "Label", 80)),
            display="label",
        ),
        Table("sys_properties", "System Property", SYSTEM_COLUMNS + _PROPERTY, readers=_NOBODY),
    ]


@cache
def standard() -> Schema:
    """Return the schema of an instance that nobody has customised."""
    return Schema(standard_tables())
