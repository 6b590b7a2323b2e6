"""Airflow's *Trigger DAG* form for a new ticket, with the instance's own drop-downs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow_provider_servicenow_dq.tickets.states import INCIDENT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import Param

#: Between a category and a subcategory: in that form no field can depend on another.
_WITHIN: Final = " > "
#: In values_display it stands for no value (FlexibleForm of Airflow's UI).
_NO_VALUE: Final = "None"

_KIND: Final = "category"
_SUBKIND: Final = "subcategory"


def ticket_params(
    servicenow_conn_id: str = "servicenow_default", table: str = INCIDENT, *, language: str = "en"
) -> dict[str, Param]:
    """Return ``params`` for a DAG that opens a ticket: a title, a text, and drop-downs for the rest.

    What they offer is what the instance told last; see
    :func:`~airflow_provider_servicenow_dq.hooks.form.remembered_form`. Nothing is raised, and little time is
    spent. :func:`ticket_columns` makes columns of what was chosen.
    """
    from airflow.sdk import Param  # noqa: PLC0415 (whoever imports this for a task pays nothing)

    from airflow_provider_servicenow_dq.hooks.form import remembered_form  # noqa: PLC0415 (loads SQLAlchemy)

    fields = {
        field["name"]: field
        for field in remembered_form(servicenow_conn_id, table, language=language)["fields"]
    }
    title = fields["short_description"]
    params = {
        "short_description": Param(
            type="string", title=title["label"], minLength=1, maxLength=title["max_length"]
        ),
        "description": Param(None, type=["null", "string"], title="Description", format="multiline"),
    }
    kinds = _kinds(fields)
    for name, field in fields.items():
        if name == _SUBKIND or not (field["choices"] or field["type"] == "reference"):
            continue
        labels = kinds if name == _KIND else {each["value"]: each["label"] for each in field["choices"]}
        params[name] = _drop_down(field["label"], labels) if labels else _free_text(field["label"])
    return params


def ticket_columns(params: Mapping[str, Any]) -> dict[str, str]:
    """Return the columns of a new ticket that were chosen in the form of :func:`ticket_params`.

    Title and text are none of them: they are the anomaly's. A wished ``priority`` is none either.
    """
    chosen = {
        name: str(params[name])
        for name in ("urgency", "impact", _KIND, "assignment_group", "assigned_to")
        if params.get(name)
    }
    category, found, subcategory = chosen.get(_KIND, "").partition(_WITHIN)
    return {**chosen, _KIND: category, _SUBKIND: subcategory} if found else chosen


def _kinds(fields: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return categories, each followed by its subcategories, as one list."""
    kinds = {}
    for category in fields[_KIND]["choices"]:
        kinds[category["value"]] = category["label"]
        for sub in fields[_SUBKIND]["choices"]:
            if sub.get("depends_on") == category["value"]:
                value = f"{category['value']}{_WITHIN}{sub['value']}"
                kinds[value] = f"{category['label']}{_WITHIN}{sub['label']}"
    return kinds


def _drop_down(title: str, labels: Mapping[str, str]) -> Param:
    from airflow.sdk import Param  # noqa: PLC0415 (as above)

    return Param(
        None,
        type=["null", "string"],
        title=title,
        enum=[None, *labels],
        values_display={_NO_VALUE: "(as usual)", **labels},
    )


def _free_text(title: str) -> Param:
    from airflow.sdk import Param  # noqa: PLC0415 (as above)

    return Param(None, type=["null", "string"], title=title)
