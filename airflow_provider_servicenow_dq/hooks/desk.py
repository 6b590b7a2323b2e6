"""From an Airflow connection to a desk: the instance, the store and the rules, ready to work."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, Final

from airflow_provider_servicenow_dq import settings
from airflow_provider_servicenow_dq.client.names import Names
from airflow_provider_servicenow_dq.desk.desk import Desk
from airflow_provider_servicenow_dq.hooks.store import open_store
from airflow_provider_servicenow_dq.store import instances

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_servicenow_dq.hooks.servicenow import ServiceNowHook
    from airflow_provider_servicenow_dq.store.store import Store

log = logging.getLogger(__name__)

#: The last try of a write leaves within one timeout, and an instance's own quota gives it 60 seconds (docs:
#: Default quota rules). Three timeouts are waited before it is sent again, so they must be longer than that.
_SHORTEST_TIMEOUT_S: Final = 30


@contextlib.contextmanager
def open_desk(
    hook: ServiceNowHook,
    *,
    needs_shared_store: bool = False,
    store: Store | None = None,
    only_reads: bool = False,
) -> Iterator[Desk]:
    """Open a desk for the length of the block; the store remembers which connection leads to its instance.

    :param needs_shared_store: Whether the work makes no sense with a store of its machine's own.
    :param store: Another one than the configuration names.
    :param only_reads: Nothing is written to the store, and it need not exist.
    :raises ServiceNowConfigError: If the store is not shared where it must be.
    """
    try:
        desk = Desk(
            config=hook.instance_config(),
            table_api=hook.table_api,
            names=Names(hook.table_api),
            store=store or open_store(needs_shared_store=needs_shared_store),
            namespace=settings.namespace(),
        )
        if desk.config.timeout_s < _SHORTEST_TIMEOUT_S and not desk.config.is_loopback:
            log.warning(
                "The connection %s has timeout_s %g. An instance may work on a request for 60 s: with less "
                "than %d s a note that comes late may be there twice.",
                hook.servicenow_conn_id,
                desk.config.timeout_s,
                _SHORTEST_TIMEOUT_S,
            )
        if not only_reads:
            _remember_connection(desk, hook.servicenow_conn_id)
        yield desk
    finally:
        hook.close()


def _remember_connection(desk: Desk, conn_id: str) -> None:
    """Write down how to come here again, for whoever delivers later what waits for this instance."""
    with desk.store.snapshot() as connection:
        known = instances.get(connection, desk.host).conn_id
    if known != conn_id:
        with desk.store.begin() as connection:
            instances.learn(connection, desk.host, conn_id=conn_id)
