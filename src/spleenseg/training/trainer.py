"""The training loop: our own epochs over `train_on_batch`, so that every step can be saved, resumed, shown."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass

from spleenseg.augment.debug import DebugSaver
from spleenseg.augment.stream import Batch, BatchStream
from spleenseg.config import Config
from spleenseg.errors import UserError
from spleenseg.files import atomic
from spleenseg.models.run_folder import RunFolder
from spleenseg.progress import Reporter, Task
from spleenseg.training.checkpoint import load_checkpoint, save_checkpoint
from spleenseg.training.failure import keep_reproduction, require_space
from spleenseg.training.history import write_history
from spleenseg.training.interruption import StopRequest, stop_between_steps
from spleenseg.training.network import Learner
from spleenseg.training.pace import Pace
from spleenseg.training.schedule import Schedule
from spleenseg.training.state import TrainState


@dataclass(frozen=True)
class Feed:
    """What the trainer is fed with: the augmented stream, and the validation batches as they are."""

    stream: BatchStream
    validation: Callable[[], Iterator[Batch]]
    debug: DebugSaver | None


class Trainer:
    """Runs epochs, keeps the best and the last, and writes the files of a run after each epoch.

    Args:
        config: the config of the run.
        run: where everything goes.
        learner: the network and what trains it.
        feed: batches for training and validation.
        on_epoch: called with the state after each epoch's files are written.
        reporter: shows progress.

    Attributes:
        asked_to_stop: whether a request to stop came when no step was left that could honour it.
    """

    def __init__(
        self,
        config: Config,
        run: RunFolder,
        learner: Learner,
        feed: Feed,
        on_epoch: Callable[[TrainState], None],
        reporter: Reporter,
    ) -> None:
        self.config, self.run, self.learner = config, run, learner
        self.feed, self.on_epoch, self.reporter = feed, on_epoch, reporter
        self.schedule = Schedule.of(config)
        self.state = TrainState(config.model.learning_rate, config.model.learning_rate)
        self.asked_to_stop = False

    def resume(self) -> None:
        """Continue from `models/last`; the files of the last epoch it knows are written where they are missing."""
        self._load_last()
        write_history(self.run, self.state.history, self.config.train.metrics)
        self.reporter.say(f"continuing at epoch {self.state.epoch + 1}, step {self.state.step + 1}")

    def fit(self) -> TrainState:
        """Train until the epochs are done or validation (`best_by`) has stalled for `patience` epochs.

        Raises:
            UserError: the loss became NaN, or a file cannot be written.
            KeyboardInterrupt: asked to stop; the state is saved.
        """
        settings = self.config.train
        total = settings.epochs * settings.steps_per_epoch
        with ExitStack() as stack:
            request = stack.enter_context(stop_between_steps())
            task = stack.enter_context(self.reporter.task("training", total))
            task.advance(self.state.epoch * settings.steps_per_epoch + self.state.step)
            if not self.run.last_state.is_file():  # so that a kill in the first epoch loses no more than others
                self._save_last()
            while self.state.epoch < settings.epochs and not self.state.should_stop(settings.patience):
                self._run_epoch(task, request)
            self.asked_to_stop = request.requested
        return self.state

    def _run_epoch(self, task: Task, request: StopRequest) -> None:
        started = time.perf_counter()
        if self.state.step == 0:
            self.learner.begin_epoch()
        if self.state.trained is None:
            self.state.trained = self._train_steps(task, request)
        figures = {**self.state.trained, **self._validate(request), "learning_rate": self._rate()}
        figures["seconds"] = round(time.perf_counter() - started, 3)
        improved = self.state.finish_epoch(figures, self.config.train.best_by)
        if improved:
            self._save_best()
        self._say_epoch(figures, improved)
        self._reduce_rate()
        self._save_last()
        write_history(self.run, self.state.history, self.config.train.metrics)
        self.on_epoch(self.state)

    def _train_steps(self, task: Task, request: StopRequest) -> dict[str, float]:
        every, pace = self.config.train.checkpoint_every, Pace(self.config.train.batch_size)
        with closing(self.feed.stream.epoch(self.state.epoch, self.state.step)) as batches:
            for batch in batches:
                logs = self._step(batch)
                self._require_finite(logs["loss"], batch)
                if self.feed.debug:
                    self.feed.debug.save(batch, self.state.epoch)
                self._count_step()
                where = f"epoch {self.state.epoch + 1}/{self.config.train.epochs}"
                task.advance(note=f"{where}  {_brief(logs)}  {pace.step()}")
                if request.requested:
                    self._save_last()
                    raise KeyboardInterrupt
                if every and self.state.step % every == 0:
                    self._save_last()
        return self.learner.figures()

    def _validate(self, request: StopRequest) -> dict[str, float]:
        self.learner.begin_epoch()
        logs: dict[str, float] = {}
        with self.learner.average.in_use():
            for batch in self.feed.validation():
                if request.requested:
                    break
                logs = self.learner.test_on(batch.images, batch.targets)
        if request.requested:  # what is saved validates first when it goes on
            self._save_last()
            raise KeyboardInterrupt
        return {f"val_{name}": value for name, value in logs.items()}

    def _require_finite(self, loss: float, batch: Batch) -> None:
        if math.isfinite(loss):
            return
        batch = Batch(batch.images.copy(), batch.targets.copy(), batch.names)  # the stream uses its memory again
        self._go_back_to(self.state.step)
        kept = keep_reproduction(self.config, self.learner, self.state, batch, loss)
        raise UserError(
            f"the loss became {loss} at epoch {self.state.epoch + 1}, step {self.state.step + 1} "
            f"(images {', '.join(batch.names)}); lower learning_rate or clipvalue, or look at these images; "
            f"the last checkpoint is intact, and {kept / 'README.txt'} says how to take that step again"
        )

    def _go_back_to(self, step: int) -> None:
        """Have the variables again as they were before a step of this epoch: the last checkpoint, and on from there.

        Keeping a copy of all weights at each step would cost every training time for what hardly one needs.
        """
        self._load_last()
        place = f"epoch {self.state.epoch + 1}, step {self.state.step + 1}"
        self.reporter.say(f"going back to {place}, to keep what led to a loss that is no number")
        if self.state.step == 0:
            self.learner.begin_epoch()
        if self.state.step == step:
            return
        with closing(self.feed.stream.epoch(self.state.epoch, self.state.step)) as batches:
            for batch in batches:
                self._step(batch)
                self._count_step()
                if self.state.step == step:
                    return

    def _step(self, batch: Batch) -> dict[str, float]:
        if not self.schedule.steady:
            self.learner.set_rate(self._rate())
        return self.learner.train_on(batch.images, batch.targets)

    def _count_step(self) -> None:
        self.state.step += 1
        self.learner.average.update(self.state.epoch * self.schedule.steps_per_epoch + self.state.step)

    def _reduce_rate(self) -> None:
        settings = self.config.train
        if not settings.learning_rate_reducer:
            return
        if self.state.reduce_rate_on_plateau(settings.reducer_patience, settings.reducer_factor):
            self.learner.set_rate(self.state.learning_rate)
            self.reporter.say(f"learning rate reduced to {self.state.learning_rate:g}")

    def _rate(self) -> float:
        """The rate in force: what reductions have left, by the schedule."""
        return self.state.learning_rate * self.schedule.factor(self.state.epoch, self.state.step)

    def _save_best(self) -> None:
        network = self.learner.network
        save = network.save_weights if self.config.train.save_weights_only else network.save
        require_space(self.run.best_weights, network)
        with atomic(self.run.best_weights) as temporary, self.learner.average.in_use():
            save(temporary)

    def _save_last(self) -> None:
        save_checkpoint(self.run.last_state, self.learner.variables(), self.state)

    def _load_last(self) -> None:
        """Have the last checkpoint again; a learning rate that the config has changed since holds from there on."""
        self.state = load_checkpoint(self.run.last_state, self.learner.variables())
        if self.state.start_from(self.config.model.learning_rate):
            self.learner.set_rate(self.state.learning_rate)

    def _say_epoch(self, figures: dict[str, float], improved: bool) -> None:
        val = {name.removeprefix("val_"): value for name, value in figures.items() if name.startswith("val_")}
        mark = "  best so far" if improved else ""
        self.reporter.say(
            f"epoch {self.state.epoch}/{self.config.train.epochs}  {_brief(figures)}  |  "
            f"validation {_brief(val)}  |  {figures['seconds']:.0f} s{mark}"
        )


def _brief(logs: dict[str, float]) -> str:
    """Loss, Dice and IoU in one line, under the names people read."""
    shown = {"loss": "loss", "dice_coef": "Dice", "iou_coef": "IoU"}
    return "  ".join(f"{label} {logs[name]:.4f}" for name, label in shown.items() if name in logs)
