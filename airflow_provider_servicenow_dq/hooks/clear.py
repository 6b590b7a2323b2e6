"""Delivering what waits in the store: for one connection, or for every instance that it has entries for."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk.exceptions import AirflowException

from airflow_provider_servicenow_dq.desk.clear import Clearing, deliver_waiting
from airflow_provider_servicenow_dq.desk.rehearsal import rehearse_delivery
from airflow_provider_servicenow_dq.exceptions import ServiceNowConfigError, ServiceNowError, StoreError
from airflow_provider_servicenow_dq.hooks.desk import open_desk
from airflow_provider_servicenow_dq.hooks.servicenow import ServiceNowHook
from airflow_provider_servicenow_dq.hooks.store import open_store
from airflow_provider_servicenow_dq.store import letters, outbox, waiting
from airflow_provider_servicenow_dq.store.letters import about
from airflow_provider_servicenow_dq.store.schema import HEAD

if TYPE_CHECKING:
    from airflow_provider_servicenow_dq.desk.desk import Run
    from airflow_provider_servicenow_dq.desk.rehearsal import Write
    from airflow_provider_servicenow_dq.store.letters import Letter
    from airflow_provider_servicenow_dq.store.store import Store

log = logging.getLogger(__name__)

SCHEMA_VERSION: Final = 1

#: Dead letters that are named.
_NAMED: Final = 10
_COUNTED: Final = {
    outbox.PENDING: "waiting",
    outbox.SENDING: "sending",
    outbox.DEAD: "dead",
    outbox.BLOCKED: "blocked",
}


@dataclass(slots=True)
class Cleared:
    """What came of it, of all instances together.

    :param instances: Counts of each instance.
    :param clearing: Why something could not be delivered.
    :param dead: The oldest dead letters, ten at most.
    :param writes: What would be sent, in a dry run.
    """

    instances: list[dict[str, Any]] = field(default_factory=list)
    clearing: Clearing = field(default_factory=Clearing)
    dead: list[Letter] = field(default_factory=list)
    writes: list[Write] = field(default_factory=list)

    def counts(self) -> dict[str, Any]:
        """Return how much was delivered and what is left, as plain JSON."""
        names = ("delivered", *_COUNTED.values())
        totals = {name: sum(counted[name] for counted in self.instances) for name in names}
        return {"schema_version": SCHEMA_VERSION, **totals, "instances": self.instances}

    def dead_words(self) -> str:
        """Return what the dead letters are about, in the words of the instance; nothing if there are none."""
        number = sum(counted["dead"] for counted in self.instances)
        if not number:
            return ""
        named = [f"{letter.entry.id} ({about(letter)}): {letter.entry.message}" for letter in self.dead]
        rest = f"; and {number - len(named)} more" if number > len(named) else ""
        letters_are = "1 dead letter" if number == 1 else f"{number} dead letters"
        return f"{letters_are}, see servicenow-dq outbox list --state dead: {'; '.join(named)}{rest}"


def clear_outbox(conn_id: str | None, run: Run, *, dry_run: bool = False) -> Cleared:
    """Deliver what waits for the instance of a connection, or for all of them.

    :param conn_id: None for every instance in the store, each by the connection that last worked with it.
    :param dry_run: Send nothing and write nothing down, but say what would be sent.
    :raises ServiceNowConfigError: If each machine has a store of its own.
    :raises StoreError: If the store cannot be used.
    """
    cleared = Cleared()
    store = open_store(needs_shared_store=True)
    if dry_run and store.revision() != HEAD:
        log.info("There is no store of this version yet, so nothing waits")
        return cleared
    if conn_id is not None:
        _clear(cleared, conn_id, run, dry_run=dry_run)
        return cleared
    with store.snapshot() as connection:
        hosts = waiting.instances(connection)
    for host, known in hosts.items():
        try:
            _clear(cleared, _known(known), run, host=host, dry_run=dry_run)
        except StoreError:
            raise
        except (ServiceNowError, AirflowException) as error:
            # One instance that cannot be reached holds up no other.
            cleared.clearing.add([ServiceNowConfigError(f"{host}: {error}")])
            _count(cleared, store, host, delivered=0)
    return cleared


def _known(conn_id: str | None) -> str:
    if conn_id is None:
        raise ServiceNowConfigError(
            "no connection is known that leads there; name one in servicenow_conn_id of a task of its own"
        )
    return conn_id


def _clear(
    cleared: Cleared, conn_id: str, run: Run, *, host: str | None = None, dry_run: bool = False
) -> None:
    with open_desk(ServiceNowHook(conn_id), needs_shared_store=True, only_reads=dry_run) as desk:
        if host not in {None, desk.host}:
            raise ServiceNowConfigError(f"the connection {conn_id!r} led there once, and now to {desk.host}")
        if dry_run:
            clearing, writes = rehearse_delivery(desk, run)
            cleared.writes += writes
            clearing.delivered = 0
        else:
            clearing = deliver_waiting(desk, run)
        cleared.clearing.join(clearing)
        _count(cleared, desk.store, desk.host, delivered=clearing.delivered)


def _count(cleared: Cleared, store: Store, host: str, *, delivered: int) -> None:
    with store.snapshot() as connection:
        states = letters.count_by_state(connection, instance=host)
        dead = letters.read(connection, states=[outbox.DEAD], instance=host, limit=_NAMED, oldest_first=True)
    counts = {name: states[state] for state, name in _COUNTED.items()}
    cleared.instances.append({"instance": host, "delivered": delivered, **counts})
    cleared.dead = [*cleared.dead, *dead][:_NAMED]
    log.info("%s: %s delivered, %s", host, delivered, ", ".join(f"{n} {name}" for name, n in counts.items()))
