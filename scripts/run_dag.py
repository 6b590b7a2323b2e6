"""Run one DAG of the DAGs folder again and again in one Airflow process.

Each line on standard input is a run's ``conf`` as JSON; each line on standard output is
``{"run_id", "state", "seconds", "summary"}`` of that run, where ``summary`` is what its task ``summarize``
returned. Loading Airflow takes longer than a run, so the demo does not call ``airflow dags test`` three
times: this does what that command does.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time


def main(dag_id: str) -> None:
    """Serve until standard input ends."""
    answers = os.fdopen(os.dup(1), "w")
    # Airflow logs to standard output, which is for the answers.
    os.dup2(2, 1)

    from airflow.configuration import conf  # noqa: PLC0415 (it writes to standard output while it loads)
    from airflow.dag_processing.dagbag import DagBag  # noqa: PLC0415 (the same)

    dag = DagBag(conf.get("core", "dags_folder")).dags[dag_id]
    for line in sys.stdin:
        began = time.monotonic()
        run = dag.test(run_conf=json.loads(line))
        # Airflow's task runner has taken SIGTERM for its tasks, and does not give it back.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        summary = run.get_task_instance("summarize")
        answer = {
            "run_id": run.run_id,
            "state": str(run.state),
            "seconds": time.monotonic() - began,
            "summary": summary.xcom_pull(task_ids="summarize") if summary else None,
        }
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main(sys.argv[1])
