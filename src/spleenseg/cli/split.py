"""The command `split`: folds by patient."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spleenseg.cli.options import AsJson, Quiet, Threads, terminal


def split(
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="Prepared dataset, source folder, or pictures.")],
    folds: Annotated[int | None, typer.Option(min=2, help="How many folds to make (5).")] = None,
    given: Annotated[
        Path | None, typer.Option("--from", metavar="FILE", help="A splits_final.json to check and take over instead.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="DIR", help="Where to write (default: DATASET).")
    ] = None,
    threads: Threads = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Divide the cases into folds by patient, by nnU-Net's rule; write splits_final.json."""
    from spleenseg.cli.tables import show_table
    from spleenseg.datasets.splitting import split as run

    made = run(dataset, folds, given=given, output=output, threads=threads, reporter=terminal(quiet or as_json))
    rows = [
        {"fold": number, "train": len(fold.train), "val": len(fold.valid), "val_cases": ", ".join(fold.valid)}
        for number, fold in enumerate(made)
    ]
    show_table(rows, as_json)
