"""What a transaction consists of: each act is done to the store and to its model."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from store_model import HOST, NOON, PLACES, Model, Process

from airflow_provider_servicenow_dq.anomalies.model import Anomaly
from airflow_provider_servicenow_dq.store import anomalies, claims, instances, letters, outbox, tickets
from airflow_provider_servicenow_dq.store.anomalies import Sighting
from airflow_provider_servicenow_dq.store.outbox import Address, Draft, Entry

if TYPE_CHECKING:
    from airflow_provider_servicenow_dq.store.claims import Claim


class Acts:
    """The acts of a machine with ``now``, ``model``, ``time_of`` and ``tickets_made``."""

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
            tickets.know_note(connection, ticket.id, text)
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
