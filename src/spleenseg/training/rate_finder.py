"""The learning-rate range test (Smith 2017, arXiv 1506.01186): raise the rate step by step and watch the loss."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from spleenseg.augment.policies import build_policy
from spleenseg.augment.stream import Batch, BatchStream
from spleenseg.config import Config, load_config
from spleenseg.datasets.slices import SliceSet
from spleenseg.errors import UserError
from spleenseg.files import write_csv
from spleenseg.models.backend import load_backend
from spleenseg.models.run_folder import RunFolder
from spleenseg.progress import SILENT, Reporter
from spleenseg.training.feed import training_target
from spleenseg.training.interruption import stop_afterwards
from spleenseg.training.preflight import check

STEPS = 100
LOWEST, HIGHEST = 1e-6, 1.0
_MEMORY = 0.9  # of the smoothed loss
_EXPLODED = 2.0  # times the lowest smoothed loss: no higher rate needs trying
_SAFETY = 10.0


@dataclass(frozen=True)
class RatePoint:
    """One step of the test: the rate it took, its loss, and the loss smoothed over the steps before."""

    rate: float
    loss: float
    smoothed: float


@dataclass(frozen=True)
class RateTest:
    """What a test found.

    Attributes:
        points: the steps.
        suggested: a tenth of the rate at which the smoothed loss was lowest: there it still falls, with room above.
        csv, png: the files written.
    """

    points: tuple[RatePoint, ...]
    suggested: float
    csv: Path
    png: Path

    def summary(self) -> str:
        """Say the rate in one line."""
        return f"suggested [model] learning_rate = {self.suggested:.1g} (see {self.png}); nothing else was changed"


def find_rate(
    config: Config | Path | str, *, overrides: Sequence[str] = (), steps: int = STEPS, reporter: Reporter = SILENT
) -> RateTest:
    """Try learning rates from 1e-6 to 1 on a network of its own, with the config's batches, optimiser and loss.

    Writes `learning_rate.csv` and `.png` into the eval folder; weights, checkpoints and run.json are not touched.

    Args:
        config: a config file, or one already loaded.
        overrides: "section.key=value" settings over the file (not with a loaded config).
        steps: how many rates are tried at most, at least 10; the test ends early when the loss explodes.
        reporter: shows progress.

    Raises:
        UserError: what `train` raises before it starts, a lack of memory, or a loss that is never finite.
        ValueError: fewer than 10 steps.
    """
    if steps < 10:
        raise ValueError(f"steps is {steps}; a test needs at least 10")
    if not isinstance(config, Config):
        config = load_config(config, overrides)
    check(config, ("train",))
    run = RunFolder.of(config)
    _require_folder(run.eval_dir)
    load_backend()
    from spleenseg.training.failure import explained

    with explained(config):
        points = tuple(_tried(config, steps, reporter))
    if not points:
        raise UserError("the loss was not finite even at a rate of 1e-06; look at the images, or at [model]")
    test = RateTest(points, _suggested(points), run.eval_dir / "learning_rate.csv", run.eval_dir / "learning_rate.png")
    write_csv(test.csv, ("learning_rate", "loss", "smoothed"), [(p.rate, p.loss, p.smoothed) for p in points])
    _draw(test)
    return test


def _tried(config: Config, steps: int, reporter: Reporter) -> Iterator[RatePoint]:
    from spleenseg.training.initial import set_initial
    from spleenseg.training.network import build

    slices = SliceSet.from_config(config, "train", reporter)
    with stop_afterwards():
        learner = build(config)
    set_initial(learner.network, config, reporter)
    average, lowest = 0.0, math.inf
    with closing(_batches(config, slices, steps)) as batches, reporter.task("trying rates", steps) as task:
        for step, batch in enumerate(batches):
            rate = LOWEST * (HIGHEST / LOWEST) ** (step / (steps - 1))
            learner.set_rate(rate)
            learner.begin_epoch()
            loss = learner.train_on(batch.images, batch.targets)["loss"]
            if not math.isfinite(loss):
                return
            average = _MEMORY * average + (1 - _MEMORY) * loss
            smoothed = average / (1 - _MEMORY ** (step + 1))  # as in Kingma & Ba 2015: unbiased from the first step on
            lowest = min(lowest, smoothed)
            yield RatePoint(rate, loss, smoothed)
            task.advance(note=f"rate {rate:.1e}  loss {loss:.4f}")
            if step >= steps // 4 and smoothed > _EXPLODED * lowest:
                return


def _require_folder(folder: Path) -> None:
    """Make the folder that the results go to, before minutes are spent on them."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {error.strerror or error}") from error


def _batches(config: Config, slices: SliceSet, steps: int) -> Generator[Batch, None, None]:
    train = config.train
    stream = BatchStream(
        slices,
        build_policy(config),
        train.batch_size,
        steps,
        train.seed,
        training_target(config),
        train.threads,
        train.foreground,
    )
    with closing(stream.epoch(0, 0)) as batches:
        yield from islice(batches, steps)


def _suggested(points: Sequence[RatePoint]) -> float:
    return min(points, key=lambda point: point.smoothed).rate / _SAFETY


def _draw(test: RateTest) -> None:
    from spleenseg.render.charts import rate_curve

    points = [(point.rate, point.loss, point.smoothed) for point in test.points]
    rate_curve(test.png, points, test.suggested)
