"""The form for a new ticket, for whoever has a connection, and for DAG files as Airflow parses them."""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime
from typing import Any, Final

from airflow_provider_servicenow_dq.desk import form
from airflow_provider_servicenow_dq.exceptions import StoreError
from airflow_provider_servicenow_dq.hooks.store import store_url
from airflow_provider_servicenow_dq.projects.project import Project
from airflow_provider_servicenow_dq.store import forms
from airflow_provider_servicenow_dq.store.schema import HEAD
from airflow_provider_servicenow_dq.store.store import Store
from airflow_provider_servicenow_dq.tickets.states import INCIDENT

log = logging.getLogger(__name__)

#: Longest that a DAG file waits for the store. A busy machine has been seen to take two seconds for a look
#: that takes milliseconds; Airflow gives up on a DAG file after thirty.
_PATIENCE_S: Final = 4.0


def form_specification(
    servicenow_conn_id: str, *, table: str | None, project: str | None, language: str, refresh: bool
) -> dict[str, Any]:
    """Return the form for a new ticket; see ``ServiceNowHook.get_form_specification``."""
    from airflow_provider_servicenow_dq.hooks.desk import open_desk  # noqa: PLC0415 (a DAG file needs no client)
    from airflow_provider_servicenow_dq.hooks.projects import choose  # noqa: PLC0415 (nor a connection)

    hook, rules = choose(servicenow_conn_id, project)

    def ask(*, only_reads: bool) -> dict[str, Any]:
        with open_desk(hook, only_reads=only_reads) as desk:
            return form.form_specification(
                desk, rules, table=table or rules.table, language=language, refresh=refresh
            )

    try:
        return ask(only_reads=False)
    except StoreError:
        # Without our memory the instance can still be asked.
        return ask(only_reads=True)


def remembered_form(
    servicenow_conn_id: str = "servicenow_default",
    table: str = INCIDENT,
    *,
    language: str = "en",
    within_s: float = _PATIENCE_S,
) -> dict[str, Any]:
    """Return the form for a new ticket as it was told last, or with the choices of the base system.

    For DAG files: no request is sent, nothing is written, no connection is read unless the store is named by
    one, and nothing is raised. Somebody has to have asked for the form in a task:
    ``ServiceNowHook(…).get_form_specification()``, as ``servicenow_sync`` does.

    :param within_s: Longest to wait for the store.
    :returns: In the shape of :func:`~airflow_provider_servicenow_dq.desk.form.specification`.
    """
    found: list[form.Offer] = []

    def look() -> None:
        try:
            offer = _remembered(servicenow_conn_id, table, language)
        except Exception as error:  # noqa: BLE001 (whatever it is, the DAG must be there)
            log.warning("The form for %s offers choices of the base system: %s", servicenow_conn_id, error)
        else:
            found.extend([offer] if offer else [])

    # A database that does not answer would hold up the DAG processor; this thread ends with its process.
    looking = threading.Thread(target=look, name="remembered-form", daemon=True)
    looking.start()
    looking.join(within_s)
    if looking.is_alive():
        log.warning(
            "The form for %s offers choices of the base system: the store did not answer within %g s",
            servicenow_conn_id,
            within_s,
        )
    offer = found[0] if found else None
    return form.specification(offer, Project(), table=table, now=datetime.now(UTC))


def _remembered(servicenow_conn_id: str, table: str, language: str) -> form.Offer | None:
    store = Store(store_url())
    try:
        # Opening any other one would make or migrate it.
        if store.revision() != HEAD:
            return None
        with store.snapshot() as connection:
            return form.offer_of(forms.newest(connection, servicenow_conn_id, table, form.kept_as(language)))
    finally:
        store.close()
