"""The form specification: which fields a new ticket has, and what its instance offers for them.

What the instance told is kept in the store for an hour. Where it cannot be asked, what it told last goes on
being offered, with its age; where it never told, or does not let this user read, the choices of the base
system are, and the answer says so. A form is there in any case.
"""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_servicenow_dq.client.choices import read_choices
from airflow_provider_servicenow_dq.client.query import Query
from airflow_provider_servicenow_dq.desk.form_fields import CHOICE_FIELDS, GROUP_FIELD, fields_of
from airflow_provider_servicenow_dq.exceptions import (
    ForbiddenError,
    ServiceNowConfigError,
    ServiceNowError,
    StoreError,
)
from airflow_provider_servicenow_dq.store import forms
from airflow_provider_servicenow_dq.tickets.ticket import integration_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_servicenow_dq.client.table import TableApi
    from airflow_provider_servicenow_dq.desk.desk import Desk
    from airflow_provider_servicenow_dq.projects.project import Project

log = logging.getLogger(__name__)

SCHEMA_VERSION: Final = 1

#: For how long what an instance told is offered without asking again.
FRESH_FOR: Final = timedelta(hours=1)

#: Groups that a form offers; whoever has more names one instead.
MOST_GROUPS: Final = 500

_NO_CHOICES: Final = (
    "No choices of {table} could be read, so those of the base system are offered, which your instance may "
    "not have: grant the connection's user a role that may read sys_choice"
)
_NO_GROUPS: Final = (
    "No groups could be read, so none is offered; name one, or grant the connection's user a role that may "
    "read sys_user_group"
)
_MANY_GROUPS: Final = (
    f"There are more groups than are offered: these are the first {MOST_GROUPS} by name; name any other"
)


