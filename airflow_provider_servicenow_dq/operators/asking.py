"""How a task asks about findings: for real or as a try-out, and what it says of the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow_provider_servicenow_dq.hooks.tasks import run_of, user_of
from airflow_provider_servicenow_dq.links.servicenow import URL_KEY
from airflow_provider_servicenow_dq.operators.running import failure, longest_wait, say_writes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Protocol

    from airflow.sdk import Context

    from airflow_provider_servicenow_dq.anomalies.model import Anomaly
    from airflow_provider_servicenow_dq.desk.rehearsal import Write
    from airflow_provider_servicenow_dq.findings.asked import CreateTickets
    from airflow_provider_servicenow_dq.findings.parties import Answer, Caller, Sides
    from airflow_provider_servicenow_dq.findings.shown import CaseData
    from airflow_provider_servicenow_dq.store.store import Store

    # Made for each DAG file that is parsed, a protocol costs a millisecond.
    class Asks(Protocol):
        """What these operators have in common."""

        servicenow_conn_id: str
        dry_run: bool

        @property
        def log(self) -> Any:
            """Where it says what it does."""


#: Version of what these operators return.
SCHEMA_VERSION: Final = 1
#: Length to which values that would be sent are cut for an XCom.
_SHOWN: Final = 160


def ask(
    operator: Asks,
    context: Context,
    asking: Callable[[Sides, Store, Caller], Answer],
    *,
    ids: Sequence[str],
    known: Sequence[Anomaly] = (),
    body: CreateTickets | None = None,
) -> list[dict[str, Any]]:
    """Ask, log what came of it, and return the cases as plain JSON; fail the task if not all was delivered.

    :param ids: Of the findings that are asked about.
    :param known: What is known of them.
    :param body: Of a request that must not be answered twice: this task's, as long as it says the same.
    """
    from airflow_provider_servicenow_dq import settings  # noqa: PLC0415 (DAG files pay for it)
    from airflow_provider_servicenow_dq.findings import asked, rehearsing, wrong  # noqa: PLC0415 (loads SQLAlchemy)
    from airflow_provider_servicenow_dq.findings.parties import Caller  # noqa: PLC0415 (as above)
    from airflow_provider_servicenow_dq.hooks.findings import open_sides  # noqa: PLC0415 (loads requests)
    from airflow_provider_servicenow_dq.hooks.store import open_store  # noqa: PLC0415 (loads SQLAlchemy)

    run = run_of(context)
    key = f"{run.task}|{asked.content_hash(body)}" if body is not None and "ti" in context else None
    caller = Caller(user_of(context) or "airflow", run, key, is_task=key is not None)
    try:
        with open_sides(operator.servicenow_conn_id, only_reads=operator.dry_run) as sides:
            store = open_store(needs_shared_store=True)
            if operator.dry_run:
                operator.log.info("Dry run: what follows is tried out, and nothing is sent")
                namespace = settings.namespace()
                with rehearsing.rehearsing(
                    sides, store, ids, namespace=namespace, caller=caller, body=body
                ) as rehearsal:
                    _know(rehearsal.memory, known)
                    came = asking(rehearsal.side, rehearsal.memory, caller)
                say_writes(rehearsal.writes)
                shown = [_rehearsed(case, rehearsal.writes) for case in came.cases]
            else:
                _know(store, known)
                came = asking(sides, store, caller)
                shown = [_plain(case) for case in came.cases]
    except (wrong.BadRequestError, wrong.NotFoundError) as error:
        raise failure([str(error)], refused=True, retry_after=None) from error
    _say(operator, context, shown)
    if came.failures:
        if "ti" in context:
            context["ti"].xcom_push(key="return_value", value=shown)
        raise failure(came.failures, refused=not came.pending, retry_after=longest_wait(came.pending))
    return shown


def _know(store: Store, known: Sequence[Anomaly]) -> None:
    from airflow_provider_servicenow_dq import settings  # noqa: PLC0415 (DAG files pay for it)
    from airflow_provider_servicenow_dq.desk.desk import utc_now  # noqa: PLC0415 (loads SQLAlchemy)
    from airflow_provider_servicenow_dq.findings import recording  # noqa: PLC0415 (loads SQLAlchemy)

    if known:
        with store.begin() as connection:
            recording.know(connection, known, namespace=settings.namespace(), now=utc_now())


def _plain(case: CaseData) -> dict[str, Any]:
    return {"schema_version": SCHEMA_VERSION, **case.model_dump(mode="json", exclude_none=True)}


def _rehearsed(case: CaseData, writes: Sequence[Write]) -> dict[str, Any]:
    """Return a case as one that is not there, with what would be sent for its ticket."""
    plain = _plain(case)
    ticket = plain["attributes"].pop("servicenow_ticket", {})
    sys_id = ticket.get("result", {}).get("sys_id")
    shown = [write.shown(_SHOWN) for write in writes if write.sys_id == sys_id]
    return {**plain, "dry_run": True, "would_send": shown}


def _say(operator: Asks, context: Context, shown: Sequence[Mapping[str, Any]]) -> None:
    address = None
    for case in shown:
        ticket = case["attributes"].get("servicenow_ticket") or {"status": "no ticket"}
        result = ticket.get("result", {})
        address = address or result.get("sys_target_link")
        words = ticket.get("error_message") or result.get("sys_target_link") or ""
        operator.log.info("%s: %s %s", case["attributes"]["key"], ticket["status"], words)
    if address and "ti" in context:
        context["ti"].xcom_push(key=URL_KEY, value=address)
