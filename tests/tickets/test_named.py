"""A ticket is known by whatever a person has copied: a number, a sys_id or an address."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_servicenow_dq.exceptions import ServiceNowConfigError
from airflow_provider_servicenow_dq.tickets.named import Named, read_name
from airflow_provider_servicenow_dq.tickets.ticket import record_url

HOST = "acme.service-now.com"
SYS_ID = "7a62213283aef210f9e89780deaad366"
OTHER_ID = "0" * 32
FORM = f"incident.do?sys_id={SYS_ID}"
INCIDENT = Named(sys_id=SYS_ID, table="incident")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("INC0010006", Named(number="INC0010006")),
        ("  inc0010006 \n", Named(number="INC0010006")),
        ("SIR0000017", Named(number="SIR0000017")),
        ("X_ACME-DQ00123", Named(number="X_ACME-DQ00123")),
        (SYS_ID, Named(sys_id=SYS_ID)),
        (SYS_ID.upper(), Named(sys_id=SYS_ID)),
    ],
)
def test_a_number_and_a_sys_id_tell_no_table(text, named):
    assert read_name(text, host=HOST) == named


@pytest.mark.parametrize(
    "address",
    [
        record_url(f"https://{HOST}", "incident", SYS_ID),
        f"https://{HOST}/nav_to.do?uri={quote(FORM, safe='')}",
        f"https://{HOST}/nav_to.do?uri=%2F{quote(FORM + '&sysparm_view=ess', safe='')}",
        f"https://{HOST}/nav_to.do?uri={quote(FORM, safe='')}&sysparm_clear_stack=true",
        f"https://{HOST}/now/nav/ui/classic/params/target/{quote(FORM, safe='')}",
        f"https://{HOST}/now/nav/ui/classic/params/target/{quote(FORM + '&sysparm_stack=', safe='')}",
        # As an address within an address: encoded twice.
        f"https://{HOST}/nav_to.do?uri={quote(quote(FORM, safe=''), safe='')}",
        f"https://{HOST}/{FORM}",
        f"https://{HOST}/incident.do?sysparm_stack=incident_list.do&sys_id={SYS_ID}&sysparm_record={OTHER_ID}",
        f"https://{HOST}/now/sow/record/incident/{SYS_ID}",
        f"https://{HOST}/now/sow/record/incident/{SYS_ID}/params/selected-tab-index/1",
        f"https://{HOST}/now/workspace/agent/record/incident/{SYS_ID}",
        f"https://{HOST}/api/now/table/incident/{SYS_ID}?sysparm_display_value=true",
        f"https://{HOST}/api/now/v2/table/incident/{SYS_ID}",
        f"https://{HOST}/sp?id=ticket&table=incident&sys_id={SYS_ID}",
        f"https://{HOST}/esc?sys_id={SYS_ID}&view=sp&id=ticket&table=incident",
        f"https://{HOST}/$m.do#/form/incident/{SYS_ID}",
        f"https://ACME.Service-Now.com:443/{FORM}",
        f"http://{HOST}/{FORM}",
        f"{HOST}/{FORM}",
        f"/{FORM}",
        FORM,
        f"<https://{HOST}/{FORM}>",
    ],
)
def test_an_address_tells_the_table_and_the_record(address):
    assert read_name(address, host=HOST) == INCIDENT


@pytest.mark.parametrize(
    "address",
    [
        f"https://{HOST}/incident.do?sysparm_query=number=INC0010006",
        f"https://{HOST}/nav_to.do?uri={quote('incident.do?sysparm_query=number=INC0010006', safe='')}",
        f"https://{HOST}/incident_list.do?sysparm_query=number%3DINC0010006%5Eactive%3Dtrue",
        "incident.do?sysparm_query=number=INC0010006",
    ],
)
def test_an_address_may_name_the_number(address):
    assert read_name(address, host=HOST) == Named(number="INC0010006", table="incident")


def test_other_tables_are_told_as_well():
    table = f"https://{HOST}/now/sow/record/sn_si_incident/{SYS_ID}"
    assert read_name(table, host=HOST) == Named(sys_id=SYS_ID, table="sn_si_incident")


@pytest.mark.parametrize(
    ("address", "leads_to"),
    [
        (f"https://other.service-now.com/{FORM}", "other.service-now.com"),
        (f"https://{HOST}:8443/{FORM}", f"{HOST}:8443"),
        (f"https://{HOST}.example.org/{FORM}", f"{HOST}.example.org"),
        (f"other.service-now.com/{FORM}", "other.service-now.com"),
        (f"//other.service-now.com/{FORM}", "other.service-now.com"),
        (f"https://{HOST}@other.service-now.com/{FORM}", "other.service-now.com"),
    ],
)
def test_an_address_of_another_instance_is_refused_and_both_are_named(address, leads_to):
    with pytest.raises(ServiceNowConfigError) as refusal:
        read_name(address, host=HOST)

    assert f"leads to {leads_to}, the connection to {HOST}" in str(refusal.value)


def test_a_sandbox_is_told_by_its_port():
    assert read_name(f"http://127.0.0.1:8099/{FORM}", host="127.0.0.1:8099") == INCIDENT
    with pytest.raises(ServiceNowConfigError, match="another instance"):
        read_name(f"http://127.0.0.1:8098/{FORM}", host="127.0.0.1:8099")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "incident",
        "the ticket of yesterday",
        "INC0010006, INC0010007",
        "INC0010006/INC0010007",
        SYS_ID[:-1],
        "javascript:alert(1)",
        f"ftp://{HOST}/{FORM}",
        "http://[",
        f"https://{HOST}:port/{FORM}",
        "x" * 10_000,
        f"{HOST}/" + "=a.do?" * 2000,
    ],
)
def test_what_names_no_ticket_is_refused_in_words_and_not_repeated_at_length(text):
    with pytest.raises(ServiceNowConfigError, match=r"ticket|record") as refusal:
        read_name(text, host=HOST)

    assert len(str(refusal.value)) < 500


@pytest.mark.parametrize(
    "address",
    [
        f"https://{HOST}/",
        f"https://{HOST}/now/nav/ui/home",
        f"https://{HOST}/incident.do?sys_id=-1",
        f"https://{HOST}/incident_list.do?sysparm_query=active=true",
        f"https://{HOST}/incident.do?sys_id={SYS_ID}0",
        f"https://{HOST}/nav_to.do?uri=home.do",
    ],
)
def test_an_address_of_this_instance_that_shows_no_ticket_says_what_to_do(address):
    with pytest.raises(ServiceNowConfigError, match="open the ticket itself"):
        read_name(address, host=HOST)


def test_a_password_in_an_address_is_not_repeated():
    with pytest.raises(ServiceNowConfigError) as refusal:
        read_name(f"https://joe:s3cret@other.service-now.com/{FORM}", host=HOST)

    assert "s3cret" not in str(refusal.value)


@given(st.text(max_size=60) | st.text(alphabet=":/?#[]@%&=.do_sys_id0fA", max_size=80))
def test_whatever_is_typed_is_a_ticket_or_refused(text):
    try:
        named = read_name(text, host=HOST)
    except ServiceNowConfigError:
        return
    assert bool(named.sys_id) != bool(named.number)
