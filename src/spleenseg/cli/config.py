"""`spleenseg config`: check a config file, show every effective value, start a project."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spleenseg.cli.options import AsJson, ConfigFile, Set

if TYPE_CHECKING:
    from spleenseg.config import KeyView

Strict = Annotated[bool, typer.Option("--strict", help="Take unknown keys for errors.")]

app = typer.Typer(no_args_is_help=True)


@app.command()
def check(file: ConfigFile, set_: Set = None, strict: Strict = False) -> None:
    """Validate a config and the folders it names: warnings, then "ok"; a mistake is one line and exit status 2."""
    from spleenseg.config import load_config
    from spleenseg.training.preflight import check as check_all

    config = load_config(file, set_ or (), strict)
    for warning in config.warnings:
        typer.echo(f"warning: {warning}", err=True)
    check_all(config)
    typer.echo("ok")


@app.command()
def show(
    file: ConfigFile,
    set_: Set = None,
    strict: Strict = False,
    as_json: AsJson = False,
) -> None:
    """List every effective value, where it comes from, and whether it has an effect."""
    from spleenseg.config import load_config

    keys = load_config(file, set_ or (), strict).describe()
    _show_json(keys) if as_json else _show_table(keys)


@app.command()
def new(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the new project.")],
    name: Annotated[str, typer.Option(help="What the project is called.")] = "Spleen",
    dataset: Annotated[
        Path | None, typer.Option(help="Folder with train, valid, test (default: DIR/dataset/NAME).")
    ] = None,
    recommended: Annotated[
        bool, typer.Option("--recommended", help="A small, fast network and its training, not the reference's.")
    ] = False,
) -> None:
    """Start a project: a commented config, and scripts that train, evaluate and infer. Overwrites nothing."""
    from spleenseg.config import new as new_project

    for path in new_project(folder, name, dataset, recommended):
        typer.echo(path)


def _show_json(keys: list[KeyView]) -> None:
    import json

    rows = [
        {
            "section": view.section,
            "key": view.key,
            "value": view.value,
            "source": view.origin.source,
            "line": view.origin.line,
            "effect": view.effect.value,
            "reason": view.reason,
            "accepts": view.accepts,
            "description": view.description,
        }
        for view in keys
    ]
    typer.echo(json.dumps(rows, indent=2, default=str))


def _show_table(keys: list[KeyView]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for column in ("key", "value", "from", "what it is"):
        table.add_column(column, no_wrap=column in ("key", "from"), overflow="fold")
    section = ""
    for view in keys:
        if view.section != section:
            section = view.section
            table.add_row(Text(f"[{section}]", style="bold"))
        value = str(view.value) if isinstance(view.value, Path) else repr(view.value)
        note = f"{view.effect.value}: {view.reason}" if view.reason else view.description
        style = "dim" if view.reason else ""
        table.add_row(*[Text(cell, style) for cell in (view.key, value, str(view.origin), note)])
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 160
    console.print(table)
