"""How fast this machine is with the built-in spleen model's network: a few seconds of each kind of work."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np

from spleenseg.inference.builtin import DEFAULT, FOLDER

SLICE = 512  # pixels a side of the slices that are segmented
_WARM_UP = 2


def training_speed(seconds: float) -> tuple[float, str]:
    """Train the built-in model's network on noise.

    Args:
        seconds: for how long; building it comes on top.

    Returns:
        slices a second of the bare step, without augmentation, and what was trained, in words. The number format
        is the one that `precision = "auto"` means.
    """
    from spleenseg.config import load_config
    from spleenseg.training.network import build

    config = load_config(FOLDER / f"{DEFAULT}.config", ["train.precision=auto"])
    learner, model, batch = build(config), config.model, config.train.batch_size
    shape = (batch, model.image_height, model.image_width, model.image_channels)
    images = np.random.default_rng(0).integers(0, 256, shape).astype(np.float32)
    targets = (images[..., :1] > 200).astype(np.float32)
    spent = _median_time(lambda: learner.train_on(images, targets), seconds)
    return batch / spent, f"{model.model}, {model.image_width} x {model.image_height}, batches of {batch}"


def segmentation_speed(seconds: float) -> float:
    """Segment noise with the built-in model; return the seconds of one slice of 512 x 512.

    Args:
        seconds: for how long.
    """
    from spleenseg.inference.loading import load_predictor

    predictor = load_predictor(Path(DEFAULT))
    shape = (predictor.batch_size, predictor.expectation.channels, SLICE, SLICE)
    stack = np.random.default_rng(0).integers(-200, 300, shape).astype(np.int16)
    return _median_time(lambda: predictor.of_hu(stack, (0.8, 0.8)), seconds) / predictor.batch_size


def _median_time(work: Callable[[], object], seconds: float) -> float:
    """Return what `work` takes, in seconds, as the median over repetitions of `seconds` in all, at least one."""
    for _ in range(_WARM_UP):
        work()
    spent: list[float] = []
    while sum(spent) < seconds:
        started = time.perf_counter()
        work()
        spent.append(time.perf_counter() - started)
    return median(spent)