@dataclass(frozen=True, slots=True)
class Offer:
    """What an instance offers for the fields of a form, and when it said so.

    :param choices: By field, ``{"value", "label"}`` and ``depends_on`` where another field limits it; an
        empty list where the field has no choices.
    :param notes: What is missing, in words.
    :param host: Empty where no instance was asked.
    :param read_at: None where no instance was asked.
    """

    choices: Mapping[str, list[dict[str, str]]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    host: str = ""
    read_at: datetime | None = None

    def content(self) -> dict[str, Any]:
        """Return it as the store keeps it."""
        return {"schema_version": SCHEMA_VERSION, "choices": dict(self.choices), "notes": list(self.notes)}


def offer_of(kept: forms.Form | None) -> Offer | None:
    """Return what the store has kept; None for what this version cannot read."""
    if kept is None or kept.content.get("schema_version") != SCHEMA_VERSION:
        return None
    return Offer(kept.content["choices"], tuple(kept.content["notes"]), kept.host, kept.read_at)


def kept_as(language: str) -> str:
    """Return the name by which the store keeps what a form offers in a language."""
    return f"form/{language}"


def form_specification(
    desk: Desk, project: Project, *, table: str, language: str = "en", refresh: bool = False
) -> dict[str, Any]:
    """Return the form for a new ticket; the instance is asked at most once an hour.

    An instance that is down, and a store that is, are told in its ``notes`` and raise nothing.

    :param refresh: Ask the instance now.
    :raises ServiceNowConfigError: If that is no table, or the connection cannot work as written.
    """
    notes: list[str] = []
    kept = None
    try:
        with desk.store.snapshot() as connection:
            kept = offer_of(forms.get(connection, desk.host, table, kept_as(language)))
    except StoreError as error:
        # Whoever may see a form need not know where the store is.
        log.warning("What forms show could not be read: %s", error)
        notes.append("The store cannot be read now; the log says why")
    offer = kept
    if kept is None or refresh or not is_fresh(kept, desk.now()):
        try:
            offer = _read(desk, table, language)
        except ServiceNowConfigError:
            raise
        except ServiceNowError as error:
            notes.append(f"The instance could not be asked: {error}")
        else:
            notes += _keep(desk, offer, table, language)
    return specification(offer, project, table=table, now=desk.now(), host=desk.host, notes=notes)


def is_fresh(offer: Offer, now: datetime) -> bool:
    """Whether what an instance offered was read within the last hour."""
    return offer.read_at is not None and now - offer.read_at < FRESH_FOR


def specification(
    offer: Offer | None,
    project: Project,
    *,
    table: str,
    now: datetime,
    host: str = "",
    notes: list[str] | None = None,
) -> dict[str, Any]:
    """Return a form as plain JSON.

    ``{"schema_version", "table", "project", "instance", "integration_id", "is_live", "read_at", "age",
    "notes", "fields"}``: ``read_at`` is ISO, in UTC, ``age`` in seconds, both None where no instance has ever
    told; ``is_live`` is false for what is older than an hour. A field is ``{"name", "label", "type",
    "required", "max_length", "depends_on", "reference", "source", "default", "choices"}``: ``type`` is
    ``string``, ``text``, ``choice`` or ``reference``; ``source`` is where its choices are from, ``instance``
    or ``built-in``, None for a field that has none; a choice is ``{"value", "label"}``, and has a
    ``depends_on`` where it belongs to one value of the field that ``depends_on`` names.

    :param offer: None where no instance has ever told.
    :param host: The instance, where it is known.
    """
    known = offer or Offer()
    fields, warnings = fields_of(known.choices, project, table=table)
    read_at = known.read_at
    instance = host or known.host
    return {
        "schema_version": SCHEMA_VERSION,
        "table": table,
        "project": project.id,
        "instance": instance or None,
        "integration_id": integration_id(instance) if instance else None,
        "is_live": is_fresh(known, now),
        "read_at": None if read_at is None else f"{read_at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}",
        "age": None if read_at is None else max(0, round((now - read_at).total_seconds())),
        "notes": [*(notes or []), *known.notes, *warnings],
        "fields": fields,
    }


def _read(desk: Desk, table: str, language: str) -> Offer:
    notes = []
    try:
        read = read_choices(desk.table_api, table, CHOICE_FIELDS, language=language)
    except ForbiddenError:
        read = {}
    choices = {
        name: [
            {"value": item.value, "label": item.label or item.value}
            | ({"depends_on": item.dependent_value} if item.dependent_value else {})
            for item in items
            if item.value
        ]
        for name, items in read.items()
    }
    # Who may not read them gets no rows rather than a refusal, and no table of tickets has none at all.
    if not any(choices.values()):
        choices = {}
        notes.append(_NO_CHOICES.format(table=table))
    groups = _groups(desk.table_api)
    if not groups:
        notes.append(_NO_GROUPS)
    if len(groups) > MOST_GROUPS:
        notes.append(_MANY_GROUPS)
    return Offer({**choices, GROUP_FIELD: groups[:MOST_GROUPS]}, tuple(notes), desk.host, desk.now())


def _groups(table_api: TableApi) -> list[dict[str, str]]:
    """Return the active groups by name, one more than are offered; those of one name are told apart."""
    query = Query.equals({"active": True}).order_by("name")
    try:
        rows = list(table_api.find("sys_user_group", query, fields=("sys_id", "name"), limit=MOST_GROUPS + 1))
    except ForbiddenError:
        return []
    named = [(row["sys_id"], row.get("name") or row["sys_id"]) for row in rows]
    times = Counter(name for _, name in named)
    return [
        {"value": sys_id, "label": name if times[name] == 1 else f"{name} ({sys_id[:8]})"}
        for sys_id, name in sorted(named, key=lambda group: (group[1].casefold(), group[0]))
    ]


def _keep(desk: Desk, offer: Offer, table: str, language: str) -> list[str]:
    try:
        with desk.store.begin() as connection:
            forms.remember(
                connection, desk.host, table, kept_as(language), offer.content(), read_at=desk.now()
            )
    except StoreError as error:
        log.warning("What forms show could not be kept: %s", error)
        return ["The store cannot be written now; the log says why"]
    return []
