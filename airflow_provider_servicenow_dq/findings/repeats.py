"""Whether a request is one that was answered before."""

from __future__ import annotations

import hashlib
import itertools
import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from airflow_provider_servicenow_dq.desk.places import group
from airflow_provider_servicenow_dq.findings.asked import content_hash
from airflow_provider_servicenow_dq.findings.wrong import KeyReusedError
from airflow_provider_servicenow_dq.store import case_findings, cases, requests

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime
    from typing import Self

    from sqlalchemy.engine import Connection

    from airflow_provider_servicenow_dq.findings.asked import (
        CaseToCreate,
        CreateCases,
        CreateTickets,
        TicketToCreate,
    )
    from airflow_provider_servicenow_dq.findings.parties import Caller, Side
    from airflow_provider_servicenow_dq.store.cases import Case

#: For how long an idempotency key is known.
SAME_KEY_FOR: Final = timedelta(hours=24)
#: For how long the same content of the same user is the same request where no key says so: a client that has
#: lost an answer asks again within minutes.
SAME_CONTENT_FOR: Final = timedelta(minutes=10)


class Request(NamedTuple):
    """A request that must not be answered twice.

    :param where: Instance and project that each item goes to: the body tells only a name, and which one that
        is depends on the connection. At another one the same is another request.
    """

    body: CreateTickets | CreateCases
    caller: Caller
    where: Sequence[str]

    @classmethod
    def to(cls, sides: Iterable[Side], body: CreateTickets | CreateCases, caller: Caller) -> Self:
        """Return a request.

        :param sides: For each item.
        """
        places = [f"{side.desk.namespace}|{side.desk.host}|{side.project.id}" for side in sides]
        return cls(body, caller, places)

    @property
    def items(self) -> Sequence[TicketToCreate | CaseToCreate]:
        """What is to be opened."""
        return self.body.data

    @property
    def name(self) -> str:
        """What only the same request is called."""
        key, kind = self.caller.key, type(self.body).__name__
        # Two users who choose the same key mean different things.
        if key and not self.caller.is_task:
            return _hash(kind, "key", self.caller.user, key)
        return _hash(kind, "content", self.caller.user, key or "", self.content)

    @property
    def content(self) -> str:
        """What it says, and to whom."""
        return _hash(content_hash(self.body), *self.where)


def known(connection: Connection, request: Request, *, now: datetime) -> list[Case | None]:
    """Return with which case each item of a request was answered before; None for what is new.

    :raises KeyReusedError: If its key came with another content.
    """
    key = request.caller.key
    before = requests.answered(
        connection, request.name, since=now - (SAME_KEY_FOR if key else SAME_CONTENT_FOR)
    )
    if before is None:
        return _opened_by(connection, request) if request.caller.is_task else [None] * len(request.items)
    if before.content != request.content:
        raise KeyReusedError(f"the idempotency key {key!r} came with another request before")
    found = cases.by_ids(connection, before.case_ids)
    return [found[case_id] for case_id in before.case_ids if case_id in found]


def undone(
    connection: Connection,
    request: Request,
    answered: Sequence[Case | None],
    findings: Sequence[Iterable[str]],
) -> dict[int, list[str]]:
    """Return what the caller has taken out of its cases since, and now asks for again; by the items' numbers.

    With a key, whoever asks again only repeats themselves.

    :param findings: Of each item, by key.
    """
    if request.caller.key:
        return {}
    last = {key: number for number, keys in enumerate(findings) for key in keys}
    here = case_findings.owners(connection, last)
    known = [case.id for case in answered if case is not None]
    own = case_findings.taken_out_by(connection, request.caller.user, known)
    gone: dict[int, list[str]] = {}
    for key, number in last.items():
        case = answered[number] if number < len(answered) else None
        if case is not None and (case.id, key) in own and here.get(key) != case.id:
            gone.setdefault(number, []).append(key)
    return gone


def _opened_by(connection: Connection, request: Request) -> list[Case | None]:
    """Return the cases that a task has opened, however long ago."""
    due = [group.case_correlation(_named(request, number)) for number in range(len(request.items))]
    found = cases.by_correlations(connection, due)
    return [found.get(each) for each in due]


def remember(connection: Connection, request: Request, opened: Sequence[Case], *, now: datetime) -> None:
    """Keep with which cases a request is answered, and forget what nobody repeats any more."""
    requests.forget(connection, before=now - SAME_KEY_FOR)
    ids = [case.id for case in opened]
    requests.remember(connection, request.name, request.content, ids, now=now)


def names(connection: Connection, request: Request, numbers: Iterable[int]) -> list[str]:
    """Return 32 hex digits for each item that no other case has, by which its ticket is found again.

    With a key they are the same again for the same request, so that a store that was lost doubles nothing.

    :param numbers: Of the items.
    """
    found: list[str] = []
    for number in numbers:
        for times in itertools.count():
            name = _named(request, number, times)
            if name not in found and not cases.by_correlations(connection, [group.case_correlation(name)]):
                found.append(name)
                break
    return found


def _named(request: Request, number: int, times: int = 0) -> str:
    """Return 32 hex digits for an item of a request; without a key they are random.

    :param times: How often the same was asked for before under a key that had been forgotten.
    """
    caller = request.caller
    if not caller.key:
        return uuid.uuid4().hex
    content, where = content_hash(request.items[number]), request.where[number]
    return _hash(caller.user, caller.key, str(number), content, where, str(times))[:32]


def _hash(*parts: str) -> str:
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()
