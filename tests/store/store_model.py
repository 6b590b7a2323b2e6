"""What a store must hold, in plain dictionaries, and what can happen to it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from airflow_provider_servicenow_dq.store import outbox
from airflow_provider_servicenow_dq.store.outbox import Address, Entry

if TYPE_CHECKING:
    from airflow_provider_servicenow_dq.store.claims import Claim
    from airflow_provider_servicenow_dq.store.store import Store

LEASE = timedelta(seconds=60)
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
HOST = "acme.service-now.com"
PLACES = [
    Address(HOST, "incident", "dq:custom:" + "a" * 32),
    Address(HOST, "incident", "dq:rollup:" + "b" * 32),
    Address(HOST, "problem", "dq:custom:" + "a" * 32),
]
SKEWS = {"north": 0, "east": 45, "west": -45}

processes = st.sampled_from(sorted(SKEWS))
#: Mostly the first: where they meet is where it gets interesting.
places = st.sampled_from([*[PLACES[0]] * 4, *PLACES[1:]])
texts = st.sampled_from(["rows missing", "rows still missing"])
keys = st.sampled_from([letter * 32 for letter in "klm"])
numbers = st.integers(0, 3)
intents = st.tuples(numbers.map("report|{}".format), places, texts, keys)
reports = st.lists(intents, min_size=1, max_size=3, unique_by=lambda intent: intent[0])

#: How what was sent may end.
ENDS = ["created", "created", "noted", "dead", "blocked", "waits", "uncounted"]

#: What one transaction may consist of. The last four are a worker's, and need the token.
acts = st.sampled_from(
    [
        *[st.tuples(st.just("record"), reports)] * 3,
        st.tuples(st.just("remember"), keys, st.integers(0, 2), st.sampled_from(["low", "critical"])),
        st.tuples(st.just("move"), numbers, places),
        st.tuples(st.just("replay"), numbers),
        st.tuples(st.just("discard"), numbers),
        st.tuples(st.just("learn"), st.sampled_from([True, False, "svc_airflow", "servicenow_default"])),
        *[st.tuples(st.just("start"), st.integers(1, 3))] * 4,
        *[st.tuples(st.just("settle"), st.sampled_from(ENDS))] * 4,
        st.tuples(st.just("change"), st.sampled_from(["2", "6", "unknown"]), keys),
    ]
).flatmap(lambda act: act)


class CrashError(Exception):
    """The process ends here."""


@dataclass
class Model:
    """What the store must hold."""

    entries: dict[tuple[str, str, str], Entry] = field(default_factory=dict)
    claims: dict[Address, tuple[str, datetime]] = field(default_factory=dict)
    tickets: dict[tuple[str, str, str], dict[str, Any]] = field(default_factory=dict)
    links: set[tuple[str, str]] = field(default_factory=set)
    notes: dict[tuple[str, str], int] = field(default_factory=dict)
    anomalies: dict[str, tuple[str, datetime, datetime]] = field(default_factory=dict)
    occurrences: set[tuple[str, str]] = field(default_factory=set)
    learned: dict[str, Any] = field(default_factory=dict)

    def waiting(self, address: Address) -> list[Entry]:
        states = {outbox.PENDING, outbox.SENDING, outbox.BLOCKED}
        here = [e for e in self.entries.values() if e.address == address and e.state in states]
        return sorted(here, key=lambda entry: entry.id)

    def change(self, ids: list[int], **facts: Any) -> None:
        for identity, entry in self.entries.items():
            if entry.id in ids:
                self.entries[identity] = replace(entry, **facts)

    def tickets_at(self, address: Address) -> list[dict[str, Any]]:
        return [ticket for ticket in self.tickets.values() if ticket["address"] == address]


@dataclass
class Process:
    """Somebody who works on the store. What it knows is gone when it crashes."""

    store: Store
    skew: timedelta
    claims: dict[Address, Claim] = field(default_factory=dict)
