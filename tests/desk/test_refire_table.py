"""What a further report of a problem becomes, by the state of its ticket, the policy and when it was seen.

The table below is what is promised; the other one is read off what stands on the instance afterwards.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from itertools import product

import requests
from reporting import anomaly, incidents, report

from airflow_provider_servicenow_dq.anomalies.model import Status
from airflow_provider_servicenow_dq.desk.desk import Run
from airflow_provider_servicenow_dq.desk.push import push_status
from airflow_provider_servicenow_dq.projects.project import Project

#: ``-``: nothing; ``muted``: nothing, and the result says so; ``note``: one more note; ``reopen``: In
#: Progress, with a note; ``new``: a successor that names it; ``again``: the deleted one, anew; ``refused``:
#: nothing, and a dead letter; ``.``: as to its left, and not played. Times count from when it was ended.
PROMISED = """
                                  known    -1 h     71 h     73 h     29 d     31 d
whatever on_refire is
  New                             -        note     note     .        .        .
  In Progress                     -        note     note     .        .        .
  On Hold                         -        note     note     .        .        .
  a state of its own              -        note     note     .        .        .
  one that stands for discarded   -        new      new      .        .        .
  one that stands for invalid     -        muted    muted    .        muted    new
  Closed                          -        -        new      .        .        .
  Resolved, then Closed           -        -        new      .        .        .
  Closed as a duplicate           -        muted    muted    .        muted    new
  Closed as a false positive      -        muted    muted    .        muted    new
  Canceled                        -        -        new      .        .        .
  deleted                         -        again    again    .        .        .
  hidden                          -        refused  refused  .        .        .
on_refire is reopen
  Resolved by us                  -        -        reopen   new      .        new
  Resolved by people              -        -        reopen   new      .        new
  Resolved as a duplicate         -        muted    muted    .        muted    new
  Resolved as a false positive    -        muted    muted    .        muted    new
on_refire is new
  Resolved by us                  -        -        new      new      .        new
  Resolved by people              -        -        new      new      .        new
  Resolved as a duplicate         -        muted    muted    .        muted    new
  Resolved as a false positive    -        muted    muted    .        muted    new
on_refire is note
  Resolved by us                  -        -        note     note     .        note
  Resolved by people              -        -        note     note     .        note
  Resolved as a duplicate         -        muted    muted    .        muted    note
  Resolved as a false positive    -        muted    muted    .        muted    note
on_refire is nothing
  Resolved by us                  -        -        -        -        .        -
  Resolved by people              -        -        -        -        .        -
  Resolved as a duplicate         -        muted    muted    .        muted    -
  Resolved as a false positive    -        muted    muted    .        muted    -
