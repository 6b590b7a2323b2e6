"""Reports that change their ticket while others work on it: PostgreSQL locks rows, not the store."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from databases import until_somebody_waits
from reporting import anomaly, incidents

from airflow_provider_servicenow_dq.desk import lookup
from airflow_provider_servicenow_dq.desk.deliver import deliver
from airflow_provider_servicenow_dq.desk.desk import Run
from airflow_provider_servicenow_dq.desk.open import record_reports
from airflow_provider_servicenow_dq.desk.order import Order
from airflow_provider_servicenow_dq.desk.places import group
from airflow_provider_servicenow_dq.desk.writing import asking
from airflow_provider_servicenow_dq.projects.project import Project
from airflow_provider_servicenow_dq.store import outbox, recorded


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_what_comes_to_a_ticket_that_is_just_decided_about_holds_nobody_up(make_desk, sandbox, monkeypatch):
    desk, others = make_desk(), make_desk()
    run = Run("dag", "run", "task")
    found = [anomaly(f"check {number}") for number in range(3)]
    items = record_reports(desk, found, order=Order(Project()), run=run)
    first, *rest = sorted((item.entry for item in items), key=lambda entry: entry.id)
    home = first.address._replace(correlation_id=group.rollup_correlation(run, namespace="", instead=""))
    with desk.store.begin() as connection:
        outbox.move(connection, [entry.id for entry in rest], home)
    lookup.look(desk, [home], run="run")

    def join():
        with others.store.begin() as connection:
            keys = [entry.key for entry in (first, *rest)]
            return recorded.waiting_reports(connection, keys, instance=desk.host, table=home.table)

    real, joining = asking.needs, []

    def needs(*args):
        if not joining:
            with others.store.begin() as connection:
                outbox.move(connection, [first.id], home)
            joining.append(pool.submit(join))
            until_somebody_waits(others.store)
        return real(*args)

    monkeypatch.setattr(asking, "needs", needs)
    with ThreadPoolExecutor(1) as pool:
        handled = set(deliver(desk, home, run="run"))
        joining[0].result(20)

    (ticket,) = incidents(sandbox)
    with desk.store.snapshot() as connection:
        entries = outbox.by_ids(connection, [first.id, *(entry.id for entry in rest)])
    # Who delivered the last one says that it is done: whoever moved it finds nothing to do.
    assert handled == set(entries)
    assert {entry.state for entry in entries.values()} == {outbox.DONE}
    texts = "\n".join([ticket["description"], *sandbox.notes(ticket["sys_id"])])
    assert all(each.check_name in texts for each in found)
