"""Whether a store holds what its model says: all of it, and nothing else."""

from __future__ import annotations

import sqlalchemy as sa
from store_model import HOST, PLACES

from airflow_provider_servicenow_dq.store import claims, instances, outbox, schema, tickets


class Truth:
    """What must hold of a machine with ``model``, ``processes`` and ``ended``."""

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
