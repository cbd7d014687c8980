"""The command export: a trained network as one file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spleenseg.cli.options import Components, FillHoles, MinMl, Quiet, terminal


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder (the folder of the config).")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="The file to write (default: RUN/model.onnx, or RUN/model.int8.onnx)."),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Probability of organ (default: the best on valid if evaluated, else 0.5)."),
    ] = None,
    int8: Annotated[
        bool, typer.Option("--int8", help="Compute in int8; refused if Dice on valid changes by more than 0.002.")
    ] = False,
    weights: Annotated[
        str, typer.Option(help="float32 or float16: half the size, computes in float32; Dice on valid is compared.")
    ] = "float32",
    format: Annotated[str, typer.Option(help="onnx, openvino or litert (the network alone).")] = "onnx",
    licence: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Terms under which the weights may be used.")
    ] = None,
    components: Components = None,
    fill_holes: FillHoles = None,
    min_ml: MinMl = None,
    quiet: Quiet = False,
) -> None:
    """Write a trained network as one file that takes HU, for use without TensorFlow."""
    from spleenseg.inference.export import export as write
    from spleenseg.inference.model_card import LICENCE
    from spleenseg.inference.refinement import Refinement

    reporter = terminal(quiet)
    done = write(
        run,
        output,
        threshold=threshold,
        int8=int8,
        weights=weights,
        format=format,
        licence=licence or LICENCE,
        refinement=Refinement(components, fill_holes, min_ml),
        reporter=reporter,
    )
    reporter.say(done.summary())
