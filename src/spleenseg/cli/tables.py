"""Tables on the terminal, never truncated, or the same rows as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table


def show_table(rows: Sequence[Mapping[str, Any]], as_json: bool, title: str | None = None) -> None:
    """Print rows that share their keys; numbers are right-aligned, None is an empty cell."""
    console = Console(highlight=False)
    if as_json:
        show_json(list(rows))
        return
    if not rows:
        return
    table = Table(title=title, box=SIMPLE_HEAD, padding=(0, 1))
    for name in rows[0]:
        numeric = all(isinstance(row[name], int | float | None) for row in rows)
        table.add_column(name.replace("_", " "), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_cell(value) for value in row.values()))
    console.print(table, markup=False)


def show_json(data: Any) -> None:
    """Print `data` as JSON."""
    Console(highlight=False).print(json.dumps(data, indent=2), soft_wrap=True, markup=False)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
