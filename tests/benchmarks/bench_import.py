"""CPU time of importing the operators over a bare ``from airflow.sdk import DAG, BaseOperator``.

Each sample is a fresh process, measured inside it: whole processes differ by more than the budget.
"""

from __future__ import annotations

import statistics
import subprocess
import sys

SAMPLES = 7
BUDGET_MS = 15
CODE = """
import time
from airflow.sdk import DAG, BaseOperator
began = time.process_time()
import airflow_provider_servicenow_dq.operators.servicenow
print((time.process_time() - began) * 1000)
"""


def sample() -> float:
    """Return the milliseconds of one fresh process."""
    done = subprocess.run([sys.executable, "-c", CODE], check=True, capture_output=True, text=True)
    return float(done.stdout.splitlines()[-1])


def main() -> None:
    """Print the median and the range."""
    times = sorted(sample() for _ in range(SAMPLES))
    median = statistics.median(times)
    verdict = "kept" if median <= BUDGET_MS else "MISSED"
    print(
        f"import of operators.servicenow: median {median:.1f} ms of CPU "
        f"({times[0]:.1f} to {times[-1]:.1f}, {SAMPLES} processes); budget {BUDGET_MS} ms {verdict}"
    )


if __name__ == "__main__":
    main()
