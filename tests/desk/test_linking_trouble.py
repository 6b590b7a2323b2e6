"""Links when answers are lost, people edit at that moment, and the instance keeps less than it is sent."""

from __future__ import annotations

import dataclasses
import re
from concurrent.futures import ThreadPoolExecutor

from linking_them import actions, entries_of, link, now_of, numbers_of, theirs, unlink
from reporting import anomaly, report, writes
from worlds import with_retries

from airflow_provider_servicenow_dq.client.table import TableApi
from airflow_provider_servicenow_dq.desk.clear import deliver_waiting
from airflow_provider_servicenow_dq.desk.desk import Run
from airflow_provider_servicenow_dq.exceptions import AnswerLostError, UnreachableError
from airflow_provider_servicenow_dq.store import links, outbox

SYNC = Run("sync", "run", "deliver")


def heads(text):
    return re.findall(r"^## Custom Anomaly Linked \[.* UTC\]$", text, re.MULTILINE)


def test_a_link_whose_answer_was_lost_is_found_by_its_note(desk, sandbox):
    ticket = theirs(desk, description="Before.")
    sandbox.fail_next("drop_after", method="PATCH")

    linked = link(desk, ticket["number"], anomaly())

    assert actions(linked) == ["linked"]
    assert len(sandbox.notes(ticket["sys_id"])) == 1
    assert len(heads(now_of(sandbox, ticket["sys_id"])["description"])) == 1
    with desk.store.begin() as connection:
        known = links.with_sys_id(connection, ticket["sys_id"], instance=desk.host, tables=("incident",))
    assert known.record["description"] == now_of(sandbox, ticket["sys_id"])["description"]


def test_a_link_that_never_arrived_is_made_later(desk, sandbox):
    ticket = theirs(desk)
    sandbox.fail_next("drop_before", method="PATCH")

    linked = with_retries(lambda: link(desk, ticket["number"], anomaly(), anomaly("another")))

    assert actions(linked) == ["linked", "linked"]
    assert len(sandbox.notes(ticket["sys_id"])) == 1
    assert len(heads(now_of(sandbox, ticket["sys_id"])["description"])) == 2


def test_a_second_link_on_the_ticket_keeps_the_first_ones_details(desk, sandbox):
    ticket = theirs(desk)
    link(desk, ticket["number"], anomaly())
    sandbox.fail_next("drop_after", method="PATCH")

    link(desk, ticket["number"], anomaly("another"))

    assert len(heads(now_of(sandbox, ticket["sys_id"])["description"])) == 2
    assert len(sandbox.notes(ticket["sys_id"])) == 2


class EditedMeanwhile(TableApi):
    """The Table API, with a person who saves the form right before our next update."""

    def __init__(self, transport, edit):
        super().__init__(transport)
        self.edit = edit

    def update(self, table, sys_id, values):
        self.edit(sys_id)
        return super().update(table, sys_id, values)


def test_what_a_person_wrote_before_the_last_look_stays(desk, sandbox):
    ticket = theirs(desk, description="Before.")
    sandbox.act_as("admin", "incident", ticket["sys_id"], {"description": "Edited."})

    linked = link(desk, ticket["number"], anomaly())

    assert now_of(sandbox, ticket["sys_id"])["description"].startswith("Edited.\n\n## ")
    assert linked.results[0]["warnings"] == []


def test_whoever_edits_the_ticket_at_the_very_moment_is_named_in_a_warning(desk, sandbox):
    ticket = theirs(desk, description="Before.")

    def edit(sys_id):
        sandbox.act_as("admin", "incident", sys_id, {"description": "Edited."})

    api = EditedMeanwhile(desk.table_api.transport, edit)
    linked = link(dataclasses.replace(desk, table_api=api), ticket["number"], anomaly())

    (warning,) = linked.results[0]["warnings"]
    assert warning.startswith(f"{ticket['number']} was changed by somebody else at the very moment")
    assert actions(linked) == ["linked"]


def test_details_that_the_instance_does_not_keep_follow_as_a_work_note(desk, sandbox):
    ticket = theirs(desk, description="Before.")
    sandbox.configure(unwritable=("incident.description",))

    linked = link(desk, ticket["number"], anomaly())

    sandbox.configure(unwritable=())
    assert now_of(sandbox, ticket["sys_id"])["description"] == "Before."
    _, details = sandbox.notes(ticket["sys_id"])
    assert len(heads(details)) == 1
    (warning,) = linked.results[0]["warnings"]
    assert warning.startswith("description: ServiceNow did not keep")
    assert writes(sandbox)[-2:] == ["PATCH", "PATCH"]


