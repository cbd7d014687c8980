"""Cross-validation: one training a fold, each in its own run folder, through an executor that says where they run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from spleenseg.config import Config, load_config
from spleenseg.config.rewrite import rewritten
from spleenseg.datasets.check import dataset_of
from spleenseg.datasets.folds import FOLDS_NAME, read_folds, require_fitting
from spleenseg.datasets.manifest import find_manifest
from spleenseg.datasets.split import Fold
from spleenseg.datasets.splitting import patients_of, split
from spleenseg.errors import UserError
from spleenseg.files import write_text
from spleenseg.models.run_config import portable
from spleenseg.models.run_folder import RunFolder, RunManifest
from spleenseg.progress import SILENT, Reporter
from spleenseg.training.differences import fixed_changes, training_differences
from spleenseg.training.earlier import free_name
from spleenseg.training.preflight import check

ALL = "all"


@dataclass(frozen=True)
class FoldJob:
    """One training to be run, here or anywhere that sees the same files.

    Attributes:
        number: of the fold, from 0.
        config: its own config file; it needs no other setting.
        resume: whether an earlier run is to be continued.
    """

    number: int
    config: Path
    resume: bool

    @property
    def command(self) -> tuple[str, ...]:
        """The command that does the job on any machine that sees the same files."""
        return ("spleenseg", "train", str(self.config), *(["--resume"] if self.resume else []))


class Executor(Protocol):
    """Runs the trainings of the folds."""

    def run(self, jobs: Sequence[FoldJob], reporter: Reporter) -> None:
        """Run every job; return when all are done, raise what the first failure raised."""


class OneAfterAnother:
    """The executor of a single machine: this process trains one fold after another."""

    def run(self, jobs: Sequence[FoldJob], reporter: Reporter) -> None:
        """See `Executor.run`."""
        from spleenseg.training.train import train

        for job in jobs:
            reporter.say(f"fold {job.number}: {job.config.parent}")
            result = train(job.config, resume=job.resume, reporter=reporter)
            reporter.say(f"fold {job.number}: {result.summary()}")
            _forget_networks()


@dataclass(frozen=True)
class FoldRuns:
    """The folds of a run folder.

    Attributes:
        folds: all of them, by number.
        runs: the run folder of each.
        trained: the numbers of those trained just now.
        skipped: the numbers of those that were finished before.
    """

    folds: tuple[Fold, ...]
    runs: tuple[RunFolder, ...]
    trained: tuple[int, ...]
    skipped: tuple[int, ...]

    @property
    def unfinished(self) -> tuple[int, ...]:
        """The numbers of the folds whose training has not ended."""
        return tuple(number for number, run in enumerate(self.runs) if not is_finished(run))


def train_folds(
    config: Config | Path | str,
    which: int | str = ALL,
    *,
    overrides: Sequence[str] = (),
    resume: bool = False,
    executor: Executor | None = None,
    reporter: Reporter = SILENT,
) -> FoldRuns:
    """Train a network for each fold, in `fold_0`, `fold_1`... beside the config, each with a config of its own.

    The folds are those of the dataset's splits_final.json; where it has none, `split` makes them by the rule of the
    published nnU-Net folds.

    Args:
        config: a config file, or one already loaded.
        which: the number of one fold (from 0), or "all".
        overrides: "section.key=value" settings over the file (not with a loaded config).
        resume: leave finished folds as they are, continue the one that was interrupted, train the rest; none of them
            may have been trained on other cases than it has now, or as another network.
        executor: where the trainings run; None: here, one after another.
        reporter: shows progress.

    Raises:
        UserError: no dataset to divide, folds that do not fit it, no such fold, a fold to resume that was trained on
            other cases or as another network, or what `train` raises.
        KeyboardInterrupt: asked to stop; the state is saved and `resume` continues.
    """
    if not isinstance(config, Config):
        config = load_config(config, overrides)
    folds = _folds(config, reporter)
    numbers = _numbers(which, len(folds))
    check(_of_fold(config, numbers[0]))
    runs = fold_runs(config, len(folds))
    if resume:
        for number in numbers:
            _require_same_cases(config, number, folds[number], runs[number])
    skipped = [number for number in numbers if resume and is_finished(runs[number])]
    for number in skipped:
        reporter.say(f"fold {number} is finished: {runs[number].root}")
        _compare_settings(config, number, runs[number], reporter)
    todo = [number for number in numbers if number not in skipped]
    jobs = [_job(config, number, runs[number], resume, reporter) for number in todo]
    (executor or OneAfterAnother()).run(jobs, reporter)
    return FoldRuns(folds, runs, tuple(todo), tuple(skipped))


def fold_runs(config: Config, count: int) -> tuple[RunFolder, ...]:
    """Return the run folders of `count` folds of a config."""
    return tuple(RunFolder.of(_of_fold(config, number)) for number in range(count))


def trained_folds(config: Config) -> tuple[tuple[Fold, ...], tuple[RunFolder, ...]]:
    """Return the folds of a config and their run folders, all of them trained.

    Raises:
        UserError: the dataset has no folds, one is not trained to its end, or one was trained on a patient that it
            holds out now.
    """
    path = dataset_of(config) / FOLDS_NAME
    if not path.is_file():
        raise UserError(
            f"{path} does not exist; `spleenseg train {config.path} --folds all` makes and trains the folds"
        )
    folds = read_folds(path)
    runs = fold_runs(config, len(folds))
    missing = [str(number) for number, run in enumerate(runs) if not is_finished(run)]
    if missing:
        raise UserError(
            f"fold {', '.join(missing)} of {len(folds)} is not trained to its end; "
            f"run `spleenseg train {config.path} --folds all --resume`"
        )
    _require_unseen(config, folds, runs, path)
    return folds, runs


def is_finished(run: RunFolder) -> bool:
    """Whether the training of a run folder ended by itself."""
    return run.manifest.is_file() and RunManifest.read(run.manifest).finished is not None


def _require_unseen(config: Config, folds: Sequence[Fold], runs: Sequence[RunFolder], path: Path) -> None:
    """Refuse folds of which one would be judged by what it learned; whatever `path` says now, run.json knows better."""
    manifest = find_manifest(path.parent)
    patients = manifest.patients if manifest else {}
    for number, (fold, run) in enumerate(zip(folds, runs, strict=True)):
        seen = RunManifest.read(run.manifest).trained_on(fold.valid, patients)
        if seen:
            raise UserError(
                f"fold {number} was trained on the patient of {seen[0]}, a case that {path} has it hold out now; "
                f"{_way_out(config, number)}"
            )


def _require_same_cases(config: Config, number: int, fold: Fold, run: RunFolder) -> None:
    """Refuse to go on with a fold that was trained on other cases than it has now: neither would it be that fold."""
    record = RunManifest.read(run.manifest).data.get("train") if run.manifest.is_file() else None
    different = {*record.cases} ^ {*fold.train} if record and record.cases else ()
    if record and different:
        case, place = min(different), dataset_of(config) / FOLDS_NAME
        raise UserError(
            f"fold {number} was trained {'on' if case in record.cases else 'without'} the case {case}, unlike {place} "
            f"says now; {_way_out(config, number)}"
        )


def _compare_settings(config: Config, number: int, run: RunFolder, reporter: Reporter) -> None:
    """Refuse a finished fold that is no fold of the network that the others will be; say in what else it differs."""
    then, now = RunManifest.read(run.manifest).config, portable(_of_fold(config, number))
    for line in fixed_changes(then, now):
        raise UserError(f"fold {number} is finished, but {line}: set it back, or {_anew(config, number)}")
    for line in training_differences(now, then):
        reporter.warn(f"fold {number} is finished and stays as it was trained: {line}")


def _way_out(config: Config, number: int) -> str:
    return f"put back the file it was trained by, or {_anew(config, number)}"


def _anew(config: Config, number: int) -> str:
    command = f"spleenseg train {config.path} --folds {number}"
    return f"train it anew with `{command}` (the earlier run is moved aside)"


def _folds(config: Config, reporter: Reporter) -> tuple[Fold, ...]:
    dataset = dataset_of(config)
    path = dataset / FOLDS_NAME
    if not path.is_file():
        return split(dataset, threads=config.train.threads, reporter=reporter)
    folds = read_folds(path)
    require_fitting(folds, patients_of(dataset, config.train.threads, reporter), path)
    return folds


def _numbers(which: int | str, count: int) -> range:
    if which == ALL:
        return range(count)
    text = str(which)
    if not text.isdecimal() or int(text) >= count:
        raise UserError(f"--folds {which}: give all, or a number from 0 to {count - 1}")
    return range(int(text), int(text) + 1)


def _job(config: Config, number: int, run: RunFolder, resume: bool, reporter: Reporter) -> FoldJob:
    path, text = run.root / run.config_name, _text(config, number)
    if path.is_file() and path.read_bytes() != text.encode():  # somebody may have edited it
        aside = free_name(path)
        path.replace(aside)
        reporter.say(f"fold {number}: the earlier {path} was moved to {aside}")
    write_text(path, text)
    return FoldJob(number, path, resume and run.last_state.is_file())


def _of_fold(config: Config, number: int) -> Config:
    """Return the config of a fold as it will lie in its folder."""
    from spleenseg.config import parse_config

    return parse_config(_text(config, number), _path(config, number))


def _path(config: Config, number: int) -> Path:
    return config.folder / _name(number) / config.path.name


def _name(number: int) -> str:
    return f"fold_{number}"


def _text(config: Config, number: int) -> str:
    changes = {("dataset", "fold"): number, ("model", "evaluation"): "eval"}
    head = f"; Fold {number} of ../{config.path.name}, written by spleenseg train --folds: change that one instead.\n"
    return head + rewritten(config, _path(config, number).parent, changes, apart=_name(number))


def _forget_networks() -> None:
    """Free what the backend keeps of the networks of a fold that is done."""
    import keras

    keras.utils.clear_session()
