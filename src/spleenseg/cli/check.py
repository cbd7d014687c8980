"""The command check: what is wrong with a dataset."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spleenseg.cli.options import AsJson, Quiet, Threads, terminal
from spleenseg.errors import ExitCode

if TYPE_CHECKING:
    from spleenseg.audit import Report


def check(
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="Folder of volumes, or of images and masks.")],
    labels_from: Annotated[
        Path | None, typer.Option("--labels-from", metavar="DIR", help="Label maps, named like the scans.")
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Label that may occur (repeatable; default: those of dataset.json)."),
    ] = None,
    orientation: Annotated[
        str | None, typer.Option(metavar="LPS", help="Where the stored axes run to, against what the files say.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Files and labels only, not what the images show.")] = False,
    threads: Threads = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> int:
    """Look for what is wrong with a dataset; exit status 1 if there are errors."""
    from spleenseg.audit.run import check as run
    from spleenseg.datasets.request import parse_labels

    report = run(
        dataset,
        labels_from=labels_from,
        labels=parse_labels(label),
        orientation=orientation,
        quick=quick,
        threads=threads,
        reporter=terminal(quiet),
    )
    if as_json:
        typer.echo(json.dumps(report.to_json(), indent=2))
    else:
        _show(report, quiet)
    return ExitCode.FINDINGS if report.count("error") else ExitCode.DONE


def _show(report: Report, quiet: bool) -> None:
    from spleenseg.cli.tables import show_table

    rows = report.rows()
    show_table([row for row in rows if not quiet or row["severity"] != "note"], as_json=False)
    if not quiet:
        show_table(report.orientation_rows(), as_json=False)
        typer.echo(report.summary())
