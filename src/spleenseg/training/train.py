"""`train`: from a config file to a run folder."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from spleenseg.audit import quick_check
from spleenseg.augment.debug import DebugSaver
from spleenseg.augment.policies import build_policy
from spleenseg.augment.stream import BatchStream
from spleenseg.config import Config, load_config
from spleenseg.datasets.slices import SliceSet
from spleenseg.files import atomic
from spleenseg.models.backend import load_backend
from spleenseg.models.encoders import check_initial
from spleenseg.models.run_folder import RunFolder
from spleenseg.progress import SILENT, Reporter
from spleenseg.training.earlier import require_resumable, set_earlier_run_aside
from spleenseg.training.feed import training_target, validation_batches
from spleenseg.training.interruption import stop_afterwards
from spleenseg.training.loggers import check_loggers
from spleenseg.training.preflight import check

if TYPE_CHECKING:
    from spleenseg.training.network import Learner
    from spleenseg.training.trainer import Feed


@dataclass(frozen=True)
class TrainResult:
    """What a training came to.

    Attributes:
        run: the run folder.
        epochs: epochs trained in all.
        best_epoch: the epoch whose weights were kept as the best, from 0; None when no epoch had a finite
            validation loss.
        best: the figures of that epoch.
    """

    run: RunFolder
    epochs: int
    best_epoch: int | None
    best: dict[str, float]

    def summary(self) -> str:
        """Say the result in one line."""
        if self.best_epoch is None:
            return f"{self.epochs} epochs trained, none with a finite validation loss"
        return (
            f"best epoch {self.best_epoch + 1} of {self.epochs}: validation loss {self.best['val_loss']:.4f}, "
            f"Dice {self.best['val_dice_coef']:.4f}; weights in {self.run.best_weights}"
        )


def train(
    config: Config | Path | str,
    *,
    overrides: Sequence[str] = (),
    resume: bool = False,
    reporter: Reporter = SILENT,
) -> TrainResult:
    """Train the network a config describes; see the run folder in docs/reference/run-folder.md for the files.

    The products of an earlier run in the same folder are moved aside first, never deleted.

    Args:
        config: a config file, or one already loaded.
        overrides: "section.key=value" settings over the file (not with a loaded config).
        resume: continue at the step where the last run of this folder stopped.
        reporter: shows progress and one line an epoch.

    Raises:
        UserError: anything in the config or the data that cannot work, before training starts; a loss that
            became NaN; a file that cannot be written.
        KeyboardInterrupt: asked to stop; the state is saved and `resume` continues, or all is done and recorded.
    """
    if not isinstance(config, Config):
        config = load_config(config, overrides)
    for line in config.warnings:
        reporter.warn(line)
    check(config)
    check_loggers(config)
    for line in quick_check(config):
        reporter.warn(line)
    run = RunFolder.of(config)
    if resume:
        require_resumable(config, run)
    else:
        check_initial(config)
    splits = {
        "train": SliceSet.from_config(config, "train", reporter),
        "valid": SliceSet.from_config(config, "eval", reporter),
    }
    return _run(config, run, splits, resume, reporter)


def _run(config: Config, run: RunFolder, splits: dict[str, SliceSet], resume: bool, reporter: Reporter) -> TrainResult:
    with stop_afterwards():
        learner = _built(config)
    from spleenseg.training.devices import remark
    from spleenseg.training.failure import explained
    from spleenseg.training.initial import set_initial
    from spleenseg.training.observers import observers
    from spleenseg.training.record import RunRecord
    from spleenseg.training.trainer import Trainer

    if (line := remark(learner.devices, config.train.batch_size)) is not None:
        reporter.say(line)
    if config.model.show_summary:
        learner.network.summary(print_fn=reporter.say, line_length=100)
    initial = None if resume else set_initial(learner.network, config, reporter)
    learner.average.remember_start()  # a checkpoint brings its own
    record = RunRecord.start(config, run, splits, learner.network, initial)
    if resume:
        record.goes_on(reporter)
    _warn_of_overlap(record.manifest.patient_overlap, config.train.best_by, reporter)
    watched = observers(config, run, learner, splits["valid"], record.update)
    with feeding(config, splits, reporter) as feed, watched as on_epoch:
        trainer = Trainer(config, run, learner, feed, on_epoch, reporter)
        if not resume:
            _make_room(run, reporter)
        with explained(config):
            if resume:
                trainer.resume()
            _keep_config(config, run)
            record.update(trainer.state)
            state = trainer.fit()
            record.finish()
    best = next((row for row in state.history if row["epoch"] == state.best_epoch), {})
    result = TrainResult(run, state.epoch, state.best_epoch, dict(best))
    if trainer.asked_to_stop:  # amid the last files of the last epoch: what comes next is not to begin
        reporter.say(result.summary())
        raise KeyboardInterrupt
    return result


def _built(config: Config) -> Learner:
    load_backend()
    from spleenseg.training.failure import explained
    from spleenseg.training.network import build

    with explained(config):
        return build(config)


@contextmanager
def feeding(config: Config, splits: dict[str, SliceSet], reporter: Reporter) -> Iterator[Feed]:
    """Give the trainer its batches, augmented, and those of the validation.

    Args:
        config: a config.
        splits: "train" and "valid".
        reporter: hears of pictures kept for a look.
    """
    from spleenseg.training.trainer import Feed

    stream = BatchStream(
        splits["train"],
        build_policy(config),
        config.train.batch_size,
        config.train.steps_per_epoch,
        config.train.seed,
        training_target(config),
        config.train.threads,
        config.train.foreground,
    )
    debug = DebugSaver.from_config(config, reporter)
    try:
        yield Feed(stream, validation_batches(splits["valid"], config), debug)
    finally:
        if debug:
            debug.close()


def _make_room(run: RunFolder, reporter: Reporter) -> None:
    aside = set_earlier_run_aside(run)
    if aside is not None:
        reporter.say(f"the earlier run of this folder was moved to {aside}")


def _keep_config(config: Config, run: RunFolder) -> None:
    """Keep a copy of the config beside the weights, byte for byte, unless it lies there itself."""
    if not run.keeps_config:
        return
    with atomic(run.config_copy) as temporary:
        shutil.copyfile(config.path, temporary)


def _warn_of_overlap(overlap: dict[str, list[str]], best_by: str, reporter: Reporter) -> None:
    choosing = "" if best_by == "last" else "; with `[train] best_by = last` it chooses no epoch"
    for splits, patients in overlap.items():
        reporter.warn(
            f"{len(patients)} patients are in both {splits.replace(', ', ' and ')}: "
            f"validation will look better than it is; recorded in run.json{choosing}"
        )
