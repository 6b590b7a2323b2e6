"""A store as a file: the same store again, on whichever database, or nothing at all."""

from __future__ import annotations

import io
import json
from datetime import timedelta

import pytest
import sqlalchemy as sa

from airflow_provider_servicenow_dq.anomalies.model import Anomaly
from airflow_provider_servicenow_dq.exceptions import StoreError
from airflow_provider_servicenow_dq.store import anomalies, claims, instances, outbox, passes, schema, tickets
from airflow_provider_servicenow_dq.store.anomalies import Sighting
from airflow_provider_servicenow_dq.store.moving import export_store, import_store
from airflow_provider_servicenow_dq.store.store import Store


@pytest.fixture
def filled(store, address, draft, now):
    """A store with something in every table."""
    with store.begin() as connection:
        anomaly = Anomaly(source="custom", dataset="Ünïcode \U0001f600", check_name="c", detected_at=now)
        anomalies.remember(connection, [Sighting("k" * 32, "at:1", anomaly)], now=now)
        passes.remember(connection, [passes.Passing("k" * 32, "at:2", now)])
        facts = {"created_by_us": True, "seen": 1, "seen_at_note": 1, "severity": "high"}
        record = {"sys_id": "f" * 32, "number": "INC1", "state": "1"}
        ticket = tickets.add(connection, address, record, made=True, noted_at=now, changed_at=now, **facts)
        tickets.link(connection, ticket.id, ["k" * 32], now=now)
        tickets.know_notes(connection, ticket.id, {"e" * 32: 2})
        entries = outbox.record(
            connection, [draft(f"report|{number}") for number in range(5)], recorded_by="t", now=now
        )
        outbox.start(connection, [entries[0].id], write={"op": "create"}, now=now)
        outbox.settle(connection, [entries[1].id], state=outbox.DEAD, now=now, warnings=["one"])
        outbox.settle(connection, [entries[2].id], state=outbox.DONE, now=now, ticket_id=ticket.id)
        claims.take(connection, address, now=now, lease=timedelta(seconds=60))
        instances.learn(connection, address.instance, honours_sys_id=True)
        instances.learn_user_name(connection, address.instance, "login:me", "me")
    return store


@pytest.fixture
def empty(tmp_path, store_url):
    """Stores to move to: a SQLite file, and another database of the test's own kind."""
    opened = [Store(f"sqlite:///{tmp_path / 'moved.db'}"), Store(store_url("other"))]
    yield opened
    for store in opened:
        store.close()


def content(store):
    with store.begin() as connection:
        return {
            table.name: [
                tuple(row) for row in connection.execute(sa.select(table).order_by(*table.primary_key))
            ]
            for table in schema.metadata.sorted_tables
            if table is not schema.claim
        }


def exported(store):
    file = io.StringIO()
    export_store(store, file)
    return file.getvalue()


def test_what_is_imported_is_what_was_exported_on_either_database(filled, empty):
    text = exported(filled)

    for other in empty:
        counts = import_store(other, io.StringIO(text))

        assert content(other) == content(filled)
        assert counts["dq_outbox"] == 5
        assert exported(other) == text


def test_new_rows_are_numbered_behind_the_imported_ones(filled, empty, draft, now):
    for other in empty:
        import_store(other, io.StringIO(exported(filled)))
        with other.begin() as connection:
            (entry,) = outbox.record(connection, [draft("report|new")], recorded_by="t", now=now)
        assert entry.id == 6


def test_an_empty_store_can_be_moved_too(store, empty, draft, now):
    for other in empty:
        import_store(other, io.StringIO(exported(store)))
        with other.begin() as connection:
            (entry,) = outbox.record(connection, [draft()], recorded_by="t", now=now)
        assert entry.id == 1


def test_every_line_is_json_and_the_first_says_the_schema(filled):
    head, *_, end = map(json.loads, exported(filled).splitlines())

    assert head == {"servicenow_dq_store": schema.HEAD}
    assert end["rows"]["dq_outbox"] == 5


def test_an_export_sees_one_moment_and_holds_nobody_up(filled, draft, now):
    class Slow(io.StringIO):
        """Somebody reports while it is written."""

        reported = False

        def write(self, text):
            if not self.reported and "dq_anomaly" in text:
                self.reported = True
                with Store(filled._url.render_as_string(hide_password=False)).begin() as connection:
                    outbox.record(connection, [draft("report|meanwhile")], recorded_by="t", now=now)
            return super().write(text)

    file = Slow()
    assert export_store(filled, file)["dq_outbox"] == 5
    assert "report|meanwhile" not in file.getvalue()
    assert "report|meanwhile" in exported(filled)


def test_a_store_that_is_not_empty_is_left_as_it_is(filled):
    before = content(filled)

    with pytest.raises(StoreError, match="not empty"):
        import_store(filled, io.StringIO(exported(filled)))

    assert content(filled) == before


def lines(text):
    return text.splitlines(keepends=True)


SPOILT = {
    "no export": (lambda text: '{"a": 1}\n', "no export of a store"),
    "empty": (lambda text: "", "no export of a store"),
    "another schema": (lambda text: text.replace(schema.HEAD, "9999", 1), "schema '9999'"),
    "cut at a line": (lambda text: "".join(lines(text)[:-1]), "cut short"),
    "cut in a line": (lambda text: text[:-20], "cannot be read"),
    "a line lost": (
        lambda text: "".join(line for line in lines(text) if "dq_known_note" not in line or "rows" in line),
        "lost rows",
    ),
    "a line twice": (
        lambda text: "".join(line * (2 if '"dq_anomaly", "row"' in line else 1) for line in lines(text)),
        "contradicts itself",
    ),
    "a strange table": (lambda text: text.replace('"table": "dq_link"', '"table": "users"'), "'users'"),
    "a strange column": (lambda text: text.replace('"linked_at"', '"drop"'), "no column 'drop'"),
}


@pytest.mark.parametrize(("spoil", "words"), SPOILT.values(), ids=SPOILT)
def test_a_file_that_is_not_whole_is_refused_in_words_and_leaves_nothing(filled, empty, spoil, words):
    text = spoil(exported(filled))

    for other in empty:
        with pytest.raises(StoreError, match=words):
            import_store(other, io.StringIO(text))
        assert not any(content(other).values())
