"""Who is told of each epoch: the record of the run, the pictures, and the loggers asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from spleenseg.config import Config
from spleenseg.datasets.slices import SliceSet
from spleenseg.models.run_folder import RunFolder
from spleenseg.training.loggers import loggers
from spleenseg.training.network import Learner
from spleenseg.training.state import TrainState

Observer = Callable[[TrainState], None]


@contextmanager
def observers(
    config: Config, run: RunFolder, learner: Learner, valid: SliceSet, record: Observer
) -> Iterator[Observer]:
    """Yield what is to be called after each epoch; `record` comes first, then pictures and loggers.

    Args:
        config: says what is asked for.
        run: where it goes.
        learner: the network that is drawn.
        valid: the validation slices.
        record: keeps run.json.
    """
    with loggers(config, run) as logged:
        told: list[Observer] = [record]
        if config.train.epoch_change_infer:
            from spleenseg.training.overlays import EpochOverlays

            told.append(EpochOverlays(learner.network, valid, config, learner.average.in_use))
        told += logged

        def tell(state: TrainState) -> None:
            for observer in told:
                observer(state)

        yield tell