def test_without_rights_on_journals_a_lost_store_still_links_once(make_desk, sandbox):
    sandbox.configure(journal_acl=True)
    ticket = theirs(make_desk())
    link(make_desk(), ticket["number"], anomaly())

    again = link(make_desk("lost"), ticket["number"], anomaly())

    assert actions(again) == ["linked"]
    assert len(sandbox.notes(ticket["sys_id"])) == 1
    assert len(heads(now_of(sandbox, ticket["sys_id"])["description"])) == 1


def test_many_who_link_at_the_same_moment_leave_each_others_details(make_desk, sandbox):
    ticket = theirs(make_desk())
    checks = [anomaly(f"check {number}") for number in (0, 1, 2, 0, 1, 2)]
    desks = [make_desk() for _ in checks]

    with ThreadPoolExecutor(len(checks)) as pool:
        came = list(
            pool.map(
                lambda pair: with_retries(
                    lambda: link(pair[0], ticket["number"], pair[1], run=f"run {id(pair)}")
                ),
                zip(desks, checks, strict=True),
            )
        )

    assert all(each.failures == [] for each in came)
    assert len(heads(now_of(sandbox, ticket["sys_id"])["description"])) == 3
    lines = [line for note in sandbox.notes(ticket["sys_id"]) for line in note.splitlines()]
    assert sorted(line.split(", ")[1].split(" on ")[0] for line in lines) == ["check 0", "check 1", "check 2"]


def test_a_ticket_that_is_closed_before_the_link_arrives_is_refused_in_words(desk, sandbox):
    ticket = theirs(desk)
    sandbox.fail_next("accepted", method="PATCH", count=9)
    assert link(desk, ticket["number"], anomaly()).pending
    sandbox.reset_faults() if hasattr(sandbox, "reset_faults") else None
    done = {"state": "7", "close_code": "Solution provided", "close_notes": "done"}
    sandbox.act_as("admin", "incident", ticket["sys_id"], done)

    deliver_waiting(desk, SYNC)

    assert entries_of(desk, outbox.LINK) == [("dead", None)]
    assert sandbox.notes(ticket["sys_id"]) == []
    assert numbers_of(desk, anomaly()) == []


def test_a_link_that_the_instance_refuses_fails_for_good(desk, sandbox):
    ticket = theirs(desk)
    sandbox.configure(abort=("incident",))

    linked = link(desk, ticket["number"], anomaly())

    assert linked.pending == []
    assert "is dead: ServiceNow answered 403" in linked.failures[0]
    assert actions(linked) == ["unchanged"]
    assert numbers_of(desk, anomaly()) == []


class Dying(TableApi):
    """The Table API of a process that hears nothing any more after its first update."""

    dead = False

    def update(self, table, sys_id, values):
        super().update(table, sys_id, values)
        self.dead = True
        raise AnswerLostError("lost")

    def first_page(self, *given, **options):
        if self.dead:
            raise UnreachableError("dead")
        return super().first_page(*given, **options)

    def find(self, *given, **options):
        if self.dead:
            raise UnreachableError("dead")
        return super().find(*given, **options)


def test_what_was_under_way_at_the_unlinking_arrives_and_links_nothing(desk, sandbox):
    ticket = theirs(desk)
    died = link(
        dataclasses.replace(desk, table_api=Dying(desk.table_api.transport)), ticket["number"], anomaly()
    )
    assert died.pending
    assert entries_of(desk, outbox.LINK) == [("sending", None)]

    unlink(desk, anomaly())
    deliver_waiting(desk, SYNC)

    assert entries_of(desk, outbox.LINK) == [("done", "linked")]
    assert numbers_of(desk, anomaly()) == []
    assert len(sandbox.notes(ticket["sys_id"])) == 1

    assert actions(link(desk, ticket["number"], anomaly())) == ["linked"]
    assert numbers_of(desk, anomaly()) == [ticket["number"]]


def test_a_report_that_waited_at_a_linked_ticket_goes_home_after_the_unlinking(desk, sandbox):
    ticket = theirs(desk)
    link(desk, ticket["number"], anomaly())
    sandbox.fail_next("accepted", method="PATCH", count=9)
    assert report(desk, anomaly(hour=1), run="next").pending
    unlink(desk, anomaly())
    sandbox.reset_faults() if hasattr(sandbox, "reset_faults") else None

    deliver_waiting(desk, SYNC)
    deliver_waiting(desk, SYNC)

    assert len(sandbox.notes(ticket["sys_id"])) == 1
    (number,) = numbers_of(desk, anomaly())
    assert number != ticket["number"]


def test_a_refused_link_leaves_no_further_notes(desk, sandbox):
    ticket = theirs(desk, description="x" * 3990)
    checks = [f"check {number} " + "y" * 900 for number in range(5)]
    sandbox.configure(abort=("incident",))
    link(desk, ticket["number"], anomaly(failed_checks=checks))
    sandbox.configure(abort=())

    deliver_waiting(desk, SYNC)

    assert sandbox.notes(ticket["sys_id"]) == []
