"""Whether a request is one that was answered before."""

from __future__ import annotations

import hashlib
import itertools
import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from airflow_provider_servicenow_dq.desk.places import group
from airflow_provider_servicenow_dq.findings.asked import content_hash
from airflow_provider_servicenow_dq.findings.wrong import KeyReusedError
from airflow_provider_servicenow_dq.store import cases, requests

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from pydantic import BaseModel
    from sqlalchemy.engine import Connection

    from airflow_provider_servicenow_dq.findings.asked import CreateCases, CreateTickets
    from airflow_provider_servicenow_dq.findings.parties import Caller
    from airflow_provider_servicenow_dq.store.cases import Case

#: For how long an idempotency key is known.
SAME_KEY_FOR: Final = timedelta(hours=24)
#: For how long the same content of the same user is the same request where no key says so: a client that has
#: lost an answer asks again within minutes.
SAME_CONTENT_FOR: Final = timedelta(minutes=10)


def known(
    connection: Connection, body: CreateTickets | CreateCases, caller: Caller, *, now: datetime
) -> list[Case] | None:
    """Return the cases with which a request was answered before; None if it is a new one.

    :raises KeyReusedError: If its key came with another content.
    """
    window = SAME_KEY_FOR if caller.key else SAME_CONTENT_FOR
    before = requests.answered(connection, _name(body, caller), since=now - window)
    if before is None:
        return _opened_by(connection, body, caller) if caller.is_task else None
    if before.content != content_hash(body):
        raise KeyReusedError(f"the idempotency key {caller.key!r} came with another request before")
    found = cases.by_ids(connection, before.case_ids)
    return [found[case_id] for case_id in before.case_ids if case_id in found]


def _opened_by(
    connection: Connection, body: CreateTickets | CreateCases, caller: Caller
) -> list[Case] | None:
    """Return the cases that a task has opened, however long ago: all of them at once, or none."""
    due = [group.case_correlation(_named(caller, number, item)) for number, item in enumerate(body.data)]
    found = cases.by_correlations(connection, due)
    return [found[each] for each in due] if found.keys() >= set(due) else None


def remember(
    connection: Connection, body: BaseModel, caller: Caller, opened: Sequence[Case], *, now: datetime
) -> None:
    """Keep with which cases a request is answered, and forget what nobody repeats any more."""
    requests.forget(connection, before=now - SAME_KEY_FOR)
    ids = [case.id for case in opened]
    requests.remember(connection, _name(body, caller), content_hash(body), ids, now=now)


def names(connection: Connection, items: Sequence[BaseModel], caller: Caller) -> list[str]:
    """Return 32 hex digits for each item that no other case has, by which its ticket is found again.

    With a key they are the same again for the same request, so that a store that was lost doubles nothing.
    """
    found: list[str] = []
    for number, item in enumerate(items):
        for times in itertools.count():
            name = _named(caller, number, item, times)
            if name not in found and not cases.by_correlations(connection, [group.case_correlation(name)]):
                found.append(name)
                break
    return found


def _named(caller: Caller, number: int, item: BaseModel, times: int = 0) -> str:
    """Return 32 hex digits for an item of a request; without a key they are random.

    :param times: How often the same was asked for before under a key that had been forgotten.
    """
    if not caller.key:
        return uuid.uuid4().hex
    return _hash(caller.user, caller.key, str(number), content_hash(item), str(times))[:32]


def _name(body: BaseModel, caller: Caller) -> str:
    # Two users who choose the same key mean different things.
    what = ("key", caller.user, caller.key) if caller.key else ("content", caller.user, content_hash(body))
    return _hash(type(body).__name__, *what)


def _hash(*parts: str) -> str:
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()
