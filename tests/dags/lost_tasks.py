"""Which tries of tasks Airflow itself has lost, told by what its scheduler writes."""

from __future__ import annotations

import re

#: How the scheduler names a try of a task.
TRY = re.compile(r"ti_id=([0-9a-f-]{36})")
#: A try is handed to the executor; several may be in a line.
SENT = "Trying to enqueue tasks: "
#: The executor is done with a try, as when it was deferred; it may then be sent again.
ENDED = "TaskInstance Finished: "
#: A try is failed that was at work or waited for it: so it is after a crash of its worker as well.
LOST = "finished with state failed, but the task instance's state attribute is"


def lost_by_airflow(log: str) -> set[str]:
    """Return the ids of the tries that the scheduler failed because it had sent them twice.

    Where it cannot write to SQLite in time it sends a task to its LocalExecutor again; one of the two is
    refused with 409, and that is taken for the end of the other (seen on 3.3.2).

    :param log: What a scheduler with a LocalExecutor has written.
    """
    sent: set[str] = set()
    twice: set[str] = set()
    lost: set[str] = set()
    for line in log.splitlines():
        named = set(TRY.findall(line))
        if SENT in line:
            twice |= named & sent
            sent |= named
        elif ENDED in line:
            sent -= named
        elif LOST in line:
            lost |= named & twice
    return lost
