"""Encoded queries and name=value filters, on a handful of incidents."""

from __future__ import annotations

import string
from datetime import UTC, datetime

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from airflow_provider_servicenow_dq.sandbox.instance import Instance
from airflow_provider_servicenow_dq.sandbox.query import split_terms
from airflow_provider_servicenow_dq.sandbox.switches import Switches

BETH = "46d44a23a9fe19810012d100cca80666"
DATABASE = "287ee6fea9fe198100ada7950d0b1b73"


def make_instance(**switches):
    """An instance with four incidents, one, two, three and four, and a problem."""
    instance = Instance(Switches().changed(**switches))
    admin = instance.account("admin")

    def days_ago(days):
        # Noon is far from every midnight that a relative date can mean.
        return f"2026-03-{20 - days:02d} 12:00:00"

    instance.now = lambda: datetime(2026, 3, 20, 12, 30, tzinfo=UTC)
    problem = instance.insert(admin, "problem", {"short_description": "root"})["sys_id"]
    for values in (
        {
            "short_description": "one",
            "impact": "1",
            "urgency": "1",
            "caller_id": BETH,
            "category": "database",
        },
        {"short_description": "two", "impact": "2", "assignment_group": DATABASE, "problem_id": problem},
        {"short_description": "three", "correlation_id": "ABC", "description": "with Words inside"},
        {"short_description": "four", "state": "2", "order": "10", "problem_id": problem},
    ):
        number = ("one", "two", "three", "four").index(values["short_description"])
        instance.insert(admin, "incident", {**values, "sys_created_on": days_ago(number)})
    return instance


def found(instance, query, table="incident"):
    account = instance.account("admin")
    return " ".join(sorted(row["short_description"] for row in instance.select(account, table, query)))


_INSTANCE = make_instance()


