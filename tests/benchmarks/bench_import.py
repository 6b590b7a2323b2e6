"""CPU time of importing operators over a bare ``from airflow.sdk import DAG, BaseOperator``.

One sample is a fresh process, measured inside it: whole processes differ by more than the budget. The budget
holds for each operator by itself; all together are shown beside it.
"""

from __future__ import annotations

import ast
import statistics
import subprocess
import sys
from pathlib import Path

SAMPLES = 7
BUDGET_MS = 15
FACE = "airflow_provider_servicenow_dq.operators.servicenow"
CODE = """
import time
from airflow.sdk import DAG, BaseOperator
began = time.process_time()
from {face} import {names}
print((time.process_time() - began) * 1000)
"""


def names() -> list[str]:
    """Return what the facade offers, without importing it."""
    package, *path = FACE.split(".")
    source = Path(__file__).parents[2].joinpath(package, *path).with_suffix(".py").read_text()
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "__all__":
            offered: list[str] = ast.literal_eval(statement.value)
            return offered
    raise LookupError("__all__")


def sample(imported: str) -> float:
    """Return the milliseconds of one fresh process."""
    code = CODE.format(face=FACE, names=imported)
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return float(done.stdout.splitlines()[-1])


def main() -> None:
    """Print the median and the range."""
    for imported in [*names(), "*"]:
        times = sorted(sample(imported) for _ in range(SAMPLES))
        median = statistics.median(times)
        verdict = "kept" if median <= BUDGET_MS else "MISSED"
        judged = f"; budget {BUDGET_MS} ms {verdict}" if imported != "*" else ""
        print(f"import {imported}: median {median:.1f} ms of CPU ({times[0]:.1f} to {times[-1]:.1f}){judged}")


if __name__ == "__main__":
    main()
