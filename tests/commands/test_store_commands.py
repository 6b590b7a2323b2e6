"""``servicenow-dq store``: looking after the memory."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from problems import incidents, problem, report, writes

from airflow_provider_servicenow_dq.store import schema
from airflow_provider_servicenow_dq.store.store import Store

PROGRAM = str(Path(sys.executable).with_name("servicenow-dq"))


def path_of(url):
    return Path(url.removeprefix("sqlite:///"))


def test_upgrade_makes_the_store_and_says_from_where_to_where(url, run):
    assert f"nothing → {schema.HEAD}" in run("store", "upgrade").stdout
    assert f"{schema.HEAD} → {schema.HEAD}" in run("store", "upgrade").stdout


def test_a_store_that_does_not_exist_is_not_made_by_a_check(url, run):
    assert "does not exist yet" in run("store", "check", code=1).stderr
    assert not path_of(url).exists()


def test_check_tells_what_is_in_a_sound_store(desk, sandbox, run, read):
    sandbox.configure(abort=("incident when short_descriptionLIKEpoison",))
    report(desk, problem("fine"))
    report(desk, problem("poison"))

    checked = read("store", "check")

    assert (checked["schema"], checked["wrong"], checked["oldest_waiting"]) == (schema.HEAD, [], None)
    assert (checked["outbox"]["done"], checked["outbox"]["dead"]) == (1, 1)
    assert checked["rows"]["dq_ticket"] == 1
    assert "outbox list --state dead" in checked["meaning"][0]
    assert "dq_ticket" in run("store", "check").stdout


def test_a_damaged_store_is_a_failure_with_words_on_what_to_do(desk, sandbox, run):
    report(desk, problem("fine"))
    with desk.store.begin() as connection:
        connection.execute(schema.outbox.update().values(state="lost"))

    checked = run("store", "check", "-o", "json", code=1)

    assert "a state that does not exist" in json.loads(checked.stdout)["wrong"][0]
    assert "`store adopt` finds the tickets again" in checked.stderr


@pytest.mark.parametrize("revision", ["0001", "9999"])
def test_a_store_of_another_time_is_told_apart(url, run, revision):
    run("store", "upgrade")
    store = Store(url)
    with store.begin() as connection:
        version = sa.table(schema.VERSION_TABLE, sa.column("version_num"))
        connection.execute(version.update().values(version_num=revision))
    store.close()

    said = run("store", "check", code=1).stderr
    assert f"has schema {revision}" in said
    if revision == "9999":
        assert "newer version" in run("store", "upgrade", code=1).stderr


def test_prune_counts_first_and_then_forgets(desk, sandbox, run, read):
    report(desk, problem("old"))
    long_ago = datetime.now(UTC) - timedelta(days=800)
    with desk.store.begin() as connection:
        connection.execute(schema.anomaly.update().values(last_seen_at=long_ago))
        connection.execute(schema.ticket.update().values(state="7", changed_at=long_ago))
        connection.execute(schema.outbox.update().values(settled_at=long_ago))

    dry = read("store", "prune", "--older-than", "365d", "--dry-run")
    assert (dry["dry_run"], dry["tickets"], dry["entries"]) == (True, 1, 1)
    assert read("store", "check")["rows"]["dq_ticket"] == 1

    assert read("store", "prune", "--older-than", "365d") == {**dry, "dry_run": False}
    assert read("store", "check")["rows"]["dq_ticket"] == 0


def test_a_pruned_ticket_is_found_again_when_its_problem_comes_back(desk, sandbox, read):
    report(desk, problem("old"))
    (incident,) = incidents(sandbox)
    ended = {"state": "7", "close_code": "Solution provided", "close_notes": "done"}
    sandbox.act_as("admin", "incident", incident["sys_id"], ended)
    long_ago = datetime.now(UTC) - timedelta(days=800)
    with desk.store.begin() as connection:
        connection.execute(schema.anomaly.update().values(last_seen_at=long_ago))
        connection.execute(schema.ticket.update().values(state="7", changed_at=long_ago))
        connection.execute(schema.outbox.update().values(settled_at=long_ago))
    assert read("store", "prune", "--older-than", "365d")["tickets"] == 1
    sandbox.clear_requests()

    # The same occurrence, from a cleared task: it is older than the end of its ticket.
    report(desk, problem("old"))
    assert writes(sandbox) == []
    # A new one follows the old ticket, and names it.
    report(desk, problem("old", hour=24 * 365 * 5), run="later")
    assert writes(sandbox) == ["POST"]
    assert f"Follows {incident['number']}" in incidents(sandbox)[-1]["description"]


@pytest.mark.parametrize("age", ["365", "0d", "d", "1y", "-3d"])
def test_an_age_that_is_no_number_of_days_is_refused(url, run, age):
    assert "number of days" in run("store", "prune", f"--older-than={age}", code=2).stderr


def test_a_store_moves_by_a_file_and_goes_on_where_it_was(desk, sandbox, run, read, tmp_path):
    report(desk, problem("one"), problem("two"))
    file, other = tmp_path / "store.jsonl", f"sqlite:///{tmp_path / 'moved.db'}"

    assert "rows written" in run("store", "export", file).stderr
    assert "rows read" in run("store", "import", file, "--store", other).stdout

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    listed = [read("outbox", "list", "--store", store) for store in (other, str(desk.store._url))]
    assert listed[0] == listed[1]
    assert "not empty" in run("store", "import", file, "--store", other, code=1).stderr


def test_a_file_that_cannot_be_written_or_read_is_an_error_in_words_and_no_half_file_is_left(
    desk, run, tmp_path
):
    run("store", "upgrade")
    assert "cannot be written" in run("store", "export", tmp_path / "no" / "file", code=1).stderr
    assert "cannot be read" in run("store", "import", tmp_path / "nothing", code=1).stderr
    (tmp_path / "odd").write_bytes(b"\xff\xfe\x00")
    assert "cannot be read" in run("store", "import", tmp_path / "odd", code=1).stderr


def test_export_and_import_work_in_a_pipe(desk, sandbox, tmp_path):
    report(desk, problem("one"))
    source, target = str(desk.store._url), f"sqlite:///{tmp_path / 'piped.db'}"

    exported = subprocess.run(
        [PROGRAM, "store", "export", "-", "--store", source], capture_output=True, check=True
    )
    subprocess.run(
        [PROGRAM, "store", "import", "-", "--store", target],
        input=exported.stdout,
        capture_output=True,
        check=True,
    )

    moved = Store(target)
    with moved.begin() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(schema.ticket)).scalar_one() == 1
    moved.close()


def test_a_lost_store_is_rebuilt_from_the_instance(desk, sandbox, run, read, tmp_path):
    report(desk, problem("one"), problem("two"))
    fresh = f"sqlite:///{tmp_path / 'fresh.db'}"

    adopted = read("store", "adopt", "--store", fresh)

    assert adopted == {"found": 2, "tickets": 2, "links": 2, "notes": 0}
    assert read("store", "check", "--store", fresh)["rows"]["dq_ticket"] == 2


def test_adopting_over_a_connection_that_does_not_exist_is_an_error_in_words(desk, run):
    said = run("store", "adopt", "--conn-id", "nowhere", code=1).stderr

    assert "nowhere" in said
    assert "Traceback" not in said
