"""Rows as Airflow's own commands print them: a table, plain columns, JSON or YAML.

Airflow's printer is not used: importing it takes seconds, and it is not for providers.
"""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rich.table import Table

#: What would move the cursor of a terminal, or hide what follows: the texts printed here are foreign.
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")

#: Width of a table that goes to a file or a pipe, as in Airflow.
_PIPED_WIDTH: Final = 200
#: Plain columns are for other programs, which want each row on a line of its own.
_NO_LIMIT: Final = 100_000

output_option: Final[Callable[..., Any]] = click.option(
    "-o",
    "--output",
    type=click.Choice(("table", "json", "yaml", "plain")),
    default="table",
    show_default=True,
    help="How to print it.",
)


def print_rows(rows: Sequence[Mapping[str, Any]], output: str) -> None:
    """Print rows that have the same keys.

    Values are plain JSON. In plain columns a line break is a space, so that each row has a line of its own.
    """
    if output == "json":
        click.echo(json.dumps(list(rows), indent=2, ensure_ascii=False))
    elif output == "yaml":
        click.echo(_as_yaml(rows), nl=False)
    elif not rows:
        click.echo("No data found")
    else:
        _print_table(rows, output)


def print_facts(facts: Mapping[str, Any], output: str) -> None:
    """Print one thing: its facts below one another, or as one object."""
    if output == "json":
        click.echo(json.dumps(dict(facts), indent=2, ensure_ascii=False))
    elif output == "yaml":
        click.echo(_as_yaml(dict(facts)), nl=False)
    else:
        named = [{"property_name": name, "property_value": _readable(facts[name])} for name in facts]
        _print_table(named, output)


def _readable(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) if isinstance(value, dict | list) else _cell(value)


def _as_yaml(data: Any) -> str:
    import yaml  # noqa: PLC0415 (only this output needs it)

    text: str = yaml.safe_dump(data, allow_unicode=True, sort_keys=False)
    return text


def _print_table(rows: Sequence[Mapping[str, Any]], output: str) -> None:
    from rich.console import Console  # noqa: PLC0415 (JSON, for scripts, does not need it)

    piped = None if sys.stdout.isatty() else _PIPED_WIDTH
    width = _NO_LIMIT if output == "plain" else piped
    Console(width=width, highlight=False).print(_table(rows, output))


def _table(rows: Sequence[Mapping[str, Any]], output: str) -> Table:
    from rich.box import ASCII_DOUBLE_HEAD  # noqa: PLC0415 (as above)
    from rich.table import Table  # noqa: PLC0415 (as above)
    from rich.text import Text  # noqa: PLC0415 (as above)

    box = ASCII_DOUBLE_HEAD if output == "table" else None
    table = Table(box=box, show_edge=False, pad_edge=False)
    for name in rows[0]:
        table.add_column(name, overflow="fold", no_wrap=output == "plain")
    for row in rows:
        # Text, so that brackets in it are no markup.
        cells = [_CONTROL.sub("\N{REPLACEMENT CHARACTER}", _cell(value)) for value in row.values()]
        if output == "plain":
            cells = [cell.replace("\n", " ") for cell in cells]
        table.add_row(*map(Text, cells))
    return table


def _cell(value: Any) -> str:
    return "" if value is None else str(value)
