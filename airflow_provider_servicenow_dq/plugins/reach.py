"""From what a request names to the desk that serves it: connection, project, and the anomaly it is about."""

from __future__ import annotations

import contextlib
import functools
import logging
import traceback
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException
from fastapi import HTTPException

from airflow_provider_servicenow_dq import settings
from airflow_provider_servicenow_dq.exceptions import (
    ServiceNowConfigError,
    ServiceNowError,
    SeveralProjectsError,
    UnknownProjectError,
)
from airflow_provider_servicenow_dq.hooks.desk import open_desk
from airflow_provider_servicenow_dq.hooks.findings import open_sides
from airflow_provider_servicenow_dq.hooks.projects import choose, choose_for
from airflow_provider_servicenow_dq.hooks.servicenow import ServiceNowHook
from airflow_provider_servicenow_dq.hooks.store import open_store
from airflow_provider_servicenow_dq.plugins import problems
from airflow_provider_servicenow_dq.plugins.hiding import Secrets
from airflow_provider_servicenow_dq.plugins.problems import NotReadyError, problem_of
from airflow_provider_servicenow_dq.store import asked_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_servicenow_dq.desk.desk import Desk
    from airflow_provider_servicenow_dq.findings.parties import Side, Sides
    from airflow_provider_servicenow_dq.hooks.projects import Chosen
    from airflow_provider_servicenow_dq.projects.project import Project
    from airflow_provider_servicenow_dq.store.asked_for import Known
    from airflow_provider_servicenow_dq.store.store import Store

log = logging.getLogger(__name__)

#: Seconds that one request to the instance may spend until its last try starts. Whoever asks here gives up
#: after ten, and repeats it better than a thread that sleeps.
_PATIENCE_S: Final = 3.0

#: What the id of a connection is made of.
CONN_ID: Final = r"^[A-Za-z0-9_.-]{1,250}$"

#: Shorter ones could be guessed.
_SHORTEST_WEBHOOK_SECRET: Final = 16


class At(NamedTuple):
    """Where a request is served."""

    desk: Desk
    project: Project


class Cases(NamedTuple):
    """What works on cases: the sides of projects, and the store in which the cases are."""

    of: Sides
    store: Store


