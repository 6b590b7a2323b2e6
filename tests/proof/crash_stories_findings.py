"""Stories of findings: tickets for them, and moving them from one ticket to another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from crash_story import NEW, SENT, UNSENT, Scenario

from airflow_provider_servicenow_dq.desk.push import Pushed
from airflow_provider_servicenow_dq.findings import asked, cases, opening
from airflow_provider_servicenow_dq.findings.parties import Caller, Side
from airflow_provider_servicenow_dq.projects.project import Project

if TYPE_CHECKING:
    from scenes import Scene

    from airflow_provider_servicenow_dq.desk.desk import Desk
    from airflow_provider_servicenow_dq.findings.parties import Answer, Sides

RESOLVED: Final = "6"

#: Case and ticket that a scene began with: to look for them would be a moment of its story.
_case_ids: Final[dict[str, str]] = {}
_numbers: Final[dict[str, str]] = {}


def _refs(*ids: str) -> dict[str, Any]:
    return {"data": [{"id": each, "type": "findings"} for each in ids]}


def _item(scene: Scene, title: str, *ids: str) -> dict[str, Any]:
    return {
        # So that the instance's incidents of this scene are found, and stand in one order.
        "attributes": {"title": f"{title} of {scene.name}.flights"},
        "relationships": {
            "findings": _refs(*ids),
            "project": {"data": {"id": "proof", "type": "projects"}},
        },
        "type": "servicenow_tickets",
    }


def _sides(desk: Desk, **rules: Any) -> Sides:
    return lambda name: Side(desk, Project(id=name, key="PROOF", **rules))


def _caller(scene: Scene, run: str) -> Caller:
    asking = scene.run(run, "findings")
    return Caller("svc", asking, asking.task)


def _came(answer: Answer) -> Pushed:
    return Pushed([], answer.failures, answer.pending)


def _create(scene: Scene, *items: dict[str, Any], run: str = "run", **rules: Any) -> Pushed:
    body = asked.read(asked.CreateTickets, {"data": list(items)})
    with scene.desk() as desk:
        return _came(opening.create(body, sides=_sides(desk, **rules), caller=_caller(scene, run)))


def _ticket(scene: Scene) -> Pushed:
    return _create(scene, _item(scene, "b", "one", "two"))


def _two_tickets(scene: Scene) -> Pushed:
    return _create(scene, _item(scene, "b", "one"), _item(scene, "c", "two"))


def _attach(scene: Scene) -> Pushed:
    number = _numbers[scene.name]
    data = _item(scene, "b", "three") | {"attributes": {"servicenow_ticket_url": number}}
    body = asked.read(asked.AttachTicket, {"data": data})
    with scene.desk() as desk:
        return _came(cases.attach_ticket(body, sides=_sides(desk), caller=_caller(scene, "run")))


def _attach_to_case(scene: Scene) -> Pushed:
    case_id = _case_ids[scene.name]
    with scene.desk() as desk:
        data = {"id": case_id, "relationships": {"findings": _refs("three")}, "type": "cases"}
        answer = cases.attach_case(
            case_id,
            asked.read(asked.AttachCase, {"data": data}),
            sides=_sides(desk),
            store=desk.store,
            caller=_caller(scene, "run"),
        )
    return _came(answer)


def _detach(scene: Scene, **rules: Any) -> Pushed:
    body = asked.read(asked.Detach, {"data": {"relationships": {"findings": _refs("one")}, "type": "cases"}})
    with scene.desk() as desk:
        answer = cases.detach(
            body,
            sides=_sides(desk, **rules),
            store=desk.store,
            namespace=desk.namespace,
            caller=_caller(scene, "run"),
        )
    return _came(answer)


def _opened(scene: Scene) -> None:
    _create(scene, _item(scene, "a", "one", "two"), run="before")


def _opened_case(scene: Scene) -> None:
    body = asked.read(asked.CreateTickets, {"data": [_item(scene, "a", "one", "two")]})
    with scene.desk() as desk:
        answer = opening.create(body, sides=_sides(desk), caller=_caller(scene, "before"))
    _case_ids[scene.name] = answer.cases[0].id
    _numbers[scene.name] = scene.incidents()[0]["number"]


def _opened_with_one(scene: Scene) -> None:
    _create(scene, _item(scene, "a", "one"), run="before", close_empty_cases=True)


def _losing_the_answer(scene: Scene) -> None:
    scene.control.fail_next("drop_after", method="POST", body=scene.name)


STORIES: Final[list[Scenario]] = [
    Scenario("a ticket for findings", _ticket, ((NEW, 0),), main=True, again=(SENT,)),
    Scenario("two tickets for findings", _two_tickets, ((NEW, 0), (NEW, 0))),
    Scenario(
        "a ticket for findings whose answer is lost", _ticket, ((NEW, 0),), _losing_the_answer, begins=UNSENT
    ),
    Scenario("findings that move to a new ticket", _ticket, ((NEW, 1), (NEW, 1)), _opened, main=True),
    Scenario("a finding that is attached", _attach, ((NEW, 1),), _opened_case),
    Scenario("a finding that is attached to a case", _attach_to_case, ((NEW, 1),), _opened_case),
    Scenario("a finding that is detached", _detach, ((NEW, 1),), _opened),
    Scenario(
        "the last finding of a case that is detached",
        lambda scene: _detach(scene, close_empty_cases=True),
        ((RESOLVED, 2),),
        _opened_with_one,
    ),
]
