"""The Attachment API: files at records, whole and byte by byte, and who may have them."""

from __future__ import annotations

import hashlib
import os

import pytest
from plain_client import READONLY, error_of

NOT_FOUND = "No Record found"


def attach(client, sys_id, content=b"row,count\n1,17\n", name="rows.csv", kind="text/csv", **more):
    params = {"table_name": "incident", "table_sys_id": sys_id, "file_name": name, **more}
    headers = {"Content-Type": kind} if kind else {}
    return client.send("POST", "/api/now/attachment/file", params=params, data=content, headers=headers)


@pytest.fixture
def incident(client):
    return client.create()["sys_id"]


def test_a_file_is_attached_and_told_of(client, incident):
    answer = attach(client, incident)
    assert answer.status_code == 201
    told = answer.json()["result"]
    assert answer.headers["Location"] == f"{client.url}/api/now/attachment/{told['sys_id']}"
    expected = {
        "table_name": "incident",
        "table_sys_id": incident,
        "file_name": "rows.csv",
        "content_type": "text/csv",
        "size_bytes": "15",
        "hash": hashlib.sha256(b"row,count\n1,17\n").hexdigest(),
        "compressed": "true",
        "sys_created_by": "svc_airflow",
        "created_by_name": "Airflow Service",
        "download_link": f"{client.url}/api/now/attachment/{told['sys_id']}/file",
    }
    assert {name: told[name] for name in expected} == expected
    assert all(isinstance(value, str) for value in told.values())
    assert client.send("GET", f"/api/now/attachment/{told['sys_id']}").json()["result"] == told
    assert client.read(incident)["sys_mod_count"] == "0"


def test_every_byte_comes_back(client, incident):
    content = os.urandom(1_500_000) + b"\r\n--\r\n\x00"
    told = attach(client, incident, content, "bild ä.bin", "application/x-own").json()["result"]
    answer = client.send("GET", f"/api/now/attachment/{told['sys_id']}/file")
    assert answer.content == content
    assert answer.headers["Content-Type"] == "application/x-own"
    assert "bild%20%C3%A4.bin" in answer.headers["Content-Disposition"]


def test_a_form_may_bring_the_file_as_its_last_part(client, incident):
    fields = {"table_name": "incident", "table_sys_id": incident}
    content = b"\r\n\x00--x\r\n\r\n"
    files = {"uploadFile": ("raw.bin", content, "application/octet-stream")}
    answer = client.send("POST", "/api/now/attachment/upload", data=fields, files=files)
    assert answer.status_code == 201
    told = answer.json()["result"]
    assert (told["file_name"], told["content_type"]) == ("raw.bin", "application/octet-stream")
    assert client.send("GET", f"/api/now/attachment/{told['sys_id']}/file").content == content


def test_what_comes_after_the_file_in_a_form_does_not_count(client, incident):
    parts = [
        ("uploadFile", ("a.txt", b"x", "text/plain")),
        ("table_name", (None, "incident")),
        ("table_sys_id", (None, incident)),
    ]
    answer = client.send("POST", "/api/now/attachment/upload", files=parts)
    assert (answer.status_code, error_of(answer)["detail"]) == (400, "table_name, table_sys_id")


@pytest.mark.parametrize("options", [{"data": b"no form"}, {"files": {"table_name": (None, "incident")}}])
def test_a_form_without_a_file_is_400(client, options):
    assert client.send("POST", "/api/now/attachment/upload", **options).status_code == 400


@pytest.mark.parametrize("missing", ["table_name", "table_sys_id", "file_name"])
def test_a_missing_parameter_is_named(client, incident, missing):
    answer = attach(client, incident, **{missing: ""})
    assert (answer.status_code, error_of(answer)["detail"]) == (400, missing)


def test_the_content_type_is_mandatory(client, incident):
    assert attach(client, incident, kind="").status_code == 415


def test_a_record_that_is_not_there_or_not_seen_is_404(sandbox, client, incident):
    assert error_of(attach(client, "0" * 32))["message"] == NOT_FOUND
    sandbox.configure(hidden=["incident"])
    assert error_of(attach(client, incident))["message"] == NOT_FOUND
    assert error_of(attach(client, incident, table_name="x_foo"))["message"] == "Invalid table x_foo"


def test_only_who_may_change_a_record_attaches_to_it(client, admin, incident):
    reader = client.as_user(READONLY)
    assert attach(reader, incident).status_code == 403
    told = attach(admin, incident).json()["result"]
    assert reader.send("GET", f"/api/now/attachment/{told['sys_id']}/file").status_code == 200
    assert reader.send("DELETE", f"/api/now/attachment/{told['sys_id']}").status_code == 403
    assert client.send("DELETE", f"/api/now/attachment/{told['sys_id']}").status_code == 204
    assert client.send("GET", f"/api/now/attachment/{told['sys_id']}").status_code == 404
    assert admin.find("", "sys_attachment_doc") == []


def test_files_are_found_by_query_and_only_at_records_that_are_seen(sandbox, client, incident):
    other = client.create(short_description="secret")["sys_id"]
    attach(client, incident, name="b.csv")
    attach(client, incident, name="a.csv")
    attach(client, other, name="c.csv")

    def names(**params):
        answer = client.send("GET", "/api/now/attachment", params=params)
        assert answer.status_code == 200
        return [told["file_name"] for told in answer.json()["result"]]

    assert names(sysparm_query="ORDERBYfile_name") == ["a.csv", "b.csv", "c.csv"]
    assert names(sysparm_query="ORDERBYfile_name", sysparm_offset="1", sysparm_limit="1") == ["b.csv"]
    digest = hashlib.sha256(b"row,count\n1,17\n").hexdigest()
    assert len(names(sysparm_query=f"table_name=incident^table_sys_id={incident}^hash={digest}")) == 2
    sandbox.configure(hidden=["incident when short_description=secret"])
    assert sorted(names()) == ["a.csv", "b.csv"]


def test_the_same_file_twice_is_two_attachments(client, incident):
    first, second = (attach(client, incident).json()["result"] for _ in range(2))
    assert first["sys_id"] != second["sys_id"]
    assert first["hash"] == second["hash"]


@pytest.mark.parametrize("status", [400, 413])
def test_size_and_kind_of_files_can_be_limited(sandbox, client, incident, status):
    sandbox.configure(
        attachment_max_bytes=10, attachment_extension=["txt", ".CSV"], attachment_refusal_status=status
    )
    too_large = attach(client, incident)
    assert too_large.status_code == status
    assert error_of(too_large)["detail"] == "File size of 15 bytes exceeds the limit of 10 bytes"
    assert attach(client, incident, b"x", "rows.csv").status_code == 201
    for name in ("rows.exe", "rows", ".csv"):
        refused = attach(client, incident, b"x", name)
        assert refused.status_code == status
        assert "File type is not allowed" in error_of(refused)["detail"]


def test_methods_and_addresses_that_it_lacks_are_refused(client, incident):
    sys_id = attach(client, incident).json()["result"]["sys_id"]
    for method, rest in (("PUT", ""), ("PUT", f"/{sys_id}"), ("POST", f"/{sys_id}/file"), ("DELETE", "")):
        answer = client.send(method, f"/api/now/attachment{rest}", data=b"x")
        assert answer.status_code == 405, rest
    assert client.send("GET", "/api/now/attachment/a/b/c").status_code == 400
