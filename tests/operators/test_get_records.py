"""Reading records into a DAG, or into a file."""

from __future__ import annotations

import json
import sys

import pytest

from airflow_provider_servicenow_dq.client.query import Query
from airflow_provider_servicenow_dq.exceptions import RefusedError
from airflow_provider_servicenow_dq.hooks.servicenow import ServiceNowHook
from airflow_provider_servicenow_dq.operators.servicenow import ServiceNowGetRecordsOperator


def get(query, **parameters):
    return ServiceNowGetRecordsOperator(task_id="get", table="incident", query=query, **parameters).execute(
        {}
    )


@pytest.fixture
def titles(sandbox, open_tickets):
    """Three incidents, one with a name that would change a glued query."""
    names = ["one", "two^ORactive=true", "\N{SNOWMAN} three"]
    open_tickets(
        [{"dataset": "d", "check_name": name} for name in names],
        short_description="{check_name}",
        contact_type="email",
        max_new_tickets=3,
    )
    sandbox.clear_requests()
    return names


def test_records_are_returned_as_plain_json(titles):
    records = get({"contact_type": "email"}, fields=["short_description", "sys_id"])

    assert sorted(record["short_description"] for record in records) == sorted(titles)
    assert {tuple(sorted(record)) for record in records} == {("short_description", "sys_id")}
    assert json.loads(json.dumps(records)) == records


def test_a_condition_is_a_value_whatever_it_holds(titles):
    (record,) = get({"short_description": titles[1]})

    assert record["short_description"] == titles[1]


def test_an_encoded_query_is_taken_when_it_says_that_it_is_one(titles):
    assert len(get(Query.raw("contact_type=email^short_descriptionSTARTSWITHt"))) == 1


def test_nothing_found_is_an_empty_list(titles):
    assert get({"short_description": "no such title"}) == []


def test_records_go_to_a_file_as_json_lines(titles, tmp_path):
    path = f"file://{tmp_path / 'deep' / 'incidents.jsonl'}"

    answer = get({"contact_type": "email"}, fields=["short_description"], output_path=path)

    assert answer == {"path": path, "count": 3}
    lines = (tmp_path / "deep" / "incidents.jsonl").read_text(encoding="utf-8").splitlines()
    assert sorted(json.loads(line)["short_description"] for line in lines) == sorted(titles)
    assert any("\N{SNOWMAN}" in line for line in lines)


def test_a_list_that_breaks_off_is_an_error_and_leaves_no_half_file(titles, sandbox, tmp_path):
    sandbox.fail_next("cancelled", method="GET", count=50)

    with pytest.raises(Exception, match="maximum execution time"):
        get({"contact_type": "email"}, output_path=f"file://{tmp_path / 'incidents.jsonl'}")

    assert not (tmp_path / "incidents.jsonl").exists()


def test_templates_reach_table_query_and_path(sandbox, titles, tmp_path):
    operator = ServiceNowGetRecordsOperator(
        task_id="get",
        table="{{ table }}",
        query={"short_description": "{{ title }}"},
        output_path="file://{{ folder }}/out.jsonl",
    )
    operator.render_template_fields({"table": "incident", "title": "one", "folder": str(tmp_path)})

    assert operator.execute({})["count"] == 1


def test_a_table_that_is_not_there_is_an_error_in_the_instances_words(sandbox):
    with pytest.raises(RefusedError, match="Invalid table"):
        ServiceNowGetRecordsOperator(task_id="get", table="u_no_such", query={}).execute({})


def test_a_long_list_goes_to_its_file_record_by_record(tmp_path, monkeypatch):
    """Only what the operator itself keeps is measured: the records are made as they are asked for."""
    count, most = 100_000, 0
    before = sys.getallocatedblocks()

    def records(*_, **__):
        nonlocal most
        for number in range(count):
            if number % 10_000 == 0:
                most = max(most, sys.getallocatedblocks() - before)
            yield {"sys_id": f"{number:032x}"}

    monkeypatch.setattr(ServiceNowHook, "find_records", records)
    path = tmp_path / "cis.jsonl"

    assert get({}, output_path=f"file://{path}")["count"] == count
    assert most < 20_000
    with path.open(encoding="utf-8") as lines:
        assert sum(1 for _ in lines) == count
