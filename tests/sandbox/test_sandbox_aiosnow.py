"""Another client that others wrote, asynchronous and with a schema of its own for every column, unchanged."""

from __future__ import annotations

import asyncio

import pytest
from aiosnow import Client, select
from aiosnow.exceptions import RequestError, TooManyItems
from aiosnow.models.table.declared import IncidentModel, JournalModel

#: It is as its authors left it, and so is what it uses of aiohttp.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

SOLVED = {"state": 6, "close_code": "Solution provided", "close_notes": "reloaded"}


@pytest.fixture
def talk(sandbox):
    """Run a conversation with the incidents of the sandbox, whose journal comes along."""

    def run(conversation):
        async def connected():
            address = sandbox.url.removeprefix("http://")
            client = Client(address, basic_auth=("svc_airflow", "airflow-secret"), use_ssl=False)
            async with (
                IncidentModel(client, table_name="incident") as incidents,
                JournalModel(client, table_name="sys_journal_field") as journal,
            ):
                return await conversation(incidents, journal)

        return asyncio.run(connected())

    return run


def test_it_creates_reads_updates_and_deletes(talk, sandbox):
    sandbox.configure(time_zone="America/New_York")

    async def conversation(incidents, journal):
        made = await incidents.create({"short_description": "made by aiosnow", "impact": 2, "urgency": 2})
        number = made.data["number"]
        found = await incidents.get_one(IncidentModel.number == number)
        await incidents.update(IncidentModel.number == number, {"work_notes": "on it", "state": 2})
        noted = await journal.get(JournalModel.element_id == found.data["sys_id"])
        solved = await incidents.update(IncidentModel.number == number, SOLVED)
        return made.data, found.data, noted.data, solved.data

    made, found, noted, solved = talk(conversation)

    assert (made["number"], made["priority"].key, made["state"].value) == ("INC0010001", 3, "New")
    # Its times are the raw ones, in UTC, whatever zone the user sees them in.
    assert (
        found["sys_created_on"].strftime("%Y-%m-%d %H:%M:%S")
        == sandbox.records("incident")[0]["sys_created_on"]
    )
    assert [row["value"] for row in noted] == ["on it"]
    assert (solved["state"].key, solved["close_code"]) == (6, "Solution provided")
    assert sandbox.records("incident")[0]["state"] == "6"


def test_it_selects_in_order_and_by_pages(talk):
    async def conversation(incidents, _):
        for name in ("b", "c", "a"):
            await incidents.create({"short_description": name})
        selection = select(IncidentModel.short_description.not_equals("c")).order_asc(
            IncidentModel.short_description
        )
        pages = incidents.stream(selection, limit=10, page_size=1)
        return [row["short_description"] async for _, row in pages]

    assert talk(conversation) == ["a", "b"]


def test_it_hears_no_for_an_answer(talk):
    async def resolve_without_a_code(incidents, _):
        made = await incidents.create({})
        await incidents.update(made.data["sys_id"], {"state": 6})

    with pytest.raises(RequestError, match="Data Policy Exception"):
        talk(resolve_without_a_code)

    async def ask_for_one_of_two(incidents, _):
        for _ in range(2):
            await incidents.create({"category": "network"})
        await incidents.get_one(IncidentModel.category == "network")

    with pytest.raises(TooManyItems):
        talk(ask_for_one_of_two)
