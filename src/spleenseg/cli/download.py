"""The command `download`: a public dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spleenseg.cli.options import Quiet, terminal


def download(
    name: Annotated[str, typer.Argument(metavar="NAME", help="msd-spleen: the Decathlon's task 9.")],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where the dataset's folder is made.")],
    url: Annotated[
        list[str] | None, typer.Option(metavar="URL", help="Mirror to ask instead (repeatable, the best first).")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Download a public dataset: continued where it broke off, verified, unpacked."""
    from spleenseg.download import download_dataset

    download_dataset(name, folder, urls=url or (), reporter=terminal(quiet))
