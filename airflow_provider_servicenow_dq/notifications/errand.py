"""Telling what happened: written down first, then delivered for as long as a DAG can be kept waiting."""

from __future__ import annotations

import logging
import re
import threading
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Self

from airflow_provider_servicenow_dq.anomalies.model import Anomaly, Severity
from airflow_provider_servicenow_dq.desk.open import Opening, deliver_reports, record_reports
from airflow_provider_servicenow_dq.desk.order import Order
from airflow_provider_servicenow_dq.desk.passes import QUIET, resolve_passed
from airflow_provider_servicenow_dq.exceptions import (
    DeliveryPendingError,
    DeliveryRefusedError,
    ServiceNowConfigError,
)
from airflow_provider_servicenow_dq.hooks.desk import open_desk
from airflow_provider_servicenow_dq.hooks.projects import choose
from airflow_provider_servicenow_dq.hooks.store import is_shared, open_store
from airflow_provider_servicenow_dq.hooks.tasks import user_of
from airflow_provider_servicenow_dq.notifications.occasions import Occasion, occasions_of
from airflow_provider_servicenow_dq.notifications.patience import LONGEST_S
from airflow_provider_servicenow_dq.projects.columns import column_text
from airflow_provider_servicenow_dq.store import recorded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from airflow.sdk import Connection

    from airflow_provider_servicenow_dq.desk.desk import Desk
    from airflow_provider_servicenow_dq.desk.push import Pushed
    from airflow_provider_servicenow_dq.hooks.servicenow import ServiceNowHook
    from airflow_provider_servicenow_dq.notifications.servicenow import ServiceNowNotifier
    from airflow_provider_servicenow_dq.projects.project import Project
    from airflow_provider_servicenow_dq.store.store import Store

log = logging.getLogger(__name__)

_LATER: Final = (
    "It is written down in the store; the servicenow_sync DAG, or any task with ServiceNowDeliverOperator, "
    "delivers it"
)
_NOBODY_LATER: Final = (
    "It is written down, but in a store that only this machine has ([core] executor runs tasks on other "
    "machines, and [servicenow_dq] store is a SQLite file), so that nobody may deliver it: name a PostgreSQL "
    "database there"
)
_PLACEHOLDER: Final = re.compile(rf"(\{{(?:{'|'.join([*Anomaly.model_fields, 'anomaly_id'])})\}})")


@dataclass(slots=True)
class Delivery:
    """How far it is, for whoever waits.

    :param written: Everything is in the store.
    :param finished: There is no more to come.
    :param failed: What ended it.
    """

    written: threading.Event = field(default_factory=threading.Event)
    finished: threading.Event = field(default_factory=threading.Event)
    came: list[Opening | Pushed] = field(default_factory=list)
    failed: Exception | None = None