@pytest.fixture
def instance():
    return _INSTANCE


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", "four one three two"),
        ("short_description=one", "one"),
        ("short_description=ONE", "one"),
        ("short_description!=one", "four three two"),
        ("correlation_id!=abc", "four one two"),
        ("impact=2", "two"),
        ("impact=02", "two"),
        ("impact<3", "one two"),
        ("impact>=2", "four three two"),
        ("impact>1^impact<3", "two"),
        ("impactBETWEEN1@2", "one two"),
        ("order<9", ""),
        ("order=10", "four"),
        ("short_descriptionSTARTSWITHt", "three two"),
        ("short_descriptionENDSWITHe", "one three"),
        ("short_description%e", "one three"),
        ("short_descriptionLIKEO", "four one two"),
        ("short_description*wo", "two"),
        ("short_descriptionCONTAINSwo", "two"),
        ("short_descriptionNOT LIKEo", "three"),
        ("short_descriptionNOTLIKEo", "three"),
        ("short_description!*o", "three"),
        ("short_descriptionINone,TWO", "one two"),
        ("short_descriptionNOT INone,two", "four three"),
        ("short_description>=three", "three two"),
        ("caller_idISEMPTY", "four three two"),
        ("caller_id=", "four three two"),
        ("caller_id=NULL", "four three two"),
        ("caller_idEMPTYSTRING", "four three two"),
        ("caller_idISNOTEMPTY", "one"),
        ("caller_idANYTHING", "four one three two"),
        (f"caller_id={BETH}", "one"),
        ("caller_idSTARTSWITHbeth", "one"),
        ("caller_idLIKEanglin", "one"),
        ("caller_id.email=beth.anglin@example.com", "one"),
        ("assignment_group.nameLIKEbase", "two"),
        ("problem_id.short_description=root", "four two"),
        ("impact=1^ORimpact=2^category=database", "one"),
        ("impact=1^category=network^ORcategory=database", "one"),
        ("impact=1^NQimpact=2", "one two"),
        ("impact=1^caller_idISEMPTY^NQstate=2", "four"),
        ("impact=1^EQ", "one"),
        ("stateSAMEASimpact", "one"),
        ("impactSAMEASurgency", "four one three"),
        ("impactNSAMEASurgency", "two"),
        ("urgencyGT_FIELDimpact", "two"),
        ("impactLT_FIELDurgency", "two"),
        ("urgencyGT_OR_EQUALS_FIELDimpact", "four one three two"),
        ("impactLT_OR_EQUALS_FIELDurgency^state=2", "four"),
        ("sys_class_nameINSTANCEOFtask", "four one three two"),
        ("sys_class_nameINSTANCEOFproblem", ""),
        ("sys_created_on>2026-03-18 12:00:00", "one two"),
        ("sys_created_on>=2026-03-19", "one two"),
        ("sys_created_onONToday@javascript:gs.beginningOfToday()@javascript:gs.endOfToday()", "one"),
        (
            "sys_created_onNOTONToday@javascript:gs.beginningOfToday()@javascript:gs.endOfToday()",
            "four three two",
        ),
        ("sys_created_on<javascript:gs.daysAgoStart(0)", "four three two"),
        ("sys_created_onBETWEENjavascript:gs.daysAgoStart(2)@javascript:gs.daysAgoEnd(1)", "three two"),
        ("sys_created_on>=javascript:gs.dateGenerate('2026-03-19','00:00:00')", "one two"),
        ("sys_created_on>javascript:gs.hoursAgo(25)", "one two"),
        ("sys_created_on>javascript:gs.monthsAgoStart(1)", "four one three two"),
        ("sys_created_on>=javascript:gs.beginningOfThisWeek()", "four one three two"),
        ("sys_created_onRELATIVEGT@hour@ago@1", "one"),
        ("sys_created_onRELATIVELT@day@ago@2", "four three"),
        ("sys_created_onRELATIVEGE@day@ago@2", "one two"),
        ("sys_created_onRELATIVELE@day@ago@3", "four"),
        ("sys_created_onRELATIVEEE@day@ago@1", "two"),
        ("sys_created_onMORETHANsys_updated_on@day@before@2", "four three"),
        ("sys_created_onLESSTHANsys_updated_on@day@before@2", "one two"),
        ("sys_updated_onMORETHANsys_created_on@hour@after@72", "four"),
        ("sys_updated_onLESSTHANsys_created_on@day@before@9", ""),
        ("sys_created_onDATEPARTFriday@javascript:gs.datePart('dayofweek','friday','EE')", "one"),
        ("sys_created_onDATEPARTnoon@javascript:gs.datePart('hour','11','GT')", "four one three two"),
        ("caller_idDYNAMIC90d1921e5f510100a9ad2572f2b477fe", ""),
        ("opened_byDYNAMIC90d1921e5f510100a9ad2572f2b477fe", "four one three two"),
        ("opened_by=javascript:gs.getUserID()", "four one three two"),
        ("opened_by.user_name=javascript:gs.getUserName()", "four one three two"),
        (f"assignment_groupIN_HIERARCHY{DATABASE}", "two"),
        ("123TEXTQUERY321=inside words", "three"),
        ("JOINincident.caller_id=sys_user.sys_id!user_name=beth.anglin", "one"),
        ("numberININC0010001,INC0010003", "one three"),
    ],
)
def test_an_operator_finds_what_it_says(instance, query, names):
    assert found(instance, query) == names


def test_a_related_list_query_counts_what_points_at_a_record(instance):
    assert found(instance, "RLQUERYincident.problem_id,>=2^ENDRLQUERY", "problem") == "root"
    assert found(instance, "RLQUERYincident.problem_id,>=2^impact=2^ENDRLQUERY", "problem") == ""
    assert found(
        instance, "short_description=root^RLQUERYincident.problem_id,=1^impact=2^ENDRLQUERY", "problem"
    )


def test_instance_of_sees_descendants(instance):
    assert found(instance, "sys_class_nameINSTANCEOFincident", "task") == "four one three two"
    assert found(instance, "sys_class_name=problem", "task") == "root"


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("ORDERBYshort_description", "four one three two"),
        ("ORDERBYDESCshort_description", "two three one four"),
        ("ORDERBYimpact^ORDERBYDESCshort_description", "one two three four"),
        ("ORDERBYDESCorder^ORDERBYsys_created_on", "four three two one"),
        ("ORDERBYassignment_group^ORDERBYsys_created_on", "four three one two"),
        ("GROUPBYimpact^ORDERBYshort_description", "one two four three"),
        ("impact>1^ORDERBYnumber", "two three four"),
        ("ORDERBYbogus^ORDERBYnumber", "one two three four"),
    ],
)
def test_rows_come_in_the_order_asked_for(instance, query, names):
    rows = instance.select(instance.account("admin"), "incident", query)
    assert " ".join(row["short_description"] for row in rows) == names


