"""Many who move the same findings about: each ends on exactly one ticket, and the notes tell its way."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor

import sqlalchemy as sa
from asking import Client, finding_id, ours, texts, ticket

from airflow_provider_servicenow_dq.findings.recording import key_of
from airflow_provider_servicenow_dq.store import cases, schema

CLIENTS = 8
REQUESTS = 50
FINDINGS = 200


def test_eight_clients_and_fifty_requests_each_leave_every_finding_on_one_ticket(desk, make_desk, sandbox):
    lead = Client(desk)
    homes = lead.create(*[ticket(*range(start, start + 20)) for start in range(0, FINDINGS, 20)]).cases

    def ask(seed):
        chance = random.Random(seed)  # noqa: S311 (the same way each time)
        client = Client(make_desk(), user=f"client {seed}")
        for number in range(REQUESTS):
            some = chance.sample(range(FINDINGS), 4)
            if number % 5:
                client.attach_case(chance.choice(homes).id, *some)
            else:
                client.create(ticket(*some, title=f"{seed}, {number}"))

    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(ask, range(CLIENTS)))
    lead.create(ticket(FINDINGS))  # delivers what somebody had to leave to others

    keys = {key_of(finding_id(number), ""): number for number in range(FINDINGS)}
    with desk.store.begin() as connection:
        owners = cases.owners(connection, keys)
        known = cases.by_ids(connection, owners.values())
        links, tickets = schema.link, schema.ticket
        rows = connection.execute(
            sa.select(links.c.key, tickets.c.sys_id, tickets.c.correlation_id)
            .join(tickets, tickets.c.id == links.c.ticket_id)
            .where(links.c.key.in_(keys))
        ).all()
    assert sorted(row.key for row in rows) == sorted(keys)
    assert {row.key: row.correlation_id for row in rows} == {
        key: known[owner].correlation_id for key, owner in owners.items()
    }
    now_on = {keys[row.key]: row.sys_id for row in rows}
    for row in ours(sandbox):
        said = texts(sandbox, row["sys_id"])
        left = "\n".join(note for note in sandbox.notes(row["sys_id"]) if "No longer followed here" in note)
        for number in range(FINDINGS):
            name = f"i-{number:017x}"
            if name in said and now_on[number] != row["sys_id"]:
                assert name in left, f"{row['number']} does not say that {name} has left"
