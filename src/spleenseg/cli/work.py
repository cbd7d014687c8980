"""The three commands of a config: train, evaluate, infer."""

from __future__ import annotations

from typing import Annotated

import typer

from spleenseg.cli.options import ConfigFile, Quiet, Resume, Set, Threads, terminal


def train(
    config: ConfigFile,
    overrides: Set = None,
    resume: Resume = False,
    seed: Annotated[int | None, typer.Option(help="Seed of everything random (default: the config's).")] = None,
    threads: Threads = None,
    quiet: Quiet = False,
) -> None:
    """Train the network a config describes; the best and the last state are kept."""
    from spleenseg.training.train import train as run

    reporter = terminal(quiet)
    given = {"train.seed": seed, "train.threads": threads}
    more = [f"{key}={value}" for key, value in given.items() if value is not None]
    result = run(config, overrides=[*(overrides or []), *more], resume=resume, reporter=reporter)
    reporter.say(result.summary())


def evaluate(
    config: ConfigFile,
    overrides: Set = None,
    section: Annotated[str | None, typer.Option(help="train, eval or test (default: the config's).")] = None,
    quiet: Quiet = False,
) -> None:
    """Evaluate the best weights per case: evaluation.csv and cases.csv."""
    from spleenseg.evaluation.evaluate import evaluate as run

    reporter = terminal(quiet)
    result = run(config, overrides=overrides or (), section=section, reporter=reporter)
    reporter.say(result.summary())


def infer(
    config: ConfigFile,
    overrides: Set = None,
    overlay_style: Annotated[str | None, typer.Option(help="off, contour or fill (default: the config's).")] = None,
    tiled: Annotated[bool, typer.Option("--tiled", help="Cut large images into tiles (section tiledinfer).")] = False,
    resume: Resume = False,
    quiet: Quiet = False,
) -> None:
    """Predict masks and overlays for the images of a folder, at their own size."""
    from spleenseg.inference.images import infer as run

    reporter = terminal(quiet)
    result = run(
        config,
        overrides=overrides or (),
        overlay_style=overlay_style,
        tiled=tiled,
        resume=resume,
        reporter=reporter,
    )
    reporter.say(result.summary())
