"""From an Airflow connection to a client of the instance."""

from __future__ import annotations

from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook
from airflow.sdk.log import mask_secret

from airflow_provider_servicenow_dq.exceptions import ServiceNowConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import requests
    from airflow.sdk import Connection

    from airflow_provider_servicenow_dq.client.aggregate import Function, Group
    from airflow_provider_servicenow_dq.client.choices import Choice
    from airflow_provider_servicenow_dq.client.config import InstanceConfig
    from airflow_provider_servicenow_dq.client.dictionary import Dictionary
    from airflow_provider_servicenow_dq.client.query import Query, Value
    from airflow_provider_servicenow_dq.client.table import Record, TableApi
    from airflow_provider_servicenow_dq.client.transport import Transport


@cache
def mask(secret: str) -> None:
    """Keep a secret that we derived out of the logs; Airflow's masker is told once per process."""
    mask_secret(secret)


class ServiceNowHook(BaseHook):
    """Records of a ServiceNow instance. Nothing is looked up or opened before the first use.

    Errors are those of ``airflow_provider_servicenow_dq.exceptions``: they say whether a write may have
    happened.

    :param servicenow_conn_id: The Airflow connection to use.
    :param find_connection: Looks it up where Airflow may not be asked directly, as beside an event loop.
    :param patience_s: Seconds that one request may spend until its last try starts, for who cannot wait long.
    """

    conn_name_attr = "servicenow_conn_id"
    default_conn_name = "servicenow_default"
    conn_type = "servicenow"
    hook_name = "ServiceNow"

    def __init__(
        self,
        servicenow_conn_id: str = default_conn_name,
        *,
        find_connection: Callable[[str], Connection] | None = None,
        patience_s: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.servicenow_conn_id = servicenow_conn_id
        self._patience_s = patience_s
        self._find_connection = find_connection or self.get_connection

    def instance_config(self) -> InstanceConfig:
        """Return what the connection says.

        :raises ServiceNowConfigError: If it cannot work as written.
        """
        return self._config

    @cached_property
    def _config(self) -> InstanceConfig:
        from airflow_provider_servicenow_dq.hooks.instance import config_of  # noqa: PLC0415  # DAG files pay

        return config_of(self._find_connection(self.servicenow_conn_id), self.servicenow_conn_id)

    @cached_property
    def transport(self) -> Transport:
        """What carries the requests. Safe to share between threads."""
        from airflow_provider_servicenow_dq.client.transport import Transport  # noqa: PLC0415  # loads requests

        config = self.instance_config()
        if self._patience_s is None:
            return Transport(config, on_secret=mask)
        return Transport(config, on_secret=mask, patience_s=self._patience_s)

    @cached_property
    def table_api(self) -> TableApi:
        """The Table API of the instance."""
        from airflow_provider_servicenow_dq.client.table import TableApi  # noqa: PLC0415  # DAG files pay

        return TableApi(self.transport)

    def close(self) -> None:
        """Close all connections to the instance. A later call opens new ones."""
        if "transport" in self.__dict__:
            self.transport.close()

    def get_conn(self) -> requests.Session:
        """Return an authenticated session that talks to this instance only: ``session.get("/api/now/…")``."""
        return self.transport.session

    def test_connection(self) -> tuple[bool, str]:
        """Say whether the connection works, and if not, what is wrong. Never raises."""
        from airflow_provider_servicenow_dq.client.doctor import check_connection  # noqa: PLC0415  # loads requests

        try:
            config = self.instance_config()
        except ServiceNowConfigError as error:
            return False, str(error)
        except Exception as error:  # noqa: BLE001  # a button must get an answer, whatever a secrets backend raises
            return (
                False,
                f"The connection {self.servicenow_conn_id!r} cannot be read ({type(error).__name__})",
            )
        return check_connection(config, on_secret=mask)

    def get_record(self, table: str, sys_id: str, fields: Sequence[str] | None = None) -> Record:
        """Return one record, every value as the text that the instance stores.

        :raises RecordNotFoundError: If it does not exist, or the user may not see it.
        """
        return self.table_api.get(table, sys_id, fields=fields)

    def find_records(
        self,
        table: str,
        query: Query | Mapping[str, Value],
        fields: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> Iterator[Record]:
        """Yield all matching records, page by page.

        :param query: Equal conditions by field, or a ``Query``; wrap an encoded one as ``Query.raw("…")``.
        :raises UnsafeQueryError: If a condition cannot be said exactly, or the instance ignores it: no such
            field, or a value that it cannot be compared with.
        :raises IncompleteReadError: If the end of the list cannot be reached.
        """
        from airflow_provider_servicenow_dq.client.checked import find_records  # noqa: PLC0415  # DAG files pay

        return find_records(self.table_api, table, query, fields=fields, limit=limit)

    def count_records(self, table: str, query: Query | Mapping[str, Value]) -> int:
        """Return how many records match, those included that the user may not see.

        :raises UnsafeQueryError: As :meth:`find_records`.
        """
        from airflow_provider_servicenow_dq.client.checked import count_records  # noqa: PLC0415  # DAG files pay

        return count_records(self.table_api, table, query)

    def aggregate_records(
        self,
        table: str,
        query: Query | Mapping[str, Value],
        *,
        group_by: Sequence[str] = (),
        functions: Mapping[Function, Sequence[str]] | None = None,
    ) -> list[Group]:
        """Return what the instance counts and sums up, without reading the records.

        :param group_by: Fields: one group for each combination of their values; by default all are one group.
        :param functions: Fields by what to make of them, e.g. ``{"max": ["sys_updated_on"]}``: ``sum``,
            ``avg``, ``min``, ``max``.
        :raises UnsafeQueryError: As :meth:`find_records`.
        :raises IncompleteReadError: If the instance cannot group so.
        """
        from airflow_provider_servicenow_dq.client.aggregate import aggregate  # noqa: PLC0415  # DAG files pay

        return aggregate(self.table_api, table, query, group_by=group_by, functions=functions)

    def create_record(self, table: str, values: Mapping[str, Any]) -> Record:
        """Insert a record and return it as the instance made it.

        :raises MayHaveHappenedError: It may exist or not: look before repeating.
        """
        return self.table_api.create(table, _writable(values))

    def update_record(self, table: str, sys_id: str, values: Mapping[str, Any]) -> Record:
        """Change some fields of a record and return it as it is now.

        :raises MayHaveHappenedError: It may be changed or not: look before repeating.
        """
        return self.table_api.update(table, sys_id, _writable(values))

    def delete_record(self, table: str, sys_id: str) -> None:
        """Delete a record."""
        self.table_api.delete(table, sys_id)

    def batch(self, requests: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Send many requests in few, in their order, and return their answers in the same order.

        It is no transaction: a request that fails undoes and holds up no other. The instance needs the user's
        rights for each of them, and counts each.

        :param requests: Of ``{"id", "method", "url", "body"}``: ``url`` is a path such as
            ``/api/now/table/incident``, ``body`` a dict or None.
        :returns: Of ``{"id", "status_code", "body", "error"}``: ``body`` is the answer, parsed; ``error`` is
            None, the instance's words, ``in doubt`` where a write was cut off by the instance's time limit
            (look before you repeat it), or ``unserviced`` for what was not tried.
        :raises ServiceNowConfigError: If a request cannot be one; nothing is sent.
        :raises ServiceNowError: If nothing was done at all.
        """
        from airflow_provider_servicenow_dq.client.batch import BatchRequest, send_batch  # noqa: PLC0415  # DAG files pay

        asked = [BatchRequest.from_mapping(item) for item in requests]
        for request in asked:
            if request.body is not None and "/table/" in request.url:
                _writable(request.body)
        answers = send_batch(self.transport, asked)
        return [
            {
                "id": item.get("id"),
                "status_code": answer.status_code,
                "body": answer.body,
                "error": answer.error,
            }
            for item, answer in zip(requests, answers, strict=True)
        ]

    def attach_file(self, table: str, sys_id: str, name: str, content: bytes | str) -> Record:
        """Attach a file to a record, unless the same file is attached already, and return what is kept of it.

        :param name: File name, at most 100 characters.
        :param content: Text is written as UTF-8.
        :raises RecordNotFoundError: If there is no such record, or the user may not see it.
        :raises RefusedError: If the instance does not take it: too large, an ending that it does not allow.
        :raises MayHaveHappenedError: If no answer came, and the file was not found either. Calling this again
            later is safe: it looks first.
        """
        from airflow_provider_servicenow_dq.client.attachments import attach_file  # noqa: PLC0415  # DAG files pay

        return attach_file(self.table_api, table, sys_id, name, content)

    def get_choices(
        self, table: str, field: str, dependent_value: str | None = None, *, language: str = "en"
    ) -> list[Choice]:
        """Return the active choices of a field, in the order of its list.

        :param dependent_value: Only those for this value of the field that it depends on, e.g. subcategories
            of a category.
        :param language: Of the labels; English where there is none in it.
        """
        from airflow_provider_servicenow_dq.client.choices import get_choices  # noqa: PLC0415  # DAG files pay

        return get_choices(self.table_api, table, field, dependent_value, language=language)

    def get_form_specification(
        self,
        table: str | None = None,
        project: str | None = None,
        *,
        language: str = "en",
        refresh: bool = False,
    ) -> dict[str, Any]:
        """Return the form for a new ticket: its fields, what is offered for them, and how old that is.

        The instance is asked at most once an hour. Where it is down, the form offers what it told last; where
        its choices may not be read, those of the base system, marked so. Why stands in ``notes``; the shape
        is that of :func:`~airflow_provider_servicenow_dq.desk.form.specification`.

        :param table: By default the project's, which is ``incident`` unless it says another.
        :param project: Whose defaults it shows: id or key of a project; by default the built-in one.
        :param language: Of the labels; English where there is none in it.
        :param refresh: Ask the instance now, however young what it told last is.
        :raises ServiceNowConfigError: If there is no such project, or the connection cannot work as written.
        """
        from airflow_provider_servicenow_dq.hooks.form import form_specification  # noqa: PLC0415  # loads SQLAlchemy

        return form_specification(
            self.servicenow_conn_id, table=table, project=project, language=language, refresh=refresh
        )

    def find_open_tickets(
        self,
        dataset: str | Sequence[str],
        priority: str | int = 1,
        *,
        table: str | None = None,
        project: str | None = None,
    ) -> list[dict[str, Any]]:
        """Return the open tickets on a dataset that are as grave as asked for: what a gate looks at.

        Which tickets there are the store tells, which all workers must share; how they are now the instance
        is asked. What cannot be told stands in the way; the shape and the rules are those of
        :func:`~airflow_provider_servicenow_dq.desk.gate.find_open_tickets`.

        :param dataset: As its anomalies name it; one or several.
        :param priority: The least grave that counts: ``1`` to ``5``, or ``P1`` to ``P5``.
        :param table: By default the project's, which is ``incident`` unless it says another.
        :param project: Whose states count: id or key of a project; by default the built-in ones.
        :raises ServiceNowError: If the instance or the store cannot be asked, which is never an empty list.
        """
        from airflow_provider_servicenow_dq.hooks.gate import find_open_tickets  # noqa: PLC0415  # loads SQLAlchemy

        return find_open_tickets(
            self.servicenow_conn_id, dataset, priority=priority, table=table, project=project
        )

    def search_tickets(
        self, query: str, table: str = "incident", page: int = 1, size: int = 50
    ) -> dict[str, Any]:
        """Return a page of tickets, the newest first: ``items``, ``total``, ``page``, ``size``, ``pages``.

        :param query: A number, in any case, or words that the short description holds; nothing finds all.
        :param page: From 1.
        :param size: Items on a page, 1 to 100. Tickets that the user may not see count, and leave it short.
        :raises ServiceNowConfigError: If one of these is out of bounds.
        """
        from airflow_provider_servicenow_dq.desk.search import search_tickets  # noqa: PLC0415  # DAG files pay

        return search_tickets(self.table_api, query, table=table, page=page, size=size)

    def get_ticket(self, ticket_id: str, table: str = "incident") -> dict[str, Any]:
        """Return one ticket, with the keys of a result's ``ticket``.

        :param ticket_id: Number, sys_id or address of its record.
        :param table: Where it is looked for first; then among all tasks.
        :raises RecordNotFoundError: If there is no such ticket, or the user may not see it.
        :raises AmbiguousNameError: If several tickets have that number.
        :raises ServiceNowConfigError: If it names no ticket, or one of another instance.
        """
        from airflow_provider_servicenow_dq.desk.search import get_ticket  # noqa: PLC0415  # DAG files pay

        return get_ticket(self.table_api, ticket_id, table=table)

    def get_dictionary(self, table: str) -> Dictionary | None:
        """Return the columns of a table, inherited ones too; None if the user may not read the dictionary."""
        from airflow_provider_servicenow_dq.client.dictionary import read_dictionary  # noqa: PLC0415  # DAG files pay

        return read_dictionary(self.table_api, table)


def _writable(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the values.

    :raises ServiceNowConfigError: If they name a field that the platform itself keeps. An instance that is
        not hardened would take them, and falsify who made a record and when.
    """
    kept = sorted(name for name in values if name.startswith("sys_") and name != "sys_id")
    if kept:
        raise ServiceNowConfigError(
            f"{', '.join(kept)} cannot be written: the instance itself keeps these fields"
        )
    return values
