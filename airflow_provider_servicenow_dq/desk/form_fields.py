"""The fields of a form: those that the seed's form has, with what is offered for each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from airflow_provider_servicenow_dq.tickets.choices import built_in
from airflow_provider_servicenow_dq.tickets.incident import COLUMN_LENGTHS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_servicenow_dq.projects.project import Project

Choice = dict[str, str]

CHOICE_FIELDS: Final = ("priority", "urgency", "impact", "category", "subcategory")
GROUP_FIELD: Final = "assignment_group"

_INSTANCE: Final = "instance"
_BUILT_IN: Final = "built-in"


class _Field(NamedTuple):
    name: str
    label: str
    type: str
    required: bool = False
    depends_on: str | None = None
    reference: str | None = None


_FIELDS: Final = (
    _Field("short_description", "Short Description", "string", required=True),
    _Field("description", "Description", "text"),
    _Field("priority", "Priority", "choice"),
    _Field("urgency", "Urgency", "choice"),
    _Field("impact", "Impact", "choice"),
    _Field("category", "Category", "choice"),
    _Field("subcategory", "Subcategory", "choice", depends_on="category"),
    _Field(GROUP_FIELD, "Assignment Group", "reference", reference="sys_user_group"),
    _Field("assigned_to", "Assigned To", "reference", reference="sys_user"),
)


def fields_of(
    offered: Mapping[str, list[Choice]], project: Project, *, table: str
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the fields of a form, and what is wrong with the project's defaults, in words.

    :param offered: By field; a field of choices that is not in it gets those of the base system.
    """
    fields = []
    warnings = []
    for each in _FIELDS:
        choices, source = _choices(each, offered, table)
        default = _default(each, choices, project)
        if default is not None and source == _INSTANCE and not _is_offered(each, default, choices):
            warnings.append(
                f"{each.label}: {default!r}, which project {project.id} sets, is not among what the instance "
                f"offers"
            )
        fields.append(
            {
                "name": each.name,
                "label": each.label,
                "type": each.type,
                "required": each.required,
                "max_length": COLUMN_LENGTHS.get(each.name),
                "depends_on": each.depends_on,
                "reference": each.reference,
                "source": source,
                "default": default,
                "choices": choices,
            }
        )
    return fields, warnings


def _choices(
    field: _Field, offered: Mapping[str, list[Choice]], table: str
) -> tuple[list[Choice], str | None]:
    if field.name in offered:
        choices = offered[field.name]
        return choices, _INSTANCE if choices else None
    base = [
        {"value": value, "label": label} | ({"depends_on": dependent} if dependent else {})
        for value, label, dependent in built_in(table, field.name)
    ]
    return base, _BUILT_IN if base else None


def _default(field: _Field, choices: Sequence[Choice], project: Project) -> str | None:
    """Return what the project sets; nothing for a text that is different for each anomaly."""
    try:
        text = project.fields.get(field.name, "").format_map({})
    except (KeyError, ValueError, IndexError):
        return None
    if not text or field.reference is None:
        return text or None
    # People name a group, and a form sends its sys_id.
    named = [choice["value"] for choice in choices if choice["label"].casefold() == text.casefold()]
    return named[0] if len(named) == 1 else text


def _is_offered(field: _Field, value: str, choices: Sequence[Choice]) -> bool:
    # A group may be one of those that are not offered for their number.
    return field.type != "choice" or value in {choice["value"] for choice in choices}
