"""Choices of customised tables and in other languages, and every way to name a record."""

from __future__ import annotations

import pytest

from airflow_provider_servicenow_dq import exceptions
from airflow_provider_servicenow_dq.client.choices import get_choices
from airflow_provider_servicenow_dq.client.config import InstanceConfig
from airflow_provider_servicenow_dq.client.names import Names
from airflow_provider_servicenow_dq.client.table import TableApi
from airflow_provider_servicenow_dq.client.transport import Transport
from airflow_provider_servicenow_dq.sandbox.server import Sandbox

BETH = "46d44a23a9fe19810012d100cca80666"


@pytest.fixture(scope="module")
def customised():
    with Sandbox(
        table=("u_dq_ticket extends incident", "u_child extends u_dq_ticket"),
        choice=("u_dq_ticket.category=quality:Data quality|other:Other",),
    ) as sandbox:
        yield sandbox


@pytest.fixture
def admin(customised):
    with Transport(InstanceConfig(customised.url, login="admin", password="admin")) as talk:
        yield TableApi(talk)
    customised.configure(hidden=())
    customised.reset()


def values(table_api, table, field, *rest, **options):
    return [choice.value for choice in get_choices(table_api, table, field, *rest, **options)]


def labels(table_api, table, field, *rest, **options):
    return [choice.label for choice in get_choices(table_api, table, field, *rest, **options)]


def test_the_nearest_table_that_has_choices_gives_them_all(admin):
    assert (
        values(admin, "u_child", "category")
        == values(admin, "u_dq_ticket", "category")
        == ["quality", "other"]
    )
    assert labels(admin, "u_child", "state")[0] == "New"  # of incident, not of task
    assert values(admin, "u_child", "impact") == ["1", "2", "3"]  # of task
    assert "database" in values(admin, "incident", "category")


def test_without_the_tables_lineage_its_own_and_those_of_task_are_left(customised, admin):
    config = InstanceConfig(customised.url, login="svc_airflow", password="airflow-secret")
    customised.configure(hidden=("sys_db_object",))
    with Transport(config) as talk:
        assert values(TableApi(talk), "u_dq_ticket", "category") == ["quality", "other"]
        assert values(TableApi(talk), "u_dq_ticket", "impact") == ["1", "2", "3"]


def choice(admin, value, label, language="en", **more):
    row = {"name": "incident", "element": "notify", "value": value, "label": label, "language": language}
    admin.create("sys_choice", {**row, "sequence": "9", **more})


def test_labels_come_in_the_language_asked_for_else_in_english_else_in_what_there_is(admin):
    choice(admin, "2", "E-Mail senden", "de")
    choice(admin, "2", "Envoyer", "fr")
    choice(admin, "9", "Nur deutsch", "de")
    english = ["Do Not Notify", "Send Email", "Phone", "Nur deutsch"]
    assert sorted(labels(admin, "incident", "notify")) == sorted(english)
    german = labels(admin, "incident", "notify", language="de")
    assert sorted(german) == ["Do Not Notify", "E-Mail senden", "Nur deutsch", "Phone"]
    assert sorted(labels(admin, "incident", "notify", language="xx")) == sorted(english)


def test_a_choice_that_is_switched_off_is_none(admin):
    choice(admin, "8", "Gone", inactive="true")
    assert "8" not in values(admin, "incident", "notify")


def test_the_same_value_may_depend_on_several(admin):
    assert values(admin, "incident", "subcategory", "inquiry").count("email") == 1
    assert values(admin, "incident", "subcategory", "software").count("email") == 1
    assert values(admin, "incident", "subcategory").count("email") == 2
    assert values(admin, "incident", "subcategory", "no such category") == []


@pytest.mark.parametrize(
    "text", ["beth.anglin", "beth.anglin@example.com", "BETH.ANGLIN@EXAMPLE.COM", "E4711", BETH, BETH.upper()]
)
def test_a_user_goes_by_name_mail_number_and_sys_id(admin, text):
    admin.update("sys_user", BETH, {"employee_number": "E4711"})
    assert Names(admin).user(text) == BETH


def test_a_group_goes_by_name_and_mail(admin):
    names = Names(admin)
    found = names.group("Data Quality")
    admin.update("sys_user_group", found, {"email": "dq@example.com"})
    assert found == names.group("dq@example.com") == names.group("data quality")


def test_a_user_name_goes_before_the_same_text_elsewhere(admin):
    made = admin.create("sys_user", {"user_name": "other", "name": "beth.anglin", "active": "true"})
    assert Names(admin).user("beth.anglin") == BETH
    assert Names(admin).user("other") == made["sys_id"]


def test_two_of_a_mail_are_an_error(admin):
    for name in ("one", "two"):
        admin.create("sys_user", {"user_name": name, "email": "both@example.com", "active": "true"})
    with pytest.raises(exceptions.AmbiguousNameError):
        Names(admin).user("both@example.com")


def test_services_and_items_go_by_name_and_records_by_number(admin):
    names = Names(admin)
    (service,) = admin.find("cmdb_ci_service", {"name": "Data Warehouse"})
    (server,) = admin.find("cmdb_ci", {"name": "dw-prod-01"})
    ticket = admin.create("u_dq_ticket", {"short_description": "x"})
    assert names.record("cmdb_ci_service", "data warehouse") == service["sys_id"]
    assert names.record("cmdb_ci", "dw-prod-01") == server["sys_id"]
    assert names.record("task", ticket["number"]) == ticket["sys_id"]
