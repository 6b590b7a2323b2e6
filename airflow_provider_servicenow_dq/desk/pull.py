"""Pulling what people did to tickets, so that nothing is missed and nothing told twice.

What was updated since the last time is read from the whole table and filtered here, so that it costs requests
by the number of changes and not of tickets. Every ticket is compared with what was told of it, under a lock,
so reading something again tells nothing: a stretch of time is always read again, for rows that are committed
late come with a stamp older than what was seen. What such a read cannot see is asked for by sys_id: tickets
that are new to us, and each time those that were not seen for longest, which may be gone.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from airflow_provider_servicenow_dq.client.ids import IDS_AT_ONCE
from airflow_provider_servicenow_dq.client.paging_by_time import STAMP
from airflow_provider_servicenow_dq.client.query import Query
from airflow_provider_servicenow_dq.client.recent import Recent
from airflow_provider_servicenow_dq.client.stamps import moment, written
from airflow_provider_servicenow_dq.desk.pulling import pulled_cases, pulled_journals, pulled_rows
from airflow_provider_servicenow_dq.store import pulling
from airflow_provider_servicenow_dq.store.bulk import batches
from airflow_provider_servicenow_dq.store.pulling import Watermark
from airflow_provider_servicenow_dq.tickets.told import FOLLOWED, VERSION

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from airflow_provider_servicenow_dq.desk.desk import Desk
    from airflow_provider_servicenow_dq.desk.pulling.pulled_rows import Record
    from airflow_provider_servicenow_dq.projects.project import Project

log = logging.getLogger(__name__)

#: How much is read again: an instance stamps a change when it begins and shows it when it is done, at most 60
#: seconds later by its own quota (docs: Default quota rules).
OVERLAP: Final = timedelta(seconds=180)
#: Where the two clocks have moved apart by more, one was set, and rows may stand before what was read.
_CLOCK_SET: Final = timedelta(seconds=120)

#: Tickets in hand at once, and in one transaction.
_AT_ONCE: Final = 500
_LOG_EVERY: Final = 5000

_FIELDS: Final = (
    "sys_id",
    "number",
    *FOLLOWED,
    *VERSION,
    "sys_updated_by",
    "resolved_at",
    "closed_at",
)


def pull(
    desk: Desk, rules: Project, *, include_notes: bool = True, reset: bool = False, dry_run: bool = False
) -> pulled_rows.Outcome:
    """Write down what people did to the tickets of a project's table since the last pull.

    :param include_notes: Read the journals of tickets that have changed, too; what is left out now comes with
        the next pull that reads them.
    :param reset: Read every ticket again instead of what was updated.
    :param dry_run: Only return what would be written down.
    :raises ServiceNowError: If something could not be read: what was written down before stays, and is not
        told again.
    """
    if not dry_run:
        pulled_cases.follow_project(desk, rules)
    outcome = pulled_rows.Outcome()
    _Pull(desk, rules, outcome, with_notes=include_notes and rules.sync.feeds_comments, dry_run=dry_run).run(
        reset=reset
    )
    return outcome


def pull_some(
    desk: Desk, rules: Project, sys_ids: Iterable[str], *, include_notes: bool = True
) -> pulled_rows.Outcome:
    """Write down what people did to some tickets, of which somebody has told us that they have changed.

    It is a short cut: how far the table was read stays as it is, so the next pull reads them again and tells
    nothing twice. Records that are no tickets of ours are passed over.

    :param sys_ids: Of records in the project's table.
    :raises ServiceNowError: If they could not be read.
    """
    outcome = pulled_rows.Outcome()
    pulling_them = _Pull(
        desk, rules, outcome, with_notes=include_notes and rules.sync.feeds_comments, dry_run=False
    )
    pulling_them.read_some(sys_ids)
    return outcome


class _Pull:
    def __init__(
        self, desk: Desk, rules: Project, outcome: pulled_rows.Outcome, *, with_notes: bool, dry_run: bool
    ) -> None:
        self._desk = desk
        self._rules = rules
        self._table = rules.table
        self._outcome = outcome
        self._with_notes = with_notes
        self._dry_run = dry_run
        self._ahead = timedelta()
        self._told = 0

    def run(self, *, reset: bool) -> None:
        desk = self._desk
        with desk.store.snapshot() as connection:
            mark = pulling.watermark(connection, desk.host, self._table)
            known = pulling.count(connection, desk.host, self._table)
        if mark is None and not known:
            return  # nobody is followed yet: who is opened later counts as told from then on
        self._ahead = timedelta(seconds=mark.ahead_s if mark else 0)
        recent = self._recent(mark) if mark is not None and not reset else None
        if mark is None or recent is None or self._is_dearer(recent, mark, known):
            newest = self._newest()
            self._read_all()
        else:
            newest = max(recent.newest, written(mark.read_to))
            self._read_changed(recent)
        if not self._dry_run:
            to = Watermark(min(moment(newest), self._now()), self._clock_ahead().total_seconds())
            with desk.store.begin() as connection:
                pulling.move_watermark(connection, desk.host, self._table, to)

    def read_some(self, sys_ids: Iterable[str]) -> None:
        with self._desk.store.snapshot() as connection:
            ours = pulling.known(connection, self._desk.host, self._table, sys_ids)
        self._by_sys_id(ours)

    def _recent(self, mark: Watermark) -> Recent:
        return Recent(
            self._desk.table_api, self._table, mark.read_to - OVERLAP, fields=_FIELDS, now=self._now
        )

    def _is_dearer(self, recent: Recent, mark: Watermark, known: int) -> bool:
        """Whether every ticket has to be read again, or that costs less than what was updated."""
        apart = abs(self._clock_ahead() - timedelta(seconds=mark.ahead_s))
        if apart > _CLOCK_SET or mark.read_to - self._now() > _CLOCK_SET:
            log.info("A clock was set by %s: every ticket of %s is read again", apart, self._table)
            return True
        if recent.pages > known / IDS_AT_ONCE + 2:
            log.info(
                "%s rows of %s were updated: its %s tickets are read again instead",
                recent.total,
                self._table,
                known,
            )
            return True
        return False

    def _newest(self) -> str:
        """Return the stamp of the newest row."""
        newest_first = Query().order_by(STAMP, descending=True)
        rows = self._desk.table_api.first_page(self._table, newest_first, fields=(STAMP, "sys_id"), limit=1)
        stamps = [str(row.get(STAMP) or "") for row in rows]
        # Rows that are hidden from us are not ours to follow.
        return next(filter(None, stamps), written(self._now()))

    def _read_all(self) -> None:
        with self._desk.store.snapshot() as connection:
            ids = pulling.all_of(connection, self._desk.host, self._table)
        self._by_sys_id(ids)

    def _read_changed(self, recent: Recent) -> None:
        desk, table = self._desk, self._table
        changed: dict[str, Record] = {}
        ids: dict[str, int] = {}
        for rows in batches(recent.rows(), 2 * _AT_ONCE):
            with desk.store.snapshot() as connection:
                ours = pulling.known(connection, desk.host, table, (row["sys_id"] for row in rows))
            ids |= ours
            changed |= {row["sys_id"]: row for row in rows if row["sys_id"] in ours}
        in_order = sorted(changed.values(), key=lambda row: (str(row.get(STAMP)), row["sys_id"]))
        for batch in batches(in_order, _AT_ONCE):
            self._keep({row["sys_id"]: (ids[row["sys_id"]], row) for row in batch})
        ended = {state for state in self._rules.states.inbound if self._rules.states.is_ended(state)}
        with desk.store.snapshot() as connection:
            others = pulling.longest_unseen(connection, desk.host, table, besides=ended, limit=IDS_AT_ONCE)
            others |= pulling.never_pulled(connection, desk.host, table)
            if self._with_notes:
                others |= pulling.with_journals_due(connection, desk.host, table)
        self._by_sys_id({sys_id: id_ for sys_id, id_ in others.items() if sys_id not in changed})

    def _by_sys_id(self, ids: Mapping[str, int]) -> None:
        """Read tickets by their sys_ids; one that is not shown is unknown."""
        with ThreadPoolExecutor(max_workers=self._desk.config.max_concurrency) as pool:
            for batch in batches(ids, _AT_ONCE):
                rows: dict[str, Record] = {}
                for found in pool.map(self._shown, batches(batch, IDS_AT_ONCE)):
                    rows |= {row["sys_id"]: row for row in found}
                self._keep({sys_id: (ids[sys_id], rows.get(sys_id)) for sys_id in batch})

    def _shown(self, sys_ids: Sequence[str]) -> list[Record]:
        return self._desk.table_api.first_page(
            self._table, Query.any_of("sys_id", sys_ids), fields=_FIELDS, limit=len(sys_ids)
        )

    def _keep(self, seen: Mapping[str, tuple[int, Record | None]]) -> None:
        """Compare tickets with what was told of them, and write down what is new."""
        desk = self._desk
        with desk.store.snapshot() as connection:
            before = pulling.by_ids(connection, (id_ for id_, _ in seen.values()))
        news = {
            sys_id: row
            for sys_id, (_, row) in seen.items()
            if sys_id in before and pulled_rows.may_be_news(before[sys_id], row, with_notes=self._with_notes)
        }
        journals = pulled_journals.Journals()
        if self._with_notes and news:
            wanted = [before[sys_id] for sys_id, row in news.items() if row is not None]
            journals = pulled_journals.read(desk, self._table, wanted, news, now=self._now())
            self._warn(journals.warnings)
        pulled_rows.keep(
            desk,
            self._rules,
            news,
            journals,
            ids={sys_id: id_ for sys_id, (id_, _) in seen.items()},
            noticed_at=written(self._now()),
            outcome=self._outcome,
            dry_run=self._dry_run,
        )
        told = self._outcome.tickets // _LOG_EVERY
        if told > self._told:
            self._told = told
            log.info("%s tickets of %s compared so far", self._outcome.tickets, self._table)

    def _warn(self, warnings: Iterable[str]) -> None:
        for warning in warnings:
            if warning not in self._outcome.warnings:
                self._outcome.warnings.append(warning)
                log.warning(warning)

    def _clock_ahead(self) -> timedelta:
        return self._desk.table_api.transport.clock.ahead

    def _now(self) -> datetime:
        """Return what time it is by the instance's clock, at most."""
        return self._desk.now() + max(self._ahead, self._clock_ahead())
