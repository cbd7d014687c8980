"""The three commands of a config: train, evaluate, infer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spleenseg.cli.options import (
    ConfigFile,
    Device,
    Engine,
    Precision,
    Quiet,
    Resume,
    Set,
    Threads,
    engine_on,
    terminal,
)
from spleenseg.errors import UserError

if TYPE_CHECKING:
    from spleenseg.evaluation.cases import Empty
    from spleenseg.evaluation.outcome import Evaluation
    from spleenseg.progress import Reporter


def train(
    config: Annotated[
        Path | None, typer.Argument(metavar="CONFIG", help="train_eval_infer.config of the project.")
    ] = None,
    overrides: Set = None,
    resume: Resume = False,
    seed: Annotated[int | None, typer.Option(help="Seed of everything random (default: the config's).")] = None,
    threads: Threads = None,
    folds: Annotated[
        str | None, typer.Option(metavar="all|K", help="Cross-validate: train all folds, or the one of this number.")
    ] = None,
    find_rate: Annotated[
        bool, typer.Option("--find-rate", help="Only try learning rates, and suggest one; nothing is trained.")
    ] = False,
    from_manifest: Annotated[
        Path | None, typer.Option(metavar="RUN/run.json", help="Repeat that training in a fresh folder; no CONFIG.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Folder of the repetition (default: RUN_repeated).")
    ] = None,
    device: Device = None,
    quiet: Quiet = False,
) -> None:
    """Train the network a config describes; the best and the last state are kept."""
    from spleenseg.models.backend import see_device
    from spleenseg.training.train import train as run

    see_device(device)
    reporter = terminal(quiet)
    given = {"train.seed": seed, "train.threads": threads}
    more = [f"{key}={value}" for key, value in given.items() if value is not None]
    if from_manifest is not None:
        from spleenseg.training.repeat import repeat

        if config is not None or resume or find_rate or folds is not None:
            raise UserError("--from-manifest brings its own config; leave CONFIG, --resume, --folds, --find-rate out")
        reporter.say(repeat(from_manifest, out, overrides=[*(overrides or []), *more], reporter=reporter).summary())
        return
    if config is None or out is not None:
        raise UserError("give a CONFIG, or --from-manifest RUN/run.json, with which alone --out goes")
    if find_rate:
        from spleenseg.training.rate_finder import find_rate as test

        if resume or folds is not None:
            raise UserError("--find-rate trains nothing; leave --resume and --folds out")
        reporter.say(test(config, overrides=[*(overrides or []), *more], reporter=reporter).summary())
        return
    if folds is not None:
        _train_folds(config, folds, [*(overrides or []), *more], resume, reporter)
        return
    result = run(config, overrides=[*(overrides or []), *more], resume=resume, reporter=reporter)
    reporter.say(result.summary())


def _train_folds(config: Path, which: str, overrides: list[str], resume: bool, reporter: Reporter) -> None:
    from spleenseg.evaluation.folds import evaluate_folds
    from spleenseg.training.folds import train_folds

    done = train_folds(config, which, overrides=overrides, resume=resume, reporter=reporter)
    if done.unfinished:
        missing = ", ".join(map(str, done.unfinished))
        reporter.say(f"folds to train before all cases can be evaluated: {missing}")
        return
    reporter.say(evaluate_folds(config, overrides=overrides, reporter=reporter).summary())


def evaluate(
    config: Annotated[
        Path | None, typer.Argument(metavar="CONFIG", help="train_eval_infer.config of the project; not with --truth.")
    ] = None,
    overrides: Set = None,
    section: Annotated[str | None, typer.Option(help="train, eval (or valid) or test (default: the config's).")] = None,
    threshold: Annotated[
        str | None, typer.Option(help="Probability, or auto: the best on section eval (default: the config's).")
    ] = None,
    predictions: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Compare label maps of this folder, without a network.")
    ] = None,
    truth: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder of the true label maps.")] = None,
    images: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder of the scans, for the pictures.")] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Label to compare (repeatable; default: those of dataset.json)."),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder of tables and report (with --predictions).")
    ] = Path("evaluation"),
    empty: Annotated[
        str, typer.Option(help="Dice where truth and prediction are both empty: defined (1), or nan (left out).")
    ] = "defined",
    folds: Annotated[
        bool, typer.Option("--folds", help="Evaluate the folds of train --folds, each on the cases it held out.")
    ] = False,
    device: Device = None,
    quiet: Quiet = False,
) -> None:
    """Evaluate the best weights per case, or two folders of label maps: tables and a report."""
    from spleenseg.evaluation.cases import parse_empty
    from spleenseg.models.backend import see_device

    see_device(device)
    reporter, rule = terminal(quiet), parse_empty(empty)
    if folds:
        from spleenseg.evaluation.folds import evaluate_folds

        if config is None or any(given is not None for given in (predictions, truth, section, threshold)):
            raise UserError("--folds goes with CONFIG, without --section, --threshold, --predictions and --truth")
        reporter.say(evaluate_folds(config, overrides=overrides or (), empty=rule, reporter=reporter).summary())
        return
    if predictions is not None or truth is not None:
        result = _compared(config, predictions, truth, images, label, output, rule, reporter)
    else:
        from spleenseg.evaluation.calibrate import parse_threshold
        from spleenseg.evaluation.evaluate import evaluate as run

        if config is None:
            raise UserError("give a CONFIG, or two folders with --predictions and --truth")
        result = run(
            config,
            overrides=overrides or (),
            section=section,
            threshold=parse_threshold(threshold),
            empty=rule,
            reporter=reporter,
        )
    reporter.say(result.summary())


def _compared(
    config: Path | None,
    predictions: Path | None,
    truth: Path | None,
    images: Path | None,
    label: list[str] | None,
    output: Path,
    empty: Empty,
    reporter: Reporter,
) -> Evaluation:
    from spleenseg.datasets.request import parse_labels
    from spleenseg.evaluation.folders import evaluate_folders

    if config is not None:
        raise UserError(f"{config} is not needed to compare two folders; leave it out")
    if predictions is None or truth is None:
        raise UserError("two folders are compared: give both --predictions and --truth")
    return evaluate_folders(
        predictions, truth, output, labels=parse_labels(label), images=images, empty=empty, reporter=reporter
    )


def infer(
    config: ConfigFile,
    overrides: Set = None,
    model: Annotated[
        Path | None, typer.Option(help="Another run folder, or an exported model.onnx (default: of the config).")
    ] = None,
    engine: Engine = None,
    precision: Precision = "exact",
    overlay_style: Annotated[str | None, typer.Option(help="off, contour or fill (default: the config's).")] = None,
    tiled: Annotated[bool, typer.Option("--tiled", help="Cut large images into tiles (section tiledinfer).")] = False,
    resume: Resume = False,
    device: Device = None,
    quiet: Quiet = False,
) -> None:
    """Predict masks and overlays for the images of a folder, at their own size."""
    from spleenseg.inference.images import infer as run

    reporter = terminal(quiet)
    result = run(
        config,
        overrides=overrides or (),
        model=model,
        engine=engine_on(device, engine),
        precision=precision,
        overlay_style=overlay_style,
        tiled=tiled,
        resume=resume,
        reporter=reporter,
    )
    reporter.say(result.summary())
