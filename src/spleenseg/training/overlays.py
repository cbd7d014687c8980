"""Seeing a training: every few epochs some validation slices with truth and prediction, the worst one among them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from spleenseg.config import Config
from spleenseg.datasets.slices import SliceSet
from spleenseg.inference.engine import Floats
from spleenseg.inference.keras_engine import KerasEngine
from spleenseg.inference.labels import labels_of
from spleenseg.inference.predictor import at_size
from spleenseg.metrics import confusion, dice
from spleenseg.render import contact_sheet
from spleenseg.render.compare import compared
from spleenseg.training.state import TrainState

SEARCHED = 64
"""Among so many validation slices with organ the worst is looked for."""

_COLUMNS = 3
Mask = npt.NDArray[np.bool_]


class EpochOverlays:
    """Draws `epoch_0001.png`, ... after every n-th epoch: truth blue, prediction amber.

    The slices are the same in every epoch: `num_infer_images` of those with organ, evenly spread, so that an organ is
    seen to grow; and beside them the slice that is worst in that epoch, of at most `SEARCHED` evenly spread ones.
    Nothing random is drawn, so the training goes on as if nobody had looked.

    Args:
        network: the network that ends in probabilities.
        slices: the validation split.
        config: says how often, how many and where ([train] `epoch_change_infer`...).
        in_use: lets the network have the weights that are judged and kept, while the block runs.
    """

    def __init__(
        self,
        network: Any,
        slices: SliceSet,
        config: Config,
        in_use: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._engine = KerasEngine(network, config.eval.batch_size)
        self._slices, self._in_use = slices, in_use
        self._every, self._threshold = config.train.epoch_change_every, config.infer.threshold
        self._folder: Path = config.train.epoch_change_infer_dir
        organ = [index for index in range(len(slices)) if slices.labels(index).any()] or list(range(len(slices)))
        self._searched = _spread(organ, SEARCHED)
        self._fixed = _spread(organ, config.train.num_infer_images)

    def __call__(self, state: TrainState) -> None:
        """Draw the sheet of the epoch that `state` has just finished, if it is its turn.

        Raises:
            UserError: the folder cannot be written to.
        """
        if state.epoch % self._every:
            return
        with self._in_use():
            worst = self._worst()
            shown = [*(index for index in self._fixed if index != worst), worst]
            found = dict(zip(shown, self._predicted(shown), strict=True))
        tiles = [self._tile(index, found[index]) for index in shown]
        tiles[-1] = (f"worst: {tiles[-1][0]}", tiles[-1][1])
        contact_sheet(tiles, _COLUMNS, self._folder / f"epoch_{state.epoch:04d}.png")

    def _worst(self) -> int:
        scores = (
            (index, _dice(self._slices.labels(index) > 0, labels_of(found, self._threshold) > 0))
            for index, found in zip(self._searched, self._predicted(self._searched), strict=True)
        )
        return min(scores, key=lambda one: one[1])[0]

    def _predicted(self, indices: Sequence[int]) -> Iterator[Floats]:
        size = self._engine.batch_size
        for first in range(0, len(indices), size):
            part = indices[first : first + size]
            images = np.stack([self._slices.image(index) for index in part]).astype(np.float32)
            yield from self._engine.probabilities(images)

    def _tile(self, index: int, found: Floats) -> tuple[str, npt.NDArray[np.uint8]]:
        truth = self._slices.native_labels(index) > 0
        predicted = (
            labels_of(at_size(found, (truth.shape[0], truth.shape[1]), self._slices.step(index)), self._threshold) > 0
        )
        picture = compared(self._slices.native_image(index), truth, predicted)
        return f"{Path(self._slices.files[index].name).stem}, Dice {_dice(truth, predicted):.3f}", picture


def _dice(truth: Mask, found: Mask) -> float:
    return dice(confusion(truth, found))


def _spread(places: Sequence[int], count: int) -> list[int]:
    """Return at most `count` of `places`, evenly spread: the middles of as many equal parts."""
    if count >= len(places):
        return list(places)
    return [places[int((part + 0.5) * len(places) / count)] for part in range(count)]
