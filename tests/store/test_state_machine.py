"""Any order of reports, claims, sends, outcomes, jumps of the clock and crashes leaves what was committed.

Three processes work on one store, each with a clock of its own that is wrong by up to a minute. A model in
plain dictionaries says what must be there after every step: all of it, and nothing else. The worker does what
the desk does: it looks at what waits, writes down what it sends, and writes outcomes only under its token.
"""

from __future__ import annotations

import copy
import os
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from store_acts import Acts
from store_model import (
    ENDS,
    LEASE,
    NOON,
    PLACES,
    SKEWS,
    CrashError,
    Model,
    Process,
    acts,
    places,
    processes,
    reports,
)
from store_truth import Truth

from airflow_provider_servicenow_dq.store import claims, schema
from airflow_provider_servicenow_dq.store.claims import Claim
from airflow_provider_servicenow_dq.store.store import Store

if TYPE_CHECKING:
    from airflow_provider_servicenow_dq.store.outbox import Address, Entry


#: How many histories are played. More of them (``HISTORIES=1000``) is for when the store is worked on.
HISTORIES = int(os.environ.get("HISTORIES", "15"))


class StoreMachine(Acts, Truth, RuleBasedStateMachine):
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

    # ---- what must hold --------------------------------------------------------------------------------

    @invariant()
    def everything_holds(self) -> None:
        with self.processes["east"].store.begin() as connection:
            self.outbox_is_as_the_model_says(connection)
            self.tickets_are_as_the_model_says(connection)
            self.the_rest_is_as_the_model_says(connection)
            self.at_most_one_claim_on_a_ticket_holds(connection)


def test_what_was_committed_survives_any_order_of_work_and_crashes(url):
    stores = {name: Store(url) for name in SKEWS}
    try:
        run_state_machine_as_test(
            lambda: StoreMachine(stores, url),
            settings=settings(
                max_examples=HISTORIES,
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
