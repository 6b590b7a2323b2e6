"""Whatever is asked in whatever order, a finding is in the case that took it last, and on no other ticket."""

from __future__ import annotations

import itertools
import os
from functools import partial

import pytest
from asking import Client, finding_id, keys, ticket
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from airflow_provider_servicenow_dq.desk.clear import deliver_waiting
from airflow_provider_servicenow_dq.desk.desk import Run
from airflow_provider_servicenow_dq.desk.pull import pull
from airflow_provider_servicenow_dq.store import asked_for, case_findings

pytestmark = pytest.mark.heavy

FINDINGS = 6
#: How many sequences are played. More of them (``HISTORIES=300``) is for when cases are worked on.
HISTORIES = int(os.environ.get("HISTORIES", "20"))
#: Every example has findings of its own, for all use one store.
_examples = itertools.count()

some = st.lists(st.integers(0, FINDINGS - 1), min_size=1, max_size=4, unique=True)
asks = st.one_of(
    st.tuples(st.just("create"), some),
    st.tuples(st.just("create without a key"), some),
    st.tuples(st.just("create a case without a ticket"), some),
    st.tuples(st.just("attach"), some, st.integers(0, 9)),
    st.tuples(st.just("attach to a case"), some, st.integers(0, 9)),
    st.tuples(st.just("detach"), some),
    st.just(("ask again",)),
    st.tuples(st.sampled_from(["pull", "lose the next answer"])),
)


class Model:
    """What has been asked for, and where each finding is by that."""

    def __init__(self, desk, sandbox):
        self.desk = desk
        self.sandbox = sandbox
        self.client = Client(desk)
        self.first = next(_examples) * FINDINGS
        self.owner = {}
        self.heard_of = set()
        #: Id of each case, and the number of its ticket, if it has one.
        self.opened = {}
        self.again = None

    def numbers(self, some):
        return [self.first + number for number in some]

    def do(self, what, some=(), at=0):
        numbers = self.numbers(some)
        title = f"{self.first}, {len(self.opened)}"
        if what == "create":
            self.create(partial(self.client.create, ticket(*numbers, title=title), key=title), numbers)
        elif what == "create without a key":
            self.create(partial(self.client.create, ticket(*numbers, title=title)), numbers, puts_back=True)
        elif what == "create a case without a ticket":
            item = ticket(*numbers, kind="cases", title=title)
            self.create(partial(self.client.create_cases, item), numbers, puts_back=True)
        elif what == "detach":
            known = [number for number in numbers if number in self.heard_of]
            if known:
                self.client.detach(*known)
                self.owner.update(dict.fromkeys(known))
        elif what.startswith("attach"):
            self.attach(what, numbers, at)
        elif what == "ask again" and self.again is not None:
            request, case_id, put_back = self.again
            (case,) = request().cases
            assert case.id == case_id
            self.took(case, put_back)
        elif what == "pull":
            pull(self.desk, self.client.project)
        elif what == "lose the next answer":
            self.sandbox.fail_next("drop_after", method="POST")

    def create(self, request, numbers, *, puts_back=False):
        """Ask for a new case.

        :param puts_back: Asked again, it takes the findings again that the same person has put elsewhere.
        """
        (case,) = request().cases
        assert case.id not in self.opened
        shown = case.attributes.servicenow_ticket
        self.opened[case.id] = shown and shown.result.sys_id
        self.again = request, case.id, numbers if puts_back else []
        self.took(case, numbers)

    def attach(self, what, numbers, at):
        with_tickets = [case_id for case_id, sys_id in self.opened.items() if sys_id]
        known = with_tickets if what == "attach" else list(self.opened)
        if not known:
            return
        case_id = known[at % len(known)]
        if what == "attach":
            url = f"{self.sandbox.url}/incident.do?sys_id={self.opened[case_id]}"
            (case,) = self.client.attach(url, *numbers).cases
        else:
            (case,) = self.client.attach_case(case_id, *numbers).cases
        assert case.id == case_id
        self.took(case, numbers)

    def took(self, case, numbers):
        self.heard_of.update(numbers)
        self.owner.update(dict.fromkeys(numbers, case.id))
        there = {each.resource_id for each in case.attributes.insights}
        assert there == {finding_id(number) for number, owner in self.owner.items() if owner == case.id}

    def check(self):
        deliver_waiting(self.desk, Run("dag", "run", "deliver"))
        for number, owner in self.owner.items():
            (key,) = keys(number)
            with self.desk.store.begin() as connection:
                assert case_findings.owners(connection, [key]).get(key) == owner
                on = asked_for.links_of(connection, key, instance=self.desk.host).links
            due = [self.opened[owner]] if owner and self.opened[owner] else []
            assert [each.ticket.sys_id for each in on] == due


@pytest.mark.timeout(300 + HISTORIES)
@settings(
    max_examples=HISTORIES,
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(sequence=st.lists(asks, min_size=6, max_size=12))
def test_a_finding_is_in_the_case_that_took_it_last_and_on_its_ticket_alone(desk, sandbox, sequence):
    model = Model(desk, sandbox)
    for ask in sequence:
        model.do(*ask)
    model.check()