@pytest.mark.parametrize(
    ("query", "lenient"),
    [
        ("bogus=1", "four one three two"),
        ("bogus=1^impact=1", "one"),
        ("impact=1^NQbogus=1", "four one three two"),
        ("impact=1^ORbogus=1", "one"),
        ("caller_id.bogus=1", "four one three two"),
        ("short_description.name=1", "four one three two"),
        ("Impact=1", "four one three two"),
        ("impact is 1", "four one three two"),
        ("impact=one", "four one three two"),
        ("sys_created_on>javascript:gs.nothing()", "four one three two"),
        ("impactBETWEEN1", "four one three two"),
        ("sys_created_onRELATIVEGT@fortnight@ago@1", "four one three two"),
        ("stateVALCHANGES", "four one three two"),
        ("RLQUERYbogus^ENDRLQUERY", "four one three two"),
    ],
)
def test_an_invalid_part_is_ignored_unless_the_property_says_that_it_matches_nothing(query, lenient):
    assert found(make_instance(), query) == lenient
    assert found(make_instance(invalid_query_returns_no_rows=True), query) == ""


def test_case_counts_in_equality_where_the_switch_says_so():
    instance = make_instance(case_sensitive_equality=True)
    assert found(instance, "short_description=ONE") == ""
    assert found(instance, "short_descriptionINONE,two") == "two"
    assert found(instance, "correlation_id!=abc") == "four one three two"


def test_a_date_without_a_time_is_its_midnight():
    instance = make_instance()
    midnight = {"short_description": "midnight", "sys_created_on": "2026-03-19 00:00:00"}
    instance.insert(instance.account("admin"), "incident", midnight)
    assert found(instance, "sys_created_on=2026-03-19") == "midnight"
    assert found(instance, "sys_created_on>2026-03-19") == "one two"


def test_days_begin_at_the_users_midnight():
    today = "sys_created_onONToday@javascript:gs.beginningOfToday()@javascript:gs.endOfToday()"
    instance = make_instance(time_zone="Asia/Tokyo")
    instance.insert(
        instance.account("admin"),
        "incident",
        {"short_description": "late", "sys_created_on": "2026-03-19 15:30:00"},
    )
    assert found(instance, today) == "late one"


@given(st.text(max_size=40), st.text(max_size=40))
@example("^", "^^")
@example("a^", "^b")
@example("a^NQb=1", "^ORc")
@settings(max_examples=200, deadline=None)
def test_a_doubled_caret_is_a_literal_one_in_any_text(first, second):
    terms = [f"a={first}", f"b={second}"]
    query = "^".join(term.replace("^", "^^") for term in terms)
    assert split_terms(query) == terms


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=30))
@settings(max_examples=100, deadline=None)
def test_escaped_text_finds_its_record_and_only_records_with_that_text(text):
    instance = Instance(Switches(case_sensitive_equality=True))
    account = instance.account("admin")
    instance.insert(account, "incident", {"description": text})
    instance.insert(account, "incident", {"description": f"{text}."})
    if text == "NULL" or text.startswith("javascript:"):
        return
    rows = instance.select(account, "incident", "description=" + text.replace("^", "^^"))
    assert [row["description"] for row in rows] == [text]


@given(st.text(string.ascii_letters + "^=@,.<>!*% 01", max_size=60))
@settings(max_examples=300, deadline=None)
def test_no_text_at_all_makes_a_query_fail(text):
    rows = _INSTANCE.select(_INSTANCE.account("admin"), "incident", text)
    assert len(rows) <= 4


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ("state=in progress", ["four"]),
        ("state=2", ["four"]),
        ("state=New&impact=1", ["one"]),
        ("caller_id=beth.anglin", ["one"]),
        ("caller_id=Beth Anglin", ["one"]),
        ("assignment_group=Database", ["two"]),
        ("short_description=one&sysparm_limt=1", ["one"]),
        ("sysparam_query=short_description=one", ["four", "one", "three", "two"]),
        ("short_description=one&sysparm_query=short_description=two", ["two"]),
    ],
)
def test_name_value_pairs_filter_by_value_or_display_value(sandbox, client, filters, names):
    client.create(short_description="one", impact="1", caller_id=BETH)
    client.create(short_description="two", assignment_group=DATABASE)
    client.create(short_description="three")
    client.create(short_description="four", state="2")
    rows = client.table("GET", f"incident?{filters}").json()["result"]
    assert sorted(row["short_description"] for row in rows) == names
