"""Any order of reports, claims, sends, outcomes, jumps of the clock and crashes leaves what was committed.

Three processes work on one store, each with a clock of its own that is wrong by up to a minute. A model in
plain dictionaries says what must be there after every step: all of it, and nothing else. The worker does what
the desk does: it looks at what waits, writes down what it sends, and writes outcomes only under its token.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from airflow_provider_servicenow_dq.anomalies.model import Anomaly
from airflow_provider_servicenow_dq.store import (
    anomalies,
    claims,
    instances,
    letters,
    outbox,
    schema,
    tickets,
)
from airflow_provider_servicenow_dq.store.anomalies import Sighting
from airflow_provider_servicenow_dq.store.claims import Claim
from airflow_provider_servicenow_dq.store.outbox import Address, Draft, Entry
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


class StoreMachine(RuleBasedStateMachine):
    def __init__(self, stores: dict[str, Store], url: str) -> None:
        super().__init__()
        self.stores = stores  # opening one costs more than a step, so they serve until a crash
        self.url = url
        self.now = NOON
        self.model = Model()
        self.tickets_made = 0
        self.ended: dict[int, Entry] = {}
        self.processes = {name: Process(stores[name], timedelta(seconds=s)) for name, s in SKEWS.items()}

    @initialize(wanted=reports)
    def start_empty(self, wanted: list[tuple[Any, ...]]) -> None:
        """Every history begins with an empty store, and something to do."""
        with self.processes["north"].store.begin() as connection:
            for table in reversed(schema.metadata.sorted_tables):
                connection.execute(table.delete())
        self.work("north", PLACES[0], [("record", wanted)], None, insists=True)

    def time_of(self, process: Process) -> datetime:
        return self.now + process.skew

    # ---- what can happen -------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([1, 30, 61, 130, -40]))
    def the_clock_jumps(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(what=st.sampled_from(["take", "renew", "release"]), who=processes, place=places)
    def claim(self, what: str, who: str, place: Address) -> None:
        getattr(self, what)(who, place)

    def take(self, who: str, place: Address) -> None:
        process = self.processes[who]
        now = self.time_of(process)
        with process.store.begin() as connection:
            taken = claims.take(connection, place, now=now, lease=LEASE)

        token, until = self.model.claims.get(place, ("", now))
        if token and until > now:
            assert taken == until
        else:
            assert isinstance(taken, Claim)
            assert taken.leased_until == now + LEASE
            assert taken.token not in {token, ""}
            process.claims[place] = taken
            self.model.claims[place] = (taken.token, taken.leased_until)

    def renew(self, who: str, place: Address) -> None:
        process = self.processes[who]
        claim = process.claims.get(place)
        if claim is None:
            return
        now = self.time_of(process)
        with process.store.begin() as connection:
            renewed = claims.renew(connection, claim, now=now, lease=LEASE)

        assert (renewed is not None) == self.is_ours(self.model, claim)
        if renewed is None:
            del process.claims[place]
        else:
            process.claims[place] = renewed
            self.model.claims[place] = (renewed.token, now + LEASE)

    def release(self, who: str, place: Address) -> None:
        claim = self.processes[who].claims.pop(place, None)
        if claim is None:
            return
        with self.processes[who].store.begin() as connection:
            claims.release(connection, claim)

        if self.is_ours(self.model, claim):
            self.model.claims[place] = ("", self.model.claims[place][1])

    def crash(self, who: str) -> None:
        process = self.processes[who]
        process.store.close()
        self.stores[who] = Store(self.url)
        self.processes[who] = Process(self.stores[who], process.skew)

    @rule(
        who=processes,
        place=places,
        do=st.lists(acts, min_size=1, max_size=4),
        dies_after=st.none(),
        insists=st.booleans(),
    )
    def work(
        self, who: str, place: Address, do: list[tuple[Any, ...]], dies_after: int | None, insists: bool
    ) -> None:
        """One transaction. It commits all of what it did, or the process dies in the middle and nothing.

        :param insists: Whether it is this process even if another one has the ticket.
        """
        holders = [name for name, each in self.processes.items() if self.has(each, place)]
        who = who if insists else (holders or [who])[0]
        process = self.processes[who]
        if place not in process.claims:
            self.take(who, place)
        model = copy.deepcopy(self.model)
        try:
            with process.store.begin() as connection:
                for number, (name, *arguments) in enumerate(do):
                    if number == dies_after:
                        raise CrashError
                    getattr(self, f"_{name}")(connection, model, process, place, *arguments)
                if dies_after is not None:
                    raise CrashError
        except CrashError:
            self.crash(who)
        else:
            self.model = model

    @rule(
        who=processes,
        place=places,
        do=st.lists(acts, min_size=1, max_size=4),
        dies_after=st.integers(0, 4),
    )
    def die_at_work(self, who: str, place: Address, do: list[tuple[Any, ...]], dies_after: int) -> None:
        self.work(who, place, do, dies_after, insists=False)

    @rule(who=processes, place=places, count=st.integers(1, 3), how=st.sampled_from(ENDS))
    def deliver(self, who: str, place: Address, count: int, how: str) -> None:
        self.work(who, place, [("start", count)], None, insists=False)
        self.work(who, place, [("settle", how)], None, insists=False)

    @rule(who=processes, place=places, wanted=reports)
    def report(self, who: str, place: Address, wanted: list[tuple[Any, ...]]) -> None:
        self.work(who, place, [("record", wanted)], None, insists=True)

    # ---- what a transaction consists of ----------------------------------------------------------------

    def _record(self, connection, model, process, _place, wanted) -> None:
        now = self.time_of(process)
        drafts = [
            Draft(place, intent, outbox.REPORT, {"text": text}, key=key)
            for intent, place, text, key in wanted
        ]
        known_ids = {entry.id for entry in model.entries.values()}
        recorded = outbox.record(connection, drafts, recorded_by=f"task at {now}", now=now)

        for draft, entry in zip(drafts, recorded, strict=True):
            identity = (draft.address.instance, draft.address.table, draft.idempotency_key)
            known = model.entries.get(identity)
            fresh = {"state": outbox.PENDING, "recorded_by": f"task at {now}", "message": None}
            if known is None:
                new = Entry(entry.id, draft.address, draft.idempotency_key, draft.kind, payload={},
                            key=draft.key, attempts=0, **fresh)  # fmt: skip
                model.entries[identity] = replace(new, payload=dict(draft.payload))
            elif known.state in {outbox.DEAD, outbox.BLOCKED}:
                model.entries[identity] = replace(known, payload=dict(draft.payload), **fresh)
            elif known.state not in outbox.ENDED:
                model.entries[identity] = replace(known, payload=dict(draft.payload))
            assert entry == model.entries[identity]
        for place in PLACES:
            new = [entry.id for entry in recorded if entry.address == place and entry.id not in known_ids]
            assert new == sorted(new), "what is recorded for a ticket keeps its order"

    def _remember(self, connection, model, process, _place, key, number, severity) -> None:
        now = self.time_of(process)
        anomaly = Anomaly(source="custom", dataset="nyc.flights", check_name=key, severity=severity)
        sighting = Sighting(key, f"at:{number}", anomaly)
        anomalies.remember(connection, [sighting, sighting], now=now)

        first_seen = model.anomalies[key][1] if key in model.anomalies else now
        model.anomalies[key] = (severity, first_seen, now)
        model.occurrences.add((key, f"at:{number}"))

    def _move(self, connection, model, _process, _place, number, home) -> None:
        found = self.with_intent(model, number)
        outbox.move(connection, [entry.id for entry in found], home)

        for entry in found:
            if entry.state == outbox.PENDING:
                moved = entry.address._replace(correlation_id=home.correlation_id)
                model.change([entry.id], address=moved)

    def _replay(self, connection, model, process, _place, number) -> None:
        """Somebody lets an entry wait again that was given up, unless somebody else works on its ticket."""
        for entry in self.with_intent(model, number):
            (answer,) = letters.replay(connection, [entry.id], now=self.time_of(process))
            untouched = self.take_for_a_moment(model, process, entry.address)
            assert answer.done == (untouched and entry.state in {outbox.DEAD, outbox.BLOCKED})
            if answer.done:
                attempts = min(entry.attempts, 1)
                model.change(
                    [entry.id], state=outbox.PENDING, message=None, settled_at=None, attempts=attempts
                )

    def _discard(self, connection, model, process, _place, number) -> None:
        """Somebody gives an entry up for good, unless somebody else works on its ticket."""
        for entry in self.with_intent(model, number):
            (answer,) = letters.discard(connection, [entry.id], now=self.time_of(process))
            untouched = self.take_for_a_moment(model, process, entry.address)
            given_up = {outbox.PENDING, outbox.DEAD, outbox.BLOCKED}
            assert answer.done == (untouched and entry.state in given_up)
            if answer.done:
                model.change([entry.id], state=outbox.DISCARDED, settled_at=self.time_of(process))

    def _learn(self, connection, model, _process, _place, fact) -> None:
        if fact == "svc_airflow":
            instances.learn_user_name(connection, HOST, "user:svc_airflow", fact)
            model.learned["user_names"] = {"user:svc_airflow": fact}
            return
        facts = {"conn_id": fact} if isinstance(fact, str) else {"honours_sys_id": fact}
        instances.learn(connection, HOST, **facts)
        model.learned |= facts

    def _start(self, connection, model, process, place, count) -> None:
        """Write down that the first few that are pending leave, unless something is under way already."""
        if not self.holds(connection, model, process, place):
            return
        waiting = outbox.waiting(connection, place)
        assert waiting == model.waiting(place)
        ids = [entry.id for entry in waiting if entry.state == outbox.PENDING][:count]
        if not ids or any(entry.state == outbox.SENDING for entry in waiting):
            return
        now = self.time_of(process)
        outbox.start(connection, ids, write={"op": "create", "at": now.isoformat()}, now=now)

        for entry in [entry for entry in waiting if entry.id in ids]:
            first = entry.id == ids[0]
            write = {"op": "create", "at": now.isoformat()} if first else {"op": "with", "entry": ids[0]}
            model.change(
                [entry.id], state=outbox.SENDING, write=write, tried_at=now, attempts=entry.attempts + 1
            )

    def _settle(self, connection, model, process, place, how) -> None:
        """Write down how what is under way ended: by whoever sent it, or whoever found it left behind."""
        if not self.holds(connection, model, process, place):
            return
        sending = [e for e in outbox.waiting(connection, place) if e.state == outbox.SENDING]
        carrier = next((e for e in sending if e.write and e.write["op"] == "create"), None)
        assert (carrier is None) == (not sending)
        if carrier is None:
            return
        now = self.time_of(process)
        together = outbox.sent_together(carrier, sending)
        assert together == sending
        ids = [entry.id for entry in together]
        facts: dict[str, Any] = {"action": None, "ticket_id": None, "message": None, "warnings": []}
        match how:
            case "created" | "noted":
                ticket_id = self.keep_ticket(connection, model, place, together, now, new=how == "created")
                facts |= {"action": how, "ticket_id": ticket_id, "message": how, "warnings": ["cut"]}
                outbox.settle(connection, ids, state=outbox.DONE, now=now, **facts)
                model.change(ids, state=outbox.DONE, write=None, settled_at=now, **facts)
            case "dead" | "blocked":
                facts |= {"message": "no"}
                state = outbox.DEAD if how == "dead" else outbox.BLOCKED
                outbox.settle(connection, ids, state=state, now=now, message="no")
                model.change(ids, state=state, settled_at=now if state == outbox.DEAD else None, **facts)
            case "waits":
                outbox.settle(connection, ids, state=outbox.PENDING, message="later")
                model.change(ids, state=outbox.PENDING, settled_at=None, **{**facts, "message": "later"})
            case "uncounted":
                outbox.settle(connection, ids, state=outbox.PENDING, uncount=True)
                for entry in together:
                    attempts = entry.attempts - 1
                    model.change(
                        [entry.id], state=outbox.PENDING, settled_at=None, attempts=attempts, **facts
                    )

    def keep_ticket(self, connection, model, place, entries, now, *, new) -> int:
        """Remember the ticket that a write has made, or count a note on the newest one."""
        there = tickets.at(connection, [place]).get(place, [])
        assert {t.sys_id for t in there} == {t["sys_id"] for t in model.tickets_at(place)}
        if new or not there:
            self.tickets_made += 1
            record = {"sys_id": f"{self.tickets_made:032}", "number": f"INC{self.tickets_made}", "state": "1",
                      "sys_created_on": f"{now:%Y-%m-%d %H:%M:%S}"}  # fmt: skip
            facts = {"created_by_us": True, "opened_in": "run", "adopted_in": None, "seen": 1,
                     "seen_at_note": 1, "noted_at": now, "severity": "low", "changed_at": now}  # fmt: skip
            ticket = tickets.add(connection, place, record, made=True, **facts)
            identity = (place.instance, place.table, ticket.sys_id)
            model.tickets[identity] = {"address": place, **record, "seen": 1, "severity": "low"}
        else:
            ticket = there[0]
            text = entries[0].payload["text"]
            times = tickets.known_notes(connection, ticket.id).get(text, 0)
            assert times == model.notes.get((ticket.sys_id, text), 0)
            tickets.know_notes(connection, ticket.id, {text: times + 1})
            model.notes[ticket.sys_id, text] = times + 1
        linked = [entry.key for entry in entries]
        tickets.link(connection, ticket.id, linked, now=now)
        model.links |= {(ticket.sys_id, key) for key in linked}
        return ticket.id

    def _change(self, connection, model, process, place, state, key) -> None:
        """A look has shown that people did something; an anomaly is linked by hand."""
        if not self.holds(connection, model, process, place):
            return
        for ticket in tickets.at(connection, [place]).get(place, [])[:1]:
            facts = {"state": state} if state == tickets.UNKNOWN else {"record": {"state": state}}
            tickets.change(connection, ticket, seen=ticket.seen + 1, **facts)
            tickets.link(connection, ticket.id, [key], now=self.now)

            known = model.tickets[place.instance, place.table, ticket.sys_id]
            known |= {"state": state, "seen": known["seen"] + 1}
            model.links.add((ticket.sys_id, key))

    # ---- what must hold --------------------------------------------------------------------------------

    def is_ours(self, model: Model, claim: Claim) -> bool:
        return model.claims.get(claim.address, ("", NOON))[0] == claim.token

    def has(self, process: Process, place: Address) -> bool:
        return place in process.claims and self.is_ours(self.model, process.claims[place])

    def take_for_a_moment(self, model: Model, process: Process, address: Address) -> bool:
        """Claim and give back; whoever had let the lease run out has lost the ticket by that."""
        token, until = model.claims.get(address, ("", NOON))
        if token and until > self.time_of(process):
            return False
        model.claims[address] = ("", NOON)
        return True

    def with_intent(self, model: Model, number: int) -> list[Entry]:
        return [e for e in model.entries.values() if e.idempotency_key == f"report|{number}"]

    def holds(self, connection, model: Model, process: Process, place: Address) -> bool:
        claim = process.claims.get(place)
        if claim is None:
            return False
        ours = claims.holds(connection, claim)
        assert ours == self.is_ours(model, claim)
        return ours

    @invariant()
    def everything_holds(self) -> None:
        with self.processes["east"].store.begin() as connection:
            self.outbox_is_as_the_model_says(connection)
            self.tickets_are_as_the_model_says(connection)
            self.the_rest_is_as_the_model_says(connection)
            self.at_most_one_claim_on_a_ticket_holds(connection)

    def outbox_is_as_the_model_says(self, connection) -> None:
        wanted = {entry.id: entry for entry in self.model.entries.values()}
        entries = outbox.by_ids(connection, wanted)
        assert entries == wanted
        assert self.rows(connection, schema.outbox) == len(wanted)
        for place in PLACES:
            assert outbox.waiting(connection, place) == self.model.waiting(place)
        for entry in entries.values():
            if entry.state == outbox.SENDING:
                assert entry.write is not None
                assert entry.tried_at is not None
                carrier = entries[entry.write["entry"]] if entry.write["op"] == "with" else entry
                assert carrier.state == outbox.SENDING
                assert carrier.address == entry.address
            if entry.state == outbox.DONE:
                assert entry.write is None
                assert entry.ticket_id is not None
            if entry.state in outbox.ENDED:
                self.ended.setdefault(entry.id, entry)
        assert self.ended.items() <= entries.items()

    def tickets_are_as_the_model_says(self, connection) -> None:
        known = [ticket for place in PLACES for ticket in tickets.at(connection, [place]).get(place, [])]
        assert {
            (t.address.instance, t.address.table, t.sys_id): (t.address, t.number, t.state, t.seen)
            for t in known
        } == {
            identity: (t["address"], t["number"], t["state"], t["seen"])
            for identity, t in self.model.tickets.items()
        }
        assert {(t.sys_id, key) for t in known for key in tickets.members(connection, t.id)} == (
            self.model.links
        )
        assert {
            (t.sys_id, text): times
            for t in known
            for text, times in tickets.known_notes(connection, t.id).items()
        } == self.model.notes

    def the_rest_is_as_the_model_says(self, connection) -> None:
        learned = instances.get(connection, HOST)
        assert (learned.honours_sys_id, learned.conn_id) == (
            self.model.learned.get("honours_sys_id"),
            self.model.learned.get("conn_id"),
        )
        assert instances.user_names(connection, HOST) == self.model.learned.get("user_names", {})
        assert {
            row.key: (row.severity, row.first_seen_at, row.last_seen_at)
            for row in connection.execute(sa.select(schema.anomaly))
        } == self.model.anomalies
        assert self.rows(connection, schema.occurrence) == len(self.model.occurrences)
        assert self.rows(connection, schema.claim) == len(self.model.claims)

    def at_most_one_claim_on_a_ticket_holds(self, connection) -> None:
        for place in PLACES:
            mine = [process.claims.get(place) for process in self.processes.values()]
            assert sum(claim is not None and claims.holds(connection, claim) for claim in mine) <= 1

    def rows(self, connection, table: sa.Table) -> int:
        return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()


def test_what_was_committed_survives_any_order_of_work_and_crashes(url):
    stores = {name: Store(url) for name in SKEWS}
    try:
        run_state_machine_as_test(
            lambda: StoreMachine(stores, url),
            settings=settings(
                max_examples=40,
                stateful_step_count=25,
                deadline=None,
                print_blob=True,
                # Without Phase.shrink: that can take minutes. Add it to look into a failure.
                phases=[Phase.reuse, Phase.generate],
                suppress_health_check=[HealthCheck.too_slow],
            ),
        )
    finally:
        for store in stores.values():
            store.close()
