"""`spleenseg augment`: look at what a config's augmentation does, or write an augmented copy of its dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spleenseg.cli.options import ConfigFile, Quiet, Resume, Set, Threads, terminal

OwnSeed = Annotated[int | None, typer.Option(min=0, help="Seed of everything random (default: the config's).")]

app = typer.Typer(no_args_is_help=True)


@app.command()
def preview(
    config: ConfigFile,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="PNG", help="The sheet to write.")] = Path(
        "augmentation.png"
    ),
    set_: Set = None,
    seed: OwnSeed = None,
    quiet: Quiet = False,
) -> None:
    """Draw a contact sheet: a training slice, every operation on it, and the mask's contour over each."""
    from spleenseg.augment.preview import preview as run
    from spleenseg.config import load_config

    reporter = terminal(quiet)
    reporter.say(str(run(load_config(config, set_ or ()), output, seed=seed, reporter=reporter)))


@app.command()
def run(
    config: ConfigFile,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="DIR", help="The copy (default: ./augmented_dataset).")
    ] = None,
    copies: Annotated[
        int | None,
        typer.Option(min=1, help="Augmented pairs a slice (default: 4; policy reference: each variant once)."),
    ] = None,
    augment: Annotated[
        list[str] | None,
        typer.Option("--augment", metavar="SECTION", help="train, eval or test; repeatable (default: train only)."),
    ] = None,
    set_: Set = None,
    seed: OwnSeed = None,
    threads: Threads = None,
    resume: Resume = False,
    quiet: Quiet = False,
) -> None:
    """Write an augmented copy of a dataset: all splits, only train augmented, patients where they are."""
    from spleenseg.augment.offline import augment_dataset
    from spleenseg.config import load_config

    reporter = terminal(quiet)
    more = [] if threads is None else [f"train.threads={threads}"]
    written = augment_dataset(
        load_config(config, [*(set_ or ()), *more]),
        output or Path("augmented_dataset"),
        copies=copies,
        augment=augment or ("train",),
        seed=seed,
        resume=resume,
        reporter=reporter,
    )
    reporter.say(written.summary())
