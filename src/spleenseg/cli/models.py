"""`spleenseg models`: list the networks a config may name, describe the one it names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spleenseg.cli.options import AsJson, ConfigFile, Quiet, Set, terminal

if TYPE_CHECKING:
    from spleenseg.models.inspect import Figures

app = typer.Typer(no_args_is_help=True)


@app.command("list")
def list_(
    config: Annotated[
        Path | None, typer.Argument(metavar="[CONFIG]", help="Count at the settings of this config (takes a minute).")
    ] = None,
    set_: Set = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """List every network: parameters, GFLOP of one image, published weights for its encoder, paper."""
    from spleenseg.models.inspect import USUAL_CHANNELS, USUAL_SIDE, list_networks, list_usual

    if config is None:
        if set_:
            raise typer.BadParameter("needs a CONFIG to override", param_hint="--set")
        size = f"{USUAL_SIDE} x {USUAL_SIDE} x {USUAL_CHANNELS}, other settings at their defaults"
        found = list_usual()
    else:
        from spleenseg.config import load_config

        model = load_config(config, set_ or ()).model
        size = f"{model.image_height} x {model.image_width} x {model.image_channels}, as {config.name} says"
        found = list_networks(model, terminal(quiet))
    _show_json(found) if as_json else _show_lines(found, size)


@app.command()
def show(config: ConfigFile, set_: Set = None) -> None:
    """Write the table of a network's layers and a drawing of it, where section inspect of the config says."""
    from spleenseg.config import load_config
    from spleenseg.models.inspect import show as run

    for path in run(load_config(config, set_ or ())):
        typer.echo(path)


def _show_json(found: list[Figures]) -> None:
    import json

    typer.echo(json.dumps([figures.row() for figures in found], indent=2))


def _show_lines(found: list[Figures], size: str) -> None:
    """Print a line for each network, as long as it must be: the paper comes last."""
    wide = max(len(figures.name) for figures in found)
    typer.echo(f"one image of {size}")
    typer.echo(f"{'name':<{wide}} {'parameters':>12} {'GFLOP':>8}  {'encoder':<8}  paper")
    for figures in found:
        counted = f"{'':>12} {'':>8}"
        if figures.parameters is not None and figures.gflop is not None:
            counted = f"{figures.parameters:>12,} {figures.gflop:>8.1f}"
        note = figures.problem or figures.paper
        typer.echo(f"{figures.name:<{wide}} {counted}  {figures.encoder_weights or '-':<8}  {note}")
