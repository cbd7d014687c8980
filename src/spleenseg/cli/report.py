"""The command report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spleenseg.cli.options import Quiet, terminal


def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of an evaluation; with OTHER also a CSV by case.")],
    other: Annotated[
        Path | None, typer.Argument(metavar="OTHER", help="Compare RUN with this one, patient by patient.")
    ] = None,
    metric: Annotated[str, typer.Option(help="Column that decides (with OTHER).")] = "dice",
    margin: Annotated[
        float | None, typer.Option(min=0, help="How much worse is no worse, in the metric's unit (default: 0.01).")
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder of the comparison (with OTHER).")
    ] = Path("comparison"),
    quiet: Quiet = False,
) -> None:
    """Draw the report of an evaluation again, or compare two on the same patients."""
    reporter = terminal(quiet)
    if other is None:
        from spleenseg.evaluation.report import report as draw

        reporter.say(f"report: {draw(run)}")
        return
    from spleenseg.evaluation.compare import compare

    reporter.say(compare(run, other, output, metric=metric, margin=margin).summary())
