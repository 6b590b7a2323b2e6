"""What stands in the journals of tickets that become known, so that it is not told as something new.

Whatever is older than a ticket's last update was there before. Entries of that very second are the question:
somebody may write another one before it is over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_servicenow_dq.client.ids import IDS_AT_ONCE
from airflow_provider_servicenow_dq.client.paging_by_time import STAMP
from airflow_provider_servicenow_dq.client.query import Query
from airflow_provider_servicenow_dq.client.recent import since
from airflow_provider_servicenow_dq.client.stamps import moment
from airflow_provider_servicenow_dq.store.bulk import batches
from airflow_provider_servicenow_dq.tickets.notes import JOURNALS
from airflow_provider_servicenow_dq.tickets.told import VERSION, version

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_servicenow_dq.desk.desk import Desk

Record = dict[str, Any]


def entries_there(desk: Desk, table: str, rows: Sequence[Record]) -> dict[str, list[str]]:
    """Return the sys_ids of journal entries from the second of each record's last update, by its sys_id.

    A record that changed while they were read has none: its entries may be newer than what was read of it.

    :param rows: As they were just read.
    """
    stamped = {row["sys_id"]: row for row in rows if row.get("sys_mod_count") != "0" and row.get(STAMP)}
    found: dict[str, list[str]] = {row["sys_id"]: [] for row in rows}
    now = desk.now() + desk.table_api.transport.clock.ahead
    for chunk in batches(sorted(stamped), IDS_AT_ONCE):
        begin = min(moment(stamped[sys_id][STAMP]) for sys_id in chunk)
        query = (
            Query.any_of("element_id", chunk)
            .also(Query.any_of("element", JOURNALS))
            .also(since("sys_created_on", begin, now=now))
        )
        fields = ("sys_id", "element_id", "sys_created_on")
        for entry in desk.table_api.find("sys_journal_field", query, fields=fields):
            if entry.get("sys_created_on") == stamped[entry["element_id"]][STAMP]:
                found[entry["element_id"]].append(entry["sys_id"])
    for chunk in batches([sys_id for sys_id, entries in found.items() if entries], IDS_AT_ONCE):
        still = desk.table_api.first_page(
            table, Query.any_of("sys_id", chunk), fields=("sys_id", *VERSION), limit=len(chunk)
        )
        same = {row["sys_id"] for row in still if version(row) == version(stamped[row["sys_id"]])}
        found |= {sys_id: [] for sys_id in chunk if sys_id not in same}
    return found