class Reach:
    """What a request names of where it goes.

    :param servicenow_conn_id: The Airflow connection; by default that of ``[servicenow_dq] default_conn_id``.
    :param project: Id or key of a project; by default the built-in one.
    """

    def __init__(self, servicenow_conn_id: str | None = None, project: str | None = None) -> None:
        self.servicenow_conn_id = servicenow_conn_id
        self.project = project

    @contextlib.contextmanager
    def open(
        self, *, only_reads: bool = False, needs_store: bool = True, table: str | None = None
    ) -> Iterator[At]:
        """Open the desk; whatever goes wrong in the block is told as HTTP tells it, without any secret.

        :param only_reads: Nothing of the store is changed.
        :param needs_store: Whether it is about what the store remembers, which must then be the one of all.
        :param table: Whose records are followed; the project is then the one that does.
        :raises HTTPException: Whatever went wrong.
        """
        with self._telling() as secrets, contextlib.ExitStack() as stack:
            chosen = self._chosen(secrets, table)
            try:
                opening = open_desk(chosen.hook, needs_shared_store=needs_store, only_reads=only_reads)
                desk = stack.enter_context(opening)
            except ServiceNowConfigError as error:
                raise NotReadyError(str(error)) from error
            yield At(desk, chosen.project)

    @contextlib.contextmanager
    def open_sides(self) -> Iterator[Cases]:
        """Open what works on cases, whose projects are named in the request; errors are told as above.

        :raises HTTPException: Whatever went wrong.
        """
        with self._telling() as secrets, contextlib.ExitStack() as stack:
            conn_id = self._conn_id(secrets)
            try:
                opening = open_sides(conn_id, find_connection=secrets.find, patience_s=_PATIENCE_S)
                cases = Cases(_ready(stack.enter_context(opening)), open_store(needs_shared_store=True))
            except ServiceNowConfigError as error:
                raise NotReadyError(str(error)) from error
            yield cases

    @contextlib.contextmanager
    def _telling(self) -> Iterator[Secrets]:
        secrets = Secrets()
        try:
            yield secrets
        except AirflowNotFoundException:
            conn_id = self.servicenow_conn_id or settings.default_conn_id()
            raise HTTPException(HTTPStatus.NOT_FOUND, f"There is no connection {conn_id!r}") from None
        except ServiceNowError as error:
            problem = problem_of(error)
            problem.detail = secrets.hidden_in(problem.detail)
            if problem.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
                log.warning("Answered %s: %s", problem.status_code, secrets.hidden_in(str(error)))
            raise problem from error
        except HTTPException:
            raise
        except Exception:  # noqa: BLE001 (told here, where secrets are known; nobody may wait for it any more)
            words = secrets.hidden_in_log(traceback.format_exc())
            log.error("Something broke: %s", words)  # noqa: TRY400 (not with what its traceback shows)
            raise problems.broken() from None

    def _conn_id(self, secrets: Secrets) -> str:
        """Return the connection to go by.

        :raises AirflowNotFoundException: If somebody has named one that is none for ServiceNow: its login is
            nobody's to send to its host.
        """
        if self.servicenow_conn_id is None:
            return settings.default_conn_id()
        if secrets.find(self.servicenow_conn_id).conn_type != ServiceNowHook.conn_type:
            raise AirflowNotFoundException
        return self.servicenow_conn_id

    def _chosen(self, secrets: Secrets, table: str | None) -> Chosen:
        conn_id = self._conn_id(secrets)
        choosing = choose if table is None else functools.partial(choose_for, table)
        try:
            return choosing(conn_id, self.project, find_connection=secrets.find, patience_s=_PATIENCE_S)
        except UnknownProjectError:
            raise
        except SeveralProjectsError as error:
            raise HTTPException(HTTPStatus.BAD_REQUEST, f"{error} with ?project=") from error
        except ServiceNowConfigError as error:
            raise NotReadyError(str(error)) from error


def _ready(sides: Sides) -> Sides:
    """Return sides that tell what whoever asks cannot help from what they can."""

    def side(name: str) -> Side:
        try:
            return sides(name)
        except ServiceNowConfigError as error:
            raise NotReadyError(str(error)) from error

    return side


def webhook_secret(conn_id: str | None) -> str | None:
    """Return the secret with which an instance signs what it tells; None if it has none.

    :param conn_id: The Airflow connection; by default that of ``[servicenow_dq] default_conn_id``.
    """
    try:
        extra: Any = BaseHook.get_connection(conn_id or settings.default_conn_id()).extra_dejson
    except AirflowNotFoundException:
        return None
    secret = extra.get("webhook_secret") if isinstance(extra, dict) else None
    return secret if isinstance(secret, str) and len(secret) >= _SHORTEST_WEBHOOK_SECRET else None


def find_anomaly(desk: Desk, anomaly_id: str, source: str | None) -> Known:
    """Return the anomaly that somebody names.

    :param anomaly_id: Its external id, its fingerprint or its key.
    :param source: Which one, where sources share an id.
    :raises HTTPException: 404 if the store knows none, 409 if it knows several.
    """
    with desk.store.snapshot() as connection:
        found = asked_for.with_id(connection, anomaly_id, namespace=desk.namespace, source=source or "")
    if not found:
        of_source = f" of {source}" if source else ""
        raise HTTPException(HTTPStatus.NOT_FOUND, f"No anomaly {anomaly_id!r}{of_source} has been reported")
    if len(found) > 1:
        sources = sorted({known.anomaly.source for known in found})
        names = ", ".join(sources)
        way_out = "name one with ?source=" if len(sources) > 1 else "name one by its fingerprint instead"
        raise HTTPException(
            HTTPStatus.CONFLICT, f"Several anomalies have the id {anomaly_id!r}, of {names}: {way_out}"
        )
    return found[0]
