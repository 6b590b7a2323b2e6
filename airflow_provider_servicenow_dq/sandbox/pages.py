"""Pages for people: the newest incidents, and one record with its activity stream."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

import jinja2

from airflow_provider_servicenow_dq.sandbox import display
from airflow_provider_servicenow_dq.sandbox.answers import Answer, html_answer
from airflow_provider_servicenow_dq.sandbox.records import Row, class_of
from airflow_provider_servicenow_dq.sandbox.schema import Kind

if TYPE_CHECKING:
    from airflow_provider_servicenow_dq.sandbox.exchange import Request
    from airflow_provider_servicenow_dq.sandbox.instance import Instance

_RECORD = re.compile(r"/?(?P<table>[a-z0-9_]+)\.do\?(?P<query>.*)", re.DOTALL)
_CLASSIC = "/now/nav/ui/classic/params/target/"
_LISTED = 200
#: Shown above the activity stream; everything else that has a value comes below it.
_FORM = (
    "number", "state", "priority", "impact", "urgency", "category", "subcategory", "assignment_group",
    "assigned_to", "caller_id", "cmdb_ci", "opened_at", "opened_by", "sys_updated_on", "resolved_at",
    "resolved_by", "close_code", "close_notes", "closed_at", "correlation_id",
)  # fmt: skip
_CONTENT_POLICY = (
    "Content-Security-Policy",
    "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'",
)


def answer(instance: Instance, request: Request) -> Answer:
    """Return the page at an address, or a page that says that there is none."""
    if request.path == "/":
        return _page("list.html", 200, incidents=_incidents(instance), instance=instance)
    row, table = _record_at(instance, request)
    if row is None:
        return _page("missing.html", 404)
    return _page("record.html", 200, **_record(instance, table, row))


def _record_at(instance: Instance, request: Request) -> tuple[Row | None, str]:
    """Find the record of ``/incident.do?sys_id=…``, ``/nav_to.do?uri=…`` or Next Experience's address."""
    target = f"{request.path}?{request.query_string}"
    if request.path == "/nav_to.do":
        # The uri is seen percent-encoded or not, and may then be cut at its own "&".
        target = request.query.get("uri", "")
    elif request.path.startswith(_CLASSIC):
        # The record's own "?" is seen percent-encoded or not.
        address = urlsplit(request.target)
        target = unquote(f"{address.path}?{address.query}".removeprefix(_CLASSIC).removesuffix("?"))
    match = _RECORD.fullmatch(unquote(target))
    if match is None or match["table"] not in instance.schema:
        return None, ""
    sys_id = parse_qs(match["query"]).get("sys_id", [""])[0]
    return instance.records.get(match["table"], sys_id), match["table"]


def _incidents(instance: Instance) -> list[dict[str, str]]:
    newest = instance.all_rows("incident")[::-1][:_LISTED]
    names = ("number", "short_description", "priority", "state", "assignment_group", "sys_updated_on")
    return [{**_shown(instance, "incident", row, names), "sys_id": row["sys_id"]} for row in newest]


def _record(instance: Instance, table: str, row: Row) -> dict[str, object]:
    own_table = class_of(table, row)
    columns = instance.schema[own_table].columns
    shown = _shown(instance, own_table, row, tuple(columns))
    labels = {name: column.label for name, column in columns.items()}
    stream = [
        {
            "author": display.author_name(instance, entry["sys_created_by"]),
            "label": labels.get(entry["element"], entry["element"]),
            "kind": entry["element"],
            "time": instance.locale().shown(entry["sys_created_on"]),
            "text": entry["value"],
        }
        for entry in reversed(instance.records.journal(row["sys_id"]))
    ]
    form = [(labels[name], shown[name]) for name in _FORM if name in columns]
    other = [(labels[name], shown[name]) for name in columns if name not in _FORM and shown[name]]
    title = row[instance.schema[own_table].display]
    return {
        "title": title,
        "label": instance.schema[own_table].label,
        "row": row,
        "form": form,
        "other": other,
        "stream": stream,
    }


def _shown(instance: Instance, table: str, row: Row, names: tuple[str, ...]) -> dict[str, str]:
    columns = instance.schema[table].columns
    return {
        name: ""
        if columns[name].kind is Kind.JOURNAL
        else display.display_value(instance, table, columns[name], row[name], row)
        for name in names
    }


@cache
def _templates() -> jinja2.Environment:
    loader = jinja2.PackageLoader("airflow_provider_servicenow_dq.sandbox")
    return jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )


def _page(template: str, status: int, **values: object) -> Answer:
    page = html_answer(status, _templates().get_template(template).render(**values))
    page.headers.append(_CONTENT_POLICY)
    return page
