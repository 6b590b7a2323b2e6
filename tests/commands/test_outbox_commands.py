"""``servicenow-dq outbox``: seeing what was refused, and deciding about it."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import yaml
from problems import incidents, problem, report, writes

from airflow_provider_servicenow_dq.desk.clear import deliver_waiting
from airflow_provider_servicenow_dq.desk.desk import Run
from airflow_provider_servicenow_dq.store import claims, instances, outbox, schema, tickets

COLUMNS = [
    "id",
    "state",
    "kind",
    "instance",
    "table",
    "what",
    "attempts",
    "recorded_at",
    "recorded_by",
    "message",
]


@pytest.fixture
def refused(desk, sandbox):
    """Entry 1 is delivered, entry 2 refused."""
    sandbox.configure(abort=("incident when short_descriptionLIKEpoison",))
    report(desk, problem("fine"))
    report(desk, problem("poison [bold]red[/bold]", message="the secret of the users"))
    sandbox.configure(abort=())
    return desk


def state(desk, entry_id):
    with desk.store.begin() as connection:
        return outbox.by_ids(connection, [entry_id])[entry_id].state


def first_number(desk):
    with desk.store.begin() as connection:
        return tickets.by_ids(connection, [1])[1].number


def mark(desk, entry_id, **values):
    with desk.store.begin() as connection:
        connection.execute(schema.outbox.update().where(schema.outbox.c.id == entry_id).values(**values))


def test_the_list_shows_all_entries_newest_first(refused, read):
    listed = read("outbox", "list")

    assert [(row["id"], row["state"]) for row in listed] == [(2, "dead"), (1, "done")]
    assert list(listed[0]) == COLUMNS
    assert listed[0]["what"] == "poison [bold]red[/bold] on nyc.flights"
    assert "was aborted by Business Rule" in listed[0]["message"]
    assert listed[0]["instance"] == refused.host
    assert datetime.fromisoformat(listed[0]["recorded_at"]).utcoffset() == timedelta(0)
    assert [row["id"] for row in read("outbox", "list", "--oldest-first")] == [1, 2]


def test_the_list_can_be_narrowed_and_says_what_it_leaves_out(refused, run, read):
    assert [row["id"] for row in read("outbox", "list", "--state", "dead")] == [2]
    assert [row["id"] for row in read("outbox", "list", "--state", "dead", "--state", "done")] == [2, 1]
    assert read("outbox", "list", "--instance", "elsewhere") == []
    limited = run("outbox", "list", "--limit", "1", "-o", "json")
    assert [row["id"] for row in json.loads(limited.stdout)] == [2]
    assert "1 of 2 entries" in limited.stderr


def test_who_only_reads_waits_for_nobody_who_writes(refused, run, read):
    with refused.store.begin() as connection:
        instances.learn(connection, refused.host, conn_id="servicenow_other")

        assert len(read("outbox", "list")) == 2
        assert "poison" in run("outbox", "show", 2).stdout
        run("store", "prune", "--older-than", "30d", "--dry-run")


@pytest.mark.parametrize("output", ["table", "plain"])
def test_as_a_table_it_has_the_same_columns_and_takes_no_text_for_markup(refused, run, output):
    printed = run("outbox", "list", "--output", output).stdout

    head, *_ = printed.splitlines()
    assert [name.strip() for name in (head.split("|") if output == "table" else head.split())] == COLUMNS
    assert "[bold]" in printed
    assert "the secret of the users" not in printed


def test_yaml_holds_what_json_holds(refused, run, read):
    assert yaml.safe_load(run("outbox", "list", "--output", "yaml").stdout) == read("outbox", "list")


def test_an_empty_outbox_is_said_to_be_empty(url, run, read):
    assert "No data found" in run("outbox", "list").stdout
    assert read("outbox", "list") == []


def test_control_characters_of_foreign_texts_do_not_reach_the_terminal(refused, run):
    mark(refused, 2, message="\x1b[2Jgone\u202e")

    assert "\x1b" not in run("outbox", "list").stdout
    assert "\x1b" not in run("outbox", "show", 2).stdout


def test_show_tells_everything_about_an_entry(refused, run, read):
    shown = read("outbox", "show", 2)

    assert shown["payload"]["anomaly"]["message"] == "the secret of the users"
    assert shown["correlation_id"].startswith("dq:custom:")
    assert shown["write"]["op"] == "create"
    assert shown["settled_at"]
    assert read("outbox", "show", 1)["ticket"] == first_number(refused)
    assert "the secret of the users" in run("outbox", "show", 2).stdout


def test_an_entry_that_is_not_there_is_an_error_in_words(refused, run):
    assert "There is no outbox entry 99" in run("outbox", "show", 99, code=1).stderr
    assert "99 is left as it is: there is no such entry" in run("outbox", "replay", 99, code=1).stderr
    assert "99 is left as it is: there is no such entry" in run("outbox", "discard", 99, code=1).stderr


def test_what_is_replayed_is_delivered_by_whoever_comes_next(refused, sandbox, run):
    assert "2 waits for delivery again" in run("outbox", "replay", 2).stdout
    assert state(refused, 2) == "pending"

    assert deliver_waiting(refused, Run("deliver", "later")).delivered == 1
    assert len(incidents(sandbox)) == 2


def test_a_corrected_dag_replaces_the_payload_of_what_was_refused(refused, sandbox, read):
    sandbox.configure(abort=("incident",))
    again = report(refused, problem("poison [bold]red[/bold]", message="corrected"))
    assert again.failures

    assert read("outbox", "show", 2)["payload"]["anomaly"]["message"] == "corrected"


def test_what_is_discarded_is_not_sent_when_it_is_reported_again(refused, sandbox, run, read):
    assert "2 is discarded" in run("outbox", "discard", 2).stdout
    sandbox.clear_requests()

    report(refused, problem("poison [bold]red[/bold]"))

    assert (read("outbox", "show", 2)["state"], writes(sandbox)) == ("discarded", [])
    assert "it was discarded" in run("outbox", "replay", 2, code=1).stderr


def test_all_means_all_dead_ones(refused, run):
    assert run("outbox", "replay", "--all").stdout.splitlines() == ["2 waits for delivery again"]
    assert "There are no dead entries" in run("outbox", "discard", "--all").stdout
    assert state(refused, 2) == "pending"


@pytest.mark.parametrize("command", ["replay", "discard"])
def test_ids_and_all_exclude_each_other_and_one_is_needed(refused, run, command):
    assert "--all" in run("outbox", command, code=2).stderr
    assert "--all" in run("outbox", command, 2, "--all", code=2).stderr
    assert state(refused, 2) == "dead"


@pytest.mark.parametrize("command", ["replay", "discard"])
def test_what_is_delivered_or_in_doubt_is_left_as_it_is_and_the_others_are_changed(refused, run, command):
    mark(refused, 1, state="sending")
    said = run("outbox", command, 1, 2, code=1)
    assert "1 is left as it is: it is in doubt whether it arrived" in said.stderr
    assert "2 " in said.stdout

    mark(refused, 1, state="done")
    assert "it is delivered" in run("outbox", command, 1, code=1).stderr
    assert state(refused, 1) == "done"


@pytest.mark.parametrize("command", ["replay", "discard"])
def test_an_entry_on_whose_ticket_somebody_works_is_left_to_them(refused, run, command):
    with refused.store.begin() as connection:
        address = outbox.by_ids(connection, [2])[2].address
        claims.take(connection, address, now=refused.now(), lease=timedelta(seconds=60))

    assert "is being worked on" in run("outbox", command, 2, code=1).stderr
    assert state(refused, 2) == "dead"


def test_a_blocked_one_says_behind_which_entry_it_waits(refused, run):
    with refused.store.begin() as connection:
        dead = outbox.by_ids(connection, [2])[2]
        draft = outbox.Draft(dead.address, "note|x", outbox.NOTE, {"text": "page two"})
        (behind,) = outbox.record(connection, [draft], recorded_by="task", now=refused.now())
    mark(refused, behind.id, state="blocked", message="waits behind outbox entry 2")

    assert "1 more at this ticket stay blocked" in run("outbox", "discard", 2).stdout
    mark(refused, 2, state="dead")
    assert "behind entry 2, which is still dead" in run("outbox", "replay", behind.id).stdout


def test_replaying_a_note_of_which_nobody_knows_whether_it_arrived_warns(refused, run):
    mark(refused, 2, message="unknown: whether the note arrived cannot be read")

    assert "it may then stand on its ticket twice" in run("outbox", "replay", 2).stdout


def test_attempts_start_again_and_the_write_that_may_still_arrive_is_kept(refused, run, read):
    mark(refused, 2, attempts=20)
    before = read("outbox", "show", 2)["write"]

    run("outbox", "replay", 2)

    shown = read("outbox", "show", 2)
    assert (shown["attempts"], shown["write"], shown["message"]) == (1, before, "")


def test_a_store_that_cannot_be_opened_is_an_error_in_words_without_its_password(run):
    said = run("outbox", "list", "--store", "postgresql+psycopg2://me:hush@127.0.0.1:9/dq", code=1).stderr

    assert "cannot be opened" in said
    assert "hush" not in said
    assert "Traceback" not in said


def test_it_works_as_a_process_of_its_own_and_prints_nothing_but_json(refused, url):
    program = str(Path(sys.executable).with_name("servicenow-dq"))
    done = subprocess.run(
        [program, "outbox", "list", "--store", url, "-o", "json"], capture_output=True, text=True, check=True
    )

    assert [row["id"] for row in json.loads(done.stdout)] == [2, 1]
