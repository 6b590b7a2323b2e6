"""The columns of what tickets refer to, and of the platform's own tables, as they come.

Lengths, types and defaults follow the dictionary of an unmodified instance.
"""

from __future__ import annotations

from airflow_provider_servicenow_dq.sandbox.columns import (
    choice,
    flag,
    link,
    number,
    text,
)
from airflow_provider_servicenow_dq.sandbox.schema import Kind

USER = (
    text("user_name", "User ID"),
    text("name", "Name", 151),
    text("first_name", "First name", 50),
    text("last_name", "Last name", 50),
    text("email", "Email", 100),
    text("employee_number", "Employee number"),
    text("title", "Title", 60),
    text("phone", "Business phone"),
    flag("active", "Active", "true"),
    flag("locked_out", "Locked out"),
    flag("web_service_access_only", "Web service access only"),
    text("time_zone", "Time zone"),
    text("date_format", "Date format"),
    text("time_format", "Time format"),
    link("manager", "Manager", "sys_user"),
)

GROUP = (
    text("name", "Name", 80),
    text("description", "Description", 1000),
    text("email", "Group email", 100),
    text("type", "Type", 1024),
    text("roles", "Roles", 1024),
    flag("active", "Active", "true"),
    link("manager", "Manager", "sys_user"),
    link("parent", "Parent", "sys_user_group"),
)

CI = (
    text("name", "Name", 255),
    text("short_description", "Description", 1000),
    text("correlation_id", "Correlation ID", 512),
    choice("operational_status", "Operational status", "1", Kind.INTEGER),
    choice("install_status", "Status", "1", Kind.INTEGER),
    text("sys_class_name", "Class", 80),
    link("support_group", "Support group", "sys_user_group"),
    link("owned_by", "Owned by", "sys_user"),
    link("sys_domain", "Domain", "sys_user_group", "global"),
)

CHOICE = (
    text("name", "Table", 80),
    text("element", "Element", 80),
    text("value", "Value", 255),
    text("label", "Label", 255),
    text("language", "Language", 40, "en"),
    text("dependent_value", "Dependent value"),
    text("hint", "Hint", 255),
    number("sequence", "Sequence", ""),
    flag("inactive", "Inactive"),
)

JOURNAL = (
    text("name", "Name", 80),
    text("element", "Element", 80),
    text("element_id", "Element ID", 32),
    text("value", "Value", 4000),
)

ATTACHMENT = (
    text("file_name", "File name", 100),
    text("content_type", "Content type", 100),
    text("table_name", "Table", 80),
    text("table_sys_id", "Table sys ID", 32),
    number("size_bytes", "Size bytes"),
    number("size_compressed", "Size compressed"),
    flag("compressed", "Compressed", "true"),
    text("hash", "Hash", 64),
    text("state", "State", default="available"),
    number("chunk_size_bytes", "Chunk size bytes", "700000"),
    number("image_height", "Image height", ""),
    number("image_width", "Image width", ""),
    text("average_image_color", "Average image color"),
    text("encryption_context", "Encryption context", 32),
)

ATTACHMENT_DOC = (
    link("sys_attachment", "Attachment", "sys_attachment"),
    number("position", "Position"),
    number("length", "Length"),
    text("data", "Data", 4000),
)

MEMBER = (link("user", "User", "sys_user"), link("group", "Group", "sys_user_group"))


DB_OBJECT = (
    text("name", "Name", 80),
    text("label", "Label", 80),
    link("super_class", "Extends table", "sys_db_object"),
    flag("is_extendable", "Extensible"),
)

DICTIONARY = (
    text("name", "Table", 80),
    text("element", "Column name", 80),
    text("column_label", "Column label", 80),
    link("internal_type", "Type", "sys_glide_object"),
    link("reference", "Reference", "sys_db_object"),
    number("max_length", "Max length", ""),
    number("choice", "Choice", "0"),
    text("default_value", "Default value", 255),
    text("attributes", "Attributes", 1000),
    flag("mandatory", "Mandatory"),
    flag("read_only", "Read only"),
    flag("unique", "Unique"),
    flag("display", "Display"),
    flag("active", "Active", "true"),
)

PROPERTY = (
    text("name", "Name", 100),
    text("value", "Value", 4000),
    text("type", "Type"),
    text("description", "Description", 1000),
)