"""

KNOWN = "known"
LATER = {
    "-1 h": timedelta(hours=-1),
    "71 h": timedelta(hours=71),
    "73 h": timedelta(hours=73),
    "29 d": timedelta(days=29),
    "31 d": timedelta(days=31),
}
POLICIES = ("reopen", "new", "note", "nothing")

#: What an administrator of this instance has added.
ADDED = {
    "choice": [
        "incident.state=1:New|2:In Progress|3:On Hold|6:Resolved|7:Closed|8:Canceled|20:Vendor|21:No|22:Fine",
        "incident.close_code=Solution provided|Known error|Duplicate|False positive",
    ],
    "hidden": ["incident when short_descriptionLIKEhidden"],
}
INBOUND = {"21": "discarded", "22": "invalid"}


def ended(state, code="Solution provided"):
    return {"state": state, "close_code": code, "close_notes": "done"}


#: What people do to a ticket so that it comes to be as its row says.
DEEDS = {
    "In Progress": [{"state": "2"}],
    "On Hold": [{"state": "3", "hold_reason": "1"}],
    "a state of its own": [{"state": "20"}],
    "one that stands for discarded": [{"state": "21"}],
    "one that stands for invalid": [{"state": "22"}],
    "Closed": [ended("7")],
    "Resolved, then Closed": [ended("6"), ended("7")],
    "Closed as a duplicate": [ended("7", "Duplicate")],
    "Closed as a false positive": [ended("7", "False positive")],
    "Canceled": [{"state": "8"}],
    "Resolved by people": [ended("6", "Known error")],
    "Resolved as a duplicate": [ended("6", "Duplicate")],
    "Resolved as a false positive": [ended("6", "False positive")],
}
#: Nobody does anything to these, we do, or they go.
OTHERS = ("New", "Resolved by us", "deleted", "hidden")


def cells(table):
    """Return what a table says, by state, policy and occurrence."""
    header, *lines = table.strip("\n").splitlines()
    columns = [word.strip() for word in header.split("  ") if word]
    found, policies = {}, ()
    for line in lines:
        if not line.startswith("  "):
            policies = POLICIES if "whatever" in line else (line.rpartition(" ")[2],)
            continue
        state, said = line[2:34].strip(), line[34:].split()
        for policy, (seen, word) in product(policies, zip(columns, said, strict=True)):
            if word != ".":
                found[state, policy, seen] = word
    return found


def test_what_a_further_report_becomes(desk, sandbox):
    promised = cells(PROMISED)
    sandbox.configure(choice=ADDED["choice"])
    try:
        played = play(desk, sandbox, [case for case in promised if case[2] != KNOWN])
    finally:
        sandbox.configure(choice=[])

    wrong = {case: played[case] for case in promised if played[case] != promised[case]}
    assert wrong == {}, "\n".join(f"{case}: {word}, not {promised[case]}" for case, word in wrong.items())
    assert {case[:2] for case in played} == set(product([*DEEDS, *OTHERS], POLICIES))


def play(desk, sandbox, cases):
    """Open a ticket for each case, bring it where the case wants it, and report its problem twice more.

    First as it was seen before, which is one case of each state and policy, then as the case wants it.
    """
    first_seen = datetime.now(UTC) - timedelta(hours=2)
    problems = {case: anomaly("; ".join(case), detected_at=first_seen) for case in cases}
    rules = {"max_new_tickets": len(cases), "status": {"inbound": INBOUND}}
    report(desk, *problems.values(), run="first", **rules)
    before = bring(desk, sandbox, problems, rules)
    sandbox.configure(hidden=ADDED["hidden"])
    known = report_again(desk, problems, "known", rules)
    words = defaultdict(set)
    for case, word in became(sandbox, before, known).items():
        words[*case[:2], KNOWN].add(word)
    ended_at = datetime.now(UTC)
    later = {
        case: each.model_copy(update={"detected_at": ended_at + LATER[case[2]]})
        for case, each in problems.items()
    }
    played = became(sandbox, before, report_again(desk, later, "next", rules))
    return played | {case: " or ".join(sorted(each)) for case, each in words.items()}


def report_again(desk, problems, run, rules):
    """Report problems under the policies that their cases want; return the results."""
    told = {}
    for policy in POLICIES:
        mine = {case: each for case, each in problems.items() if case[1] == policy}
        results = report(desk, *mine.values(), run=run, on_refire=policy, **rules).results
        told |= dict(zip(mine, results, strict=True))
    return told


def title(case):
    """Return what the ticket of a case is called."""
    return f"{'; '.join(case)} failed on nyc.flights"


def bring(desk, sandbox, problems, rules):
    """Let people, and us, do to the tickets what their cases say; return them as they are then."""
    there = looked(sandbox)
    for case in problems:
        ((_, row, _),) = there[title(case)]
        for values in DEEDS.get(case[0], ()):
            sandbox.act_as("admin", "incident", row["sys_id"], values)
        if case[0] == "deleted":
            delete(sandbox, row["sys_id"])
    ours = [
        each.model_copy(update={"status": Status.RESOLVED})
        for case, each in problems.items()
        if case[0] == "Resolved by us"
    ]
    push_status(desk, ours, run=Run("dag", "first", "push"), project=Project(**rules))
    now = looked(sandbox)
    return {name: now.get(name, found) for name, found in there.items()}


def delete(sandbox, sys_id):
    gone = requests.delete(
        f"{sandbox.url}/api/now/table/incident/{sys_id}", auth=("admin", "admin"), timeout=30
    )
    gone.raise_for_status()


def looked(sandbox):
    """Return the tickets of each title with the number of their notes, oldest first."""
    found = defaultdict(list)
    for row in sorted(incidents(sandbox), key=lambda each: each["number"]):
        found[row["short_description"]].append((row["number"], row, len(sandbox.notes(row["sys_id"]))))
    return found


#: How results name what became of a report.
ACTIONS = {
    "-": "unchanged",
    "note": "noted",
    "reopen": "reopened",
    "new": "created",
    "again": "created",
}


def became(sandbox, before, told):
    """Return the words for what has happened on the instance, if that is also what we were told."""
    after = looked(sandbox)
    return {case: word_for(before[title(case)], after[title(case)], told[case]) for case in told}


def word_for(before, after, told):
    ((number, old, notes),) = before
    (_, new, noted), *others = after or before
    reopened = int(new["reopen_count"] or 0) - int(old["reopen_count"] or 0)
    match (new["state"] == old["state"], noted - notes, reopened, len(others)):
        case (True, 0, 0, 0) if new["number"] != number:
            word = "again" if new["sys_id"] == old["sys_id"] else "another"
        case (True, 0, 0, 0):
            word = "-" if told["delivered"] else "refused"
        case (True, 1, 0, 0):
            word = "note"
        case (False, 1, 1, 0) if new["state"] == "2":
            word = "reopen"
        case (True, 0, 0, 1):
            word = "new" if follows(others[0][1], old) else "another"
        case changes:
            word = str(changes)
    if (word, told["action"], told["ticket"]) == ("-", "suppressed", None) and "muted until" in told[
        "message"
    ]:
        return "muted"
    says_so = word == "refused" or told["action"] == ACTIONS.get(word)
    return word if says_so else f"{word}, told as {told['action']}: {told['message']}"


def follows(new, old):
    """Whether a ticket is the successor of another and says so first."""
    first_line = new["description"].splitlines()[0]
    return (
        new["state"] == "1" and new["correlation_id"] == old["correlation_id"] and old["number"] in first_line
    )
