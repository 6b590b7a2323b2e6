"""A file is attached once, whatever happens on the way, and what the instance does not take is said."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_servicenow_dq import exceptions
from airflow_provider_servicenow_dq.client.attachments import attach_file
from airflow_provider_servicenow_dq.client.query import Query

UPLOAD = "attachment/file"


@pytest.fixture
def incident(itil):
    return itil.create("incident", {"short_description": "with files"})["sys_id"]


def attached(sandbox, incident):
    rows = sandbox.records("sys_attachment")
    return [(row["file_name"], row["hash"]) for row in rows if row["table_sys_id"] == incident]


def uploads(sandbox):
    return [asked for asked in sandbox.requests if asked.method == "POST"]


def test_a_file_is_attached_and_told_of(sandbox, itil, incident):
    content = b"\x00\xff rows that failed\r\n" * 100
    kept = attach_file(itil, "incident", incident, "rows.csv", content)
    assert kept["file_name"] == "rows.csv"
    assert kept["content_type"] == "text/csv"
    assert kept["size_bytes"] == str(len(content))
    assert kept["hash"] == hashlib.sha256(content).hexdigest()
    answer = itil.transport.session.get(f"/api/now/attachment/{kept['sys_id']}/file")
    assert answer.content == content


def test_the_same_file_is_attached_once(sandbox, itil, incident):
    first = attach_file(itil, "incident", incident, "a.txt", "größer")
    again = attach_file(itil, "incident", incident, "a.txt", "größer".encode())
    assert again["sys_id"] == first["sys_id"]
    assert attached(sandbox, incident) == [("a.txt", hashlib.sha256("größer".encode()).hexdigest())]


def test_another_content_another_name_and_another_record_are_other_files(sandbox, itil, incident):
    other = itil.create("incident", {"short_description": "other"})["sys_id"]
    for sys_id, name, content in [
        (incident, "a.txt", "one"),
        (incident, "a.txt", "two"),
        (incident, "b.txt", "one"),
        (other, "a.txt", "one"),
    ]:
        attach_file(itil, "incident", sys_id, name, content)
    assert [name for name, _ in attached(sandbox, incident)] == ["a.txt", "a.txt", "b.txt"]
    assert len(attached(sandbox, other)) == 1


@pytest.mark.parametrize("kind", ["drop_after", "error_after", "cancelled", "forbidden_but_done", "login"])
def test_after_a_lost_answer_the_file_is_looked_for_first(sandbox, itil, incident, kind):
    if kind == "login":
        sandbox.fail_next("drop_after", method="POST", path=UPLOAD)
        sandbox.fail_next("delay", method="GET", path="sys_attachment", skip=1, seconds=0.01)
    else:
        sandbox.fail_next(kind, method="POST", path=UPLOAD)
    kept = attach_file(itil, "incident", incident, "a.txt", "one")
    assert [kept["file_name"]] == [name for name, _ in attached(sandbox, incident)]
    assert len(uploads(sandbox)) == 2  # the incident, and the file once


def test_a_file_that_did_not_arrive_is_an_error_and_the_next_try_attaches_it(sandbox, itil, incident):
    sandbox.fail_next("drop_before", method="POST", path=UPLOAD)
    with pytest.raises(exceptions.AnswerLostError):
        attach_file(itil, "incident", incident, "a.txt", "one")
    assert attached(sandbox, incident) == []
    attach_file(itil, "incident", incident, "a.txt", "one")
    assert len(attached(sandbox, incident)) == 1


def test_where_nobody_can_look_the_first_error_stands(sandbox, itil, incident):
    sandbox.fail_next("drop_after", method="POST", path=UPLOAD)
    sandbox.fail_next("unauthorized", method="GET", path="sys_attachment", skip=1)
    with pytest.raises(exceptions.AnswerLostError):
        attach_file(itil, "incident", incident, "a.txt", "one")


def test_a_refused_file_is_refused_in_the_instances_words(sandbox, itil, incident):
    sandbox.configure(attachment_max_bytes=10, attachment_extension=("csv",))
    with pytest.raises(exceptions.RefusedError, match="File size of 11 bytes exceeds the limit of 10"):
        attach_file(itil, "incident", incident, "a.csv", b"x" * 11)
    with pytest.raises(exceptions.RefusedError, match="File type is not allowed"):
        attach_file(itil, "incident", incident, "a.exe", b"x")
    sandbox.configure(attachment_refusal_status=403)
    with pytest.raises(exceptions.ForbiddenError, match="File type is not allowed"):
        attach_file(itil, "incident", incident, "a.exe", b"x")
    with pytest.raises(exceptions.RecordNotFoundError):
        attach_file(itil, "incident", "0" * 32, "a.csv", b"x")
    assert attached(sandbox, incident) == []


@pytest.mark.parametrize("content", [b"one", b"two"])
def test_without_a_hash_the_files_themselves_are_compared(sandbox, itil, incident, content):
    attach_file(itil, "incident", incident, "a.txt", b"one")
    sandbox.configure(unreadable=["sys_attachment.hash"])
    attach_file(itil, "incident", incident, "a.txt", content)
    assert len(attached(sandbox, incident)) == (1 if content == b"one" else 2)
    attach_file(itil, "incident", incident, "a.txt", b"longer")
    assert len(attached(sandbox, incident)) == (2 if content == b"one" else 3)


def test_a_file_of_megabytes_arrives_whole(sandbox, itil, incident):
    content = bytes(range(256)) * 20_000
    kept = attach_file(itil, "incident", incident, "large.bin", content)
    assert (kept["size_bytes"], kept["content_type"]) == ("5120000", "application/octet-stream")
    assert kept["hash"] == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("name", ["", " ", " a.txt", "a/b.txt", "a\\b.txt", "a\n.txt", "x" * 101, "\ud800"])
def test_what_is_no_file_name_is_refused_before_anything_is_asked(sandbox, itil, name):
    sandbox.clear_requests()
    with pytest.raises(exceptions.ServiceNowConfigError, match="no file name"):
        attach_file(itil, "incident", "0" * 32, name, b"x")
    for table, sys_id in [("incident", "1"), ("incident^x", "0" * 32)]:
        with pytest.raises(exceptions.ServiceNowConfigError):
            attach_file(itil, table, sys_id, "a.txt", b"x")
    assert sandbox.requests == []


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(min_size=1, max_size=20), st.binary(max_size=20))
def test_any_name_that_is_taken_is_known_again(sandbox, itil, name, content):
    made = itil.create("incident", {"short_description": "x"})["sys_id"]
    try:
        first = attach_file(itil, "incident", made, name, content)
    except exceptions.ServiceNowConfigError:
        return
    assert first["file_name"] == name
    assert attach_file(itil, "incident", made, name, content)["sys_id"] == first["sys_id"]
    assert len(list(itil.find("sys_attachment", Query.equals({"table_sys_id": made})))) == 1
