"""What a training is fed with: targets from labels, and the validation slices, each once, as they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import numpy.typing as npt

from spleenseg.augment.stream import Batch
from spleenseg.config import Config
from spleenseg.datasets.slices import SliceSet
from spleenseg.datasets.targets import hard_target, soft_target

Target = Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]


def training_target(config: Config) -> Target:
    """Return labels uint8 [H, W] -> what the loss compares with, float32 [H, W, K]; softened as [mask] says."""
    return partial(soft_target, config=config)


def validation_batches(slices: SliceSet, config: Config) -> Callable[[], Iterator[Batch]]:
    """Return a function that goes through the validation slices once, never augmented, never softened.

    `[train] validation_limit` takes that many, evenly spread, always the same.
    """
    chosen = _spread(len(slices), config.train.validation_limit)
    size = config.eval.batch_size
    classes = config.model.num_classes

    def batches() -> Iterator[Batch]:
        for first in range(0, len(chosen), size):
            part = chosen[first : first + size]
            images = np.stack([slices.image(index) for index in part]).astype(np.float32)
            targets = np.stack([hard_target(slices.labels(index), classes) for index in part])
            yield Batch(images, targets, tuple(slices.files[index].name for index in part))

    return batches


def _spread(count: int, limit: int | None) -> list[int]:
    if limit is None or limit >= count:
        return list(range(count))
    return [int(index) for index in np.linspace(0, count - 1, limit).round()]
