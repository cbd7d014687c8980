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
        self._settle_best()
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
            while not self._is_over():
                self._run_epoch(task, request)
            self.asked_to_stop = request.requested
        return self.state

    def _is_over(self) -> bool:
        settings = self.config.train
        return self.state.epoch >= settings.epochs or self.state.should_stop(settings.patience)

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
            self._save_next_best()
        self._say_epoch(figures, improved)
        self._reduce_rate()
        self._save_last()
        if improved:
            self._settle_best()
        write_history(self.run, self.state.history, self.config.train.metrics)
        self.on_epoch(self.state)

    def _train_steps(self, task: Task, request: StopRequest) -> dict[str, float]:
        every, pace = self.config.train.checkpoint_every, Pace(self.config.train.batch_size)
        with closing(self.feed.stream.epoch(self.state.epoch, self.state.step)) as batches:
            for batch in batches:
                logs = self._step(batch)
                done, stop = self.state.step + 1, request.requested
                due = stop or bool(every and done % every == 0)
                kept = due or done == self.config.train.steps_per_epoch
                self._require_finite(logs["loss"], batch, kept, request)
                if self.feed.debug:
                    self.feed.debug.save(batch, self.state.epoch)
                self._count_step()
                where = f"epoch {self.state.epoch + 1}/{self.config.train.epochs}"
                task.advance(note=f"{where}  {_brief(logs)}  {pace.step()}")
                if due:
                    self._save_last()
                if stop:
                    raise KeyboardInterrupt
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

    def _require_finite(self, loss: float, batch: Batch, kept: bool, request: StopRequest) -> None:
        """Refuse a loss that is no number after a step, and weights that are none where they are about to be kept."""
        if math.isfinite(loss):
            if not kept or self.learner.is_finite():
                return
            loss = math.nan  # the next step's: the weights hold what is no number
        batch = Batch(batch.images.copy(), batch.targets.copy(), batch.names)  # the stream uses its memory again
        checkpoint = self._go_back_to(self.state.step, request)
        folder = keep_reproduction(self.config, self.learner, self.state, batch, loss)
        raise UserError(
            f"the loss became {loss} at {self._place()} (images {', '.join(batch.names)}); lower learning_rate or "
            f"clipvalue, or look at these images; {folder / 'README.txt'} says how to take that step again; the last "
            f"checkpoint, of {checkpoint}, is intact: --resume goes on from there; where that fails too, train anew"
        )

    def _go_back_to(self, step: int, request: StopRequest) -> str:
        """Have the variables again as they were before a step of this epoch: the last checkpoint, and on from there.

        Keeping a copy of all weights at each step would cost every training time for what hardly one needs.

        Returns:
            the place of the checkpoint.
        """
        self._load_last()
        checkpoint = self._place()
        self.reporter.say(f"going back to {checkpoint}, to keep what led to a loss that is no number")
        if self.state.step == 0:
            self.learner.begin_epoch()
        if self.state.step == step:
            return checkpoint
        with closing(self.feed.stream.epoch(self.state.epoch, self.state.step)) as batches:
            for batch in batches:
                self._step(batch)
                self._count_step()
                if self.state.step == step:
                    break
                if request.requested:
                    raise KeyboardInterrupt
        return checkpoint

    def _place(self) -> str:
        return f"epoch {self.state.epoch + 1}, step {self.state.step + 1}"

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

    def _save_next_best(self) -> None:
        """Write the best weights beside the checkpoint; they take the place of those before once it knows of them."""
        network, path = self.learner.network, self.run.next_best(self.state.epoch - 1)
        save = network.save_weights if self.config.train.save_weights_only else network.save
        require_space(path, network)
        with atomic(path) as temporary, self.learner.average.in_use():
            save(temporary)

    def _settle_best(self) -> None:
        """Have the best weights be those that the last checkpoint knows as such.

        Those of a later epoch, which a kill has cut off from its checkpoint, are made again.
        """
        epoch = self.state.best_epoch
        if epoch is not None and self.run.next_best(epoch).is_file():
            self.run.next_best(epoch).replace(self.run.best_weights)
        for left in self.run.all_next_best():
            left.unlink()
        if epoch is not None and not self.run.best_weights.is_file():
            if self._is_over():
                raise UserError(f"{self.run.best_weights} is gone, and no epoch is left to choose another from")
            self.reporter.warn(f"{self.run.best_weights} is gone: the best epoch is chosen anew from here on")
            self.state.forget_best()

    def _save_last(self) -> None:
        save_checkpoint(self.run.last_state, self.learner.variables(), self.state)

    def _load_last(self) -> None:
        """Have the last checkpoint again; a learning rate that the config has changed since holds from there on."""
        self.state = load_checkpoint(self.run.last_state, self.learner.variables())
        self.state.start_from(self.config.model.learning_rate)
        if self.schedule.steady:  # else every step sets it; what the checkpoint brought may be of another schedule
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
