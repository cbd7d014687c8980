"""The command demo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spleenseg.cli.options import Quiet, Seed, terminal


def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder of the demonstration.")] = Path("demo"),
    seed: Seed = 137,
    quiet: Quiet = False,
) -> None:
    """Show the whole way on synthetic CT: train, evaluate, segment, and a page to look at; continues if stopped."""
    from spleenseg.demo.run import demo as run

    reporter = terminal(quiet)
    result = run(out, seed=seed, reporter=reporter)
    reporter.say(result.summary())