@dataclass(frozen=True, slots=True)
class Errand:
    """What is to be told, and to whom.

    :param is_shared: Whether somebody else may deliver what is left in the store.
    """

    hook: ServiceNowHook
    project: Project
    occasions: Sequence[Occasion]
    columns: Mapping[str, str]
    store: Store
    is_shared: bool
    user: str | None = None

    @classmethod
    def of(
        cls,
        notifier: ServiceNowNotifier,
        context: Mapping[str, Any],
        find_connection: Callable[[str], Connection],
    ) -> Self:
        """Read what the context tells, and everything that only Airflow can tell.

        :raises ServiceNowConfigError: If a parameter of the notifier makes no sense.
        """
        severity = _severity(notifier.severity)
        occasions = occasions_of(context, dataset=notifier.dataset)
        hook, project = choose(notifier.servicenow_conn_id, notifier.project, find_connection=find_connection)
        hook.instance_config()
        return cls(
            hook,
            project,
            [_graded(occasion, severity) for occasion in occasions],
            _columns(notifier),
            open_store(find_connection=find_connection),
            is_shared(find_connection),
            user_of(context),
        )

    @property
    def about(self) -> str:
        """What it is about, in words."""
        return ", ".join(dict.fromkeys(occasion.about for occasion in self.occasions))

    def start(self) -> Delivery:
        """Begin in a thread that keeps no process alive: what it leaves behind, the outbox knows."""
        delivery = Delivery()
        threading.Thread(
            target=self._carry_out, args=(delivery,), name="servicenow-notifier", daemon=True
        ).start()
        return delivery

    def conclude(self, delivery: Delivery) -> None:
        """Say what came of it within the time.

        :raises ServiceNowError: If it is lost, or nobody is going to deliver it.
        """
        if not delivery.finished.is_set():
            self._conclude_unfinished(delivery)
            return
        if delivery.failed is not None:
            self._conclude_failed(delivery.failed, is_written=delivery.written.is_set())
            return
        for came in delivery.came:
            for result in came.results:
                if result["action"] != "suppressed":
                    log.info("%s: %s", result["action"], result["message"])
                for warning in result["warnings"]:
                    log.warning("%s: %s", self.about, warning)
        failures = list(dict.fromkeys(words for came in delivery.came for words in came.failures))
        if not failures:
            return
        words = "; ".join(failures)
        if all(not came.pending for came in delivery.came):
            raise DeliveryRefusedError(
                f"{self.about}: ServiceNow refuses it. {words}. What it refused for good is listed by "
                "servicenow-dq outbox list --state dead; the rest waits until the cause is mended"
            )
        self._left(f"{self.about}: ServiceNow has not taken everything yet. {words}")

    def _conclude_unfinished(self, delivery: Delivery) -> None:
        if delivery.written.is_set():
            self._left(f"{self.about}: ServiceNow has not taken everything within {LONGEST_S:.0f} s")
            return
        raise DeliveryPendingError(
            f"{self.about}: the store has not answered within {LONGEST_S:.0f} s, so it is not known whether "
            f"what happened is written down. If it is not, there will be no ticket"
        )

    def _left(self, words: str) -> None:
        if not self.is_shared:
            raise DeliveryPendingError(f"{words}. {_NOBODY_LATER}")
        log.warning("%s. %s", words, _LATER)

    def _conclude_failed(self, error: Exception, *, is_written: bool) -> None:
        if is_written:
            self._left(f"{self.about}: ServiceNow has not taken everything yet. {error}")
            return
        raise DeliveryPendingError(
            f"{self.about}: there will be no ticket, for nothing could be written down: {error}"
        ) from error

    def _carry_out(self, delivery: Delivery) -> None:
        try:
            with open_desk(self.hook, store=self.store) as desk:
                self._work(desk, delivery)
        except Exception as error:  # noqa: BLE001 (it is raised where somebody hears it)
            delivery.failed = error
        finally:
            delivery.finished.set()

    def _work(self, desk: Desk, delivery: Delivery) -> None:
        written = []
        for occasion in self._to_tell(desk):
            order = Order(self.project, self._titled(occasion), user=self.user)
            items = record_reports(desk, occasion.anomalies, order=order, run=occasion.run)
            written.append((items, order, occasion.run))
        delivery.written.set()
        for items, order, run in written:
            delivery.came.append(deliver_reports(desk, items, order=order, run=run))
        for occasion in self.occasions:
            if occasion.passes:
                delivery.came.append(self._resolve(desk, occasion))

    def _to_tell(self, desk: Desk) -> list[Occasion]:
        """Return what is wrong, without what tasks have told themselves."""
        wrong = [occasion for occasion in self.occasions if occasion.anomalies]
        if not any(occasion.is_second_hand for occasion in wrong):
            return wrong
        with desk.store.snapshot() as connection:
            return [
                occasion
                for occasion in wrong
                if not (
                    occasion.is_second_hand
                    and recorded.has_reported(connection, desk.host, occasion.run.task)
                )
            ]

    def _titled(self, occasion: Occasion) -> dict[str, str]:
        title = {"short_description": occasion.title} if occasion.title else {}
        return {**title, **self.columns}

    def _resolve(self, desk: Desk, occasion: Occasion) -> Pushed:
        """Resolve as often as the project says; where it does not say, the notifier does so at once."""
        counted = bool(self.project.resolve_after)
        rules = self.project if counted else self.project.changed({"resolve_after": 1})
        return resolve_passed(
            desk,
            occasion.passes,
            failed=(),
            rules=rules,
            run=occasion.run,
            quiet=QUIET if counted else timedelta(0),
        )


def _severity(word: str | None) -> Severity | None:
    if not word:
        return None
    try:
        return Severity(word.strip().lower())
    except ValueError:
        raise ServiceNowConfigError(f"severity must be {', '.join(Severity)}, not {word!r}") from None


def _graded(occasion: Occasion, severity: Severity | None) -> Occasion:
    if severity is None:
        return occasion
    anomalies = [anomaly.model_copy(update={"severity": severity}) for anomaly in occasion.anomalies]
    return replace(occasion, anomalies=anomalies)


def _columns(notifier: ServiceNowNotifier) -> dict[str, str]:
    texts = {"short_description": notifier.short_description, "description": notifier.description}
    columns = {name: text for name, text in texts.items() if text is not None}
    additional = dict(notifier.additional_fields or {})
    if both := sorted(columns.keys() & additional.keys()):
        raise ServiceNowConfigError(f"{', '.join(both)} given twice: as a parameter and in additional_fields")
    return {name: _only_fields(column_text(value)) for name, value in {**columns, **additional}.items()}


def _only_fields(text: str) -> str:
    """Return a text in which braces are those of anomaly fields alone.

    What a template has put in, such as the text of an exception, may hold any; it must not cost the ticket.
    """
    parts = _PLACEHOLDER.split(text)
    parts[::2] = [part.replace("{", "{{").replace("}", "}}") for part in parts[::2]]
    return "".join(parts)
