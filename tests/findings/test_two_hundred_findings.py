"""Many who move the same findings about: each ends on exactly one ticket, and the notes tell its way."""

from __future__ import annotations

import multiprocessing
import random
import re
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from asking import Client, finding_id, ours, ticket

from airflow_provider_servicenow_dq.desk.clear import deliver_waiting
from airflow_provider_servicenow_dq.desk.desk import Run
from airflow_provider_servicenow_dq.findings.recording import key_of
from airflow_provider_servicenow_dq.store import case_findings, cases, outbox, schema

pytestmark = pytest.mark.heavy(minutes=2)

#: Processes, as API servers are, and clients that each of them serves at once.
SERVERS, CLIENTS = 2, 4
REQUESTS = 50
FINDINGS = 200

LEFT, JOINED = "No longer followed here", "Followed here from now on"
_FINDING = re.compile(r"i-[0-9a-f]{17}")


def ask(desk, homes, seed):
    """Send the requests of a client."""
    chance = random.Random(seed)  # noqa: S311 (the same way each time)
    client = Client(desk, user=f"client {seed}")
    for number in range(REQUESTS):
        some = chance.sample(range(FINDINGS), 2)
        if number % 5:
            client.attach_case(chance.choice(homes), *some)
        else:
            client.create(ticket(*some, title=f"{seed}, {number}"))


def serve(make_desk, homes, seeds):
    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(lambda seed: ask(make_desk(), homes, seed), seeds))


def on_tickets(store, keys):
    """Return on which tickets findings are, by key, and the ticket of the case that each is in."""
    links, tickets = schema.link, schema.ticket
    with store.begin() as connection:
        owners = case_findings.owners(connection, keys)
        known = cases.by_ids(connection, owners.values())
        rows = connection.execute(
            sa.select(links.c.key, tickets.c.sys_id, tickets.c.correlation_id)
            .join(tickets, tickets.c.id == links.c.ticket_id)
            .where(links.c.key.in_(keys))
        ).all()
    linked = defaultdict(list)
    for row in rows:
        linked[row.key].append((row.sys_id, row.correlation_id))
    return linked, {key: known[owner].correlation_id for key, owner in owners.items()}


def ways(sandbox, sys_id, description):
    """Return for each finding what a ticket says of it, in order: that it came, joined or left."""
    told = defaultdict(list)
    for text in (description, *sandbox.notes(sys_id)):
        word = next((word for word in (LEFT, JOINED) if text.startswith(word)), "came")
        for name in _FINDING.findall(text):
            if not told[name] or told[name][-1] != word:
                told[name].append(word)
    return told


@pytest.mark.timeout(600)
def test_eight_clients_and_fifty_requests_each_leave_every_finding_on_one_ticket(desk, make_desk, sandbox):
    lead = Client(desk)
    homes = lead.create(*[ticket(*range(start, start + 20)) for start in range(0, FINDINGS, 20)]).cases
    fork = multiprocessing.get_context("fork")
    seeds = range(SERVERS * CLIENTS)
    servers = [
        fork.Process(target=serve, args=(make_desk, [home.id for home in homes], seeds[number::SERVERS]))
        for number in range(SERVERS)
    ]
    for server in servers:
        server.start()
    for server in servers:
        server.join()
    assert [server.exitcode for server in servers] == [0] * SERVERS
    deliver_waiting(desk, Run("dag", "run", "deliver"))

    keys = {key_of(finding_id(number), ""): f"i-{number:017x}" for number in range(FINDINGS)}
    linked, owned = on_tickets(desk.store, keys)
    assert owned.keys() == keys.keys()
    assert {key: [where for _, where in them] for key, them in linked.items()} == {
        key: [where] for key, where in owned.items()
    }
    with desk.store.begin() as connection:
        states = connection.execute(sa.select(schema.outbox.c.state).distinct()).scalars().all()
    assert set(states) <= outbox.ENDED

    assert len({row["correlation_id"] for row in ours(sandbox)}) == len(ours(sandbox))
    now_on = {keys[key]: sys_id for key, ((sys_id, _),) in linked.items()}
    for row in ours(sandbox):
        for name, way in ways(sandbox, row["sys_id"], row["description"]).items():
            here = f"{name} on {row['number']}: {way}"
            assert (way[-1] != LEFT) == (now_on[name] == row["sys_id"]), here
            assert way[0] != LEFT, here
            # What joins has left another one, and what has left once had come.
            if JOINED in way:
                assert "came" in way, here
