"""The page about the sandbox names what the sandbox has.

``python tests/sandbox/test_sandbox_docs.py`` writes the table of switches anew.
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from airflow_provider_servicenow_dq.sandbox.fault_kinds import KINDS
from airflow_provider_servicenow_dq.sandbox.switches import Switches

PAGE = Path(__file__).parents[2] / "docs" / "sandbox.md"


def default(value):
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        return "none"
    return f"`{value}`" if value else "empty" if value == "" else f"`{value}`"


def row(option):
    allowed = option.metadata.get("some_of") or option.metadata.get("one_of") or ()
    values = f" ({', '.join(f'`{value}`' for value in allowed)})" if allowed else ""
    text = option.metadata["help"].replace("|", "\\|")
    return f"| `--{option.name.replace('_', '-')}` | {default(option.default)} | {text}{values} |"


def rows_of(heading):
    part = PAGE.read_text().partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return [line for line in part.splitlines() if line.startswith("| `")]


def test_its_table_has_a_row_for_every_switch_with_default_and_meaning():
    assert rows_of("Switches") == [row(option) for option in fields(Switches)]


def test_it_names_every_kind_of_fault():
    assert [line.split("`")[1] for line in rows_of("Faults")] == sorted(KINDS)


if __name__ == "__main__":
    text = PAGE.read_text()
    start = text.index(rows_of("Switches")[0])
    end = text.index("\n\n", start)
    PAGE.write_text(text[:start] + "\n".join(map(row, fields(Switches))) + text[end:])
