"""What the instance must be asked before the next write can be decided, outside of any transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_servicenow_dq.desk.delivery import twins
from airflow_provider_servicenow_dq.desk.order import states_in
from airflow_provider_servicenow_dq.desk.writing import linking, naming
from airflow_provider_servicenow_dq.exceptions import AmbiguousNameError
from airflow_provider_servicenow_dq.store import outbox, tickets
from airflow_provider_servicenow_dq.tickets.incident import choose_close_code

if TYPE_CHECKING:
    from airflow_provider_servicenow_dq.desk.desk import Desk
    from airflow_provider_servicenow_dq.store.outbox import Address, Entry
    from airflow_provider_servicenow_dq.store.tickets import Ticket

#: Columns with names replaced by sys_ids, and the warnings that came of it, by entry.
Resolved = Mapping[int, tuple[dict[str, str], list[str]]]


class Needs(NamedTuple):
    """What must be asked.

    :param named: Entries that may open a ticket, whose columns may hold names.
    :param twins: The entry that wants to know whether its ticket is the only one.
    :param close_code: Whether something may be resolved.
    :param linked: sys_ids of tickets to which something is to be linked.
    """

    named: Sequence[Entry] = ()
    twins: Entry | None = None
    close_code: bool = False
    linked: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Asked:
    """The answers.

    :param names: By entry.
    :param ambiguous: Why an entry's names cannot be resolved.
    :param twins: The tickets that an address has.
    :param close_code: The one to resolve with; None if the instance tells of none.
    :param standing: What tickets say to which something is to be linked, by their sys_ids.
    """

    names: Resolved = field(default_factory=dict)
    ambiguous: Mapping[int, str] = field(default_factory=dict)
    twins: twins.Found | None = None
    close_code: str | None = None
    standing: Mapping[str, linking.Standing] = field(default_factory=dict)


def needs(waiting: Iterable[Entry], ticket: Ticket | None) -> Needs:
    """Return what must be asked for what waits at an address.

    :param ticket: Its newest ticket.
    """
    listed = list(waiting)

    def may_open(entry: Entry) -> bool:
        states = states_in(entry.payload, entry.address.table)
        return ticket is None or not tickets.is_open(ticket, states)

    return Needs(
        named=[
            entry
            for entry in listed
            if entry.kind == outbox.REPORT and _has_names(entry.payload) and may_open(entry)
        ],
        twins=next((entry for entry in listed if entry.kind == outbox.TWINS), None),
        close_code=any(
            entry.kind == outbox.STATUS
            and entry.payload["effect"] == "resolve"
            and not entry.payload["close_code"]
            for entry in listed
        ),
        linked=list(dict.fromkeys(entry.payload["sys_id"] for entry in listed if entry.kind == outbox.LINK)),
    )


def ask(desk: Desk, address: Address, wanted: Needs) -> Asked:
    """Ask the instance; most answers are remembered for the length of the run.

    :raises BlindAccountError: If a ticket that we have just made cannot be found.
    """
    names: dict[int, tuple[dict[str, str], list[str]]] = {}
    ambiguous = {}
    for entry in wanted.named:
        try:
            names[entry.id] = _resolved(desk, address.table, entry.payload)
        except AmbiguousNameError as error:
            ambiguous[entry.id] = str(error)
    return Asked(
        names=names,
        ambiguous=ambiguous,
        twins=twins.find(desk, address, wanted.twins) if wanted.twins else None,
        close_code=_close_code(desk, address.table) if wanted.close_code else None,
        standing={sys_id: linking.stands(desk, address, sys_id) for sys_id in wanted.linked},
    )


def _has_names(payload: Mapping[str, Any]) -> bool:
    return "caller" in payload or naming.has_names(payload["fields"])


def _resolved(desk: Desk, table: str, payload: Mapping[str, Any]) -> tuple[dict[str, str], list[str]]:
    fields, warnings = naming.resolve_names(desk.names, table, payload["fields"])
    if "caller" not in payload:
        return fields, warnings
    fields, more = naming.with_caller(desk.names, table, fields, payload["caller"])
    return fields, [*warnings, *more]


def _close_code(desk: Desk, table: str) -> str | None:
    return choose_close_code(choice.value for choice in desk.names.choices(table, "close_code"))
