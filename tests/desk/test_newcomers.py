"""An anomaly that comes to a ticket of several after it was ended was never anybody's to see."""

from __future__ import annotations

import pytest
from reporting import actions, anomaly, incidents, report

ENDS = {
    "resolved": ("beth.anglin", {"state": "6", "close_code": "Solution provided", "close_notes": "done"}),
    "closed": ("admin", {"state": "7", "close_code": "Solution provided", "close_notes": "done"}),
    "closed as a duplicate": ("admin", {"state": "7", "close_code": "Duplicate", "close_notes": "known"}),
    "canceled": ("admin", {"state": "8"}),
}


@pytest.fixture(params=ENDS.values(), ids=ENDS.keys())
def ended_group(desk, sandbox, request):
    """A ticket of one dataset that lists *a* and that somebody has ended."""
    report(desk, anomaly("a"), group_by="dataset")
    who, values = request.param
    (incident,) = incidents(sandbox)
    sandbox.act_as(who, "incident", incident["sys_id"], values)


@pytest.mark.parametrize("on_refire", ["reopen", "new", "note", "nothing"])
def test_a_newcomer_is_on_an_open_ticket_however_old_it_is(desk, sandbox, ended_group, on_refire):
    report(desk, anomaly("b"), group_by="dataset", on_refire=on_refire)

    still_open = [each for each in incidents(sandbox) if each["state"] in {"1", "2"}]
    texts = [text for each in still_open for text in (each["description"], *sandbox.notes(each["sys_id"]))]
    assert any(" b on nyc.flights" in text for text in texts)


def test_what_was_on_it_is_still_told_from_what_is_new(desk, sandbox, ended_group):
    again = report(desk, anomaly("a", hour=1), group_by="dataset")

    assert actions(again)[0] in {"unchanged", "suppressed"}
    assert len(incidents(sandbox)) == 1
