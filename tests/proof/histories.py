"""Random histories: what tasks report and push, what goes wrong meanwhile, and what people do to tickets.

A seed makes a history, always the same one; what comes of it also depends on who is how fast.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any, Final

#: Leases end after twice, doubts after three times as long.
TIMEOUT_S: Final = 0.4

#: The problems that there are.
CHECKS: Final = ("a", "b", "c", "d")
SEVERITIES: Final = ("low", "medium", "high", "critical")

#: Rules of a project, and how often they are met.
_RULES: Final[tuple[tuple[dict[str, Any], int], ...]] = (
    ({}, 5),
    ({"max_new_tickets": 1}, 2),
    ({"max_new_tickets": 2}, 1),
    ({"group_by": "dataset"}, 2),
    ({"group_by": "dag_run"}, 1),
    ({"on_refire": "new"}, 1),
    ({"on_refire": "note"}, 1),
)

_ANY_FAULTS: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("drop_before", {}),
    ("delay", {"seconds": TIMEOUT_S + 0.15, "when": "before"}),
    ("delay", {"seconds": TIMEOUT_S + 0.15, "when": "after"}),
    ("accepted", {}),
    ("rate_limited", {"retry_after": 1}),
    ("semaphores_full", {}),
    ("error_before", {}),
    ("error_before", {"retry_after": 1}),
    ("cancelled", {}),
    ("cancelled", {"parsable": False}),
    ("cancelled", {"executed": False}),
    ("hibernating", {}),
    ("login", {}),
    ("offline", {"status": 503}),
    ("unauthorized", {}),
    ("api_acl", {}),
)
_WRITE_FAULTS: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("drop_after", {}),
    ("late_commit", {"hang_s": 0.0, "after_s": 0.3}),
    ("late_commit", {"hang_s": 0.0, "after_s": 0.6}),
    ("late_commit", {"hang_s": TIMEOUT_S + 0.1, "after_s": 0.15}),
    ("error_after", {}),
    ("error_after", {"status": 500}),
    ("forbidden_but_done", {}),
)

FAULTS: Final = {kind for kind, _ in (*_ANY_FAULTS, *_WRITE_FAULTS)}

#: What a person does to a ticket; playing says how.
DEEDS: Final = (
    "assign",
    "work",
    "hold",
    "edit",
    "note",
    "copy",
    "comment",
    "resolve",
    "close",
    "duplicate",
    "cancel",
)


@dataclass(frozen=True)
class History:
    """What happens, in plain JSON so that it can be printed, cut down by hand and played again.

    :param instance: ``honouring`` or ``hardened``: what it does with the sys_id that we choose.
    :param clock_offset_s: By how much its clock is ahead of ours.
    :param rules: Of the project that all reports share.
    """

    seed: int
    instance: str
    clock_offset_s: int
    rules: dict[str, Any]
    columns: dict[str, str]
    actions: list[dict[str, Any]] = field(default_factory=list)

    @property
    def latest_s(self) -> float:
        """How long after it was dropped a request may still be committed, at most."""
        late = [each["options"] for each in self.actions if each.get("kind") == "late_commit"]
        return max((options["after_s"] for options in late), default=0.0)


def make(seed: int) -> History:
    """Return the history of a seed."""
    dice = random.Random(seed)  # noqa: S311 (no secret comes of it)
    (rules,) = dice.choices([rules for rules, _ in _RULES], [weight for _, weight in _RULES])
    columns = {"category": "no such category"} if dice.random() < 0.2 and "group_by" not in rules else {}
    instance = "hardened" if dice.random() < 0.4 else "honouring"
    history = History(seed, instance, dice.choice([0, 0, 0, 0, 300, -300]), rules, columns)
    maker = _Maker(dice, history)
    for _ in range(dice.randint(4, 8)):
        action = maker.action()
        if action["do"] in {"task", "two"} and dice.random() < 0.4:
            history.actions.append(maker.fault(action))
        history.actions.append(action)
    return history


class _Maker:
    def __init__(self, dice: random.Random, history: History) -> None:
        self.dice = dice
        self.alone = not {"group_by", "max_new_tickets"} & history.rules.keys()
        self.tasks: list[dict[str, Any]] = []
        self.comments = 0
        self.lost = self.apart = self.linked = False

    def action(self) -> dict[str, Any]:
        makers = [
            (self._one, 10),
            (self._two, 3),
            (self._apart, 1),
            (self._again, 2),
            (lambda: {"do": "person", **self._person()}, 4),
            (self._interfered, 2),
            (lambda: {"do": "task", **self._fated({"what": "deliver"})}, 1),
            (lambda: {"do": "task", **self._fated({"what": "pull"})}, 2),
            (lambda: {"do": "journal_acl", "on": self.dice.random() < 0.7}, 1),
            (self._lose, 1),
        ]
        (maker,) = self.dice.choices([maker for maker, _ in makers], [weight for _, weight in makers])
        return maker()

    def _one(self) -> dict[str, Any]:
        return {"do": "task", **self._fated(self._task())}

    def _two(self) -> dict[str, Any]:
        one = self._task()
        other = self._like(one) if self.dice.random() < 0.6 else self._task()
        return {"do": "two", "tasks": [self._fated(one), self._fated(other)]}

    def _apart(self) -> dict[str, Any]:
        """Let two report the same at once that do not know of each other: they share no store."""
        if self.lost or self.linked or not self.alone:
            return self._two()
        self.apart = True
        one = self._report()
        other = {**self._like(one), "store": "other"}
        return {"do": "two", "tasks": [self._fated(one), self._fated(other)]}

    def _again(self) -> dict[str, Any]:
        return {"do": "task", **self._fated(self.dice.choice(self.tasks))} if self.tasks else self._one()

    def _interfered(self) -> dict[str, Any]:
        after_s = self.dice.choice([0.02, 0.1, 0.2, 0.4])
        return {**self._one(), "person": {**self._person(), "after_s": after_s}}

    def _lose(self) -> dict[str, Any]:
        if self.lost or self.apart or self.linked or not self.tasks or not self.alone:
            return self._one()
        self.lost = True
        return {"do": "lose the store"}

    def _task(self) -> dict[str, Any]:
        makers = [self._report, self._status, self._remarks, self._link]
        (make_one,) = self.dice.choices(makers, [5, 2, 3, 1])
        return make_one()

    def _report(self) -> dict[str, Any]:
        number = self.dice.choice([1, 1, 1, 2, 2, 3, 4, 6])
        return self._kept({"what": "report", "anomalies": [self._sighting() for _ in range(number)]})

    def _status(self) -> dict[str, Any]:
        status = self.dice.choice(["resolved", "acknowledged", "active", "invalid"])
        check, minute = self._known(), len(self.tasks)
        return self._kept({"what": "status", "check": check, "status": status, "minute": minute})

    def _remarks(self) -> dict[str, Any]:
        check = self._known()
        return self._kept({"what": "comments", "check": check, "comments": self._comments()})

    def _link(self) -> dict[str, Any]:
        """Let a person link a problem to a ticket of theirs; only the store knows of it."""
        if self.lost or self.apart or not self.alone:
            return self._remarks()
        self.linked = True
        return self._kept({"what": "link", "check": self._known()})

    def _known(self) -> str:
        """Return a problem that has been reported, if there is one."""
        reported = [each[0] for task in self.tasks for each in task.get("anomalies", ())]
        return self.dice.choice(reported or CHECKS)

    def _kept(self, task: dict[str, Any]) -> dict[str, Any]:
        """Name a task, and remember it so that it can run again."""
        named = {**task, "run": f"run {self.dice.randint(1, 3)}", "task": f"task {len(self.tasks) + 1}"}
        self.tasks.append(named)
        return named

    def _like(self, task: dict[str, Any]) -> dict[str, Any]:
        """Return another task of the same run that has to do with the same."""
        return {**task, "task": f"{task['task']} as well"}

    def _sighting(self) -> list[Any]:
        hour = self.dice.choice([None, None, 0, 1, 2, 3])
        return [self.dice.choice(CHECKS), hour, self.dice.choice(SEVERITIES)]

    def _comments(self) -> list[list[str]]:
        said = []
        for _ in range(self.dice.randint(2, 3)):
            self.comments += 1
            # Few texts, so that equal ones are said on purpose.
            text = self.dice.choice(["rows missing", "rows missing", "rows missing", "looking into it"])
            said.append([f"comment {self.comments}", text])
        return said

    def _fated(self, task: dict[str, Any]) -> dict[str, Any]:
        luck = self.dice.random()
        step = 1 + int(self.dice.expovariate(1 / 25))
        if luck < 0.25:
            return {**task, "killed_at": step}
        if luck < 0.33:
            return {**task, "paused_at": step}
        return task

    def fault(self, action: dict[str, Any]) -> dict[str, Any]:
        """Return what goes wrong while something is done."""
        pushes = action.get("what") in {"status", "comments", "link"}
        method = self.dice.choice(["PATCH", "PATCH", "GET"] if pushes else ["POST", "POST", "PATCH", "GET"])
        kinds = _ANY_FAULTS if method == "GET" else (*_ANY_FAULTS, *_WRITE_FAULTS, *_WRITE_FAULTS)
        kind, options = self.dice.choice(kinds)
        count, skip = self.dice.choice([1, 1, 1, 2]), self.dice.choice([0, 0, 0, 1])
        return {
            "do": "fault",
            "kind": kind,
            "method": method,
            "options": options,
            "count": count,
            "skip": skip,
        }

    def _person(self) -> dict[str, Any]:
        return {"act": self.dice.choice(DEEDS), "pick": self.dice.randint(0, 5)}
