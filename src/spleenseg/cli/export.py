"""The command export: a trained network as one ONNX file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spleenseg.cli.options import Quiet, terminal


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder (the folder of the config).")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The file to write (default: RUN/model.onnx).")
    ] = None,
    threshold: Annotated[
        float, typer.Option(min=0, max=1, help="Probability from which the output 'label' is organ.")
    ] = 0.5,
    licence: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Terms under which the weights may be used.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Write a trained network as one ONNX file that takes HU, for use without TensorFlow."""
    from spleenseg.inference.export import export as write
    from spleenseg.inference.model_card import LICENCE

    reporter = terminal(quiet)
    done = write(run, output, threshold=threshold, licence=licence or LICENCE, reporter=reporter)
    reporter.say(done.summary())
