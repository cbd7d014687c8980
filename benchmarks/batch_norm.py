"""What batch normalisation in one operation is worth: a training step with ours, and with Keras's own layer.

    python benchmarks/batch_norm.py [--quick] [--json FILE] [--side PIXELS]

The recommended network (FastUNet, 16 filters, 6 levels, one channel, batch 8) on one batch of noise, on TensorFlow,
built twice in one process; the two take turns, step by step. Seconds are CPU time, so that other work on the machine
counts little.

seconds_per_step  {ours, keras}: medians
speedup           the median over the steps of Keras's seconds over ours
"""

from __future__ import annotations

import time
from contextlib import contextmanager, nullcontext
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from common import ROOT, arguments, machine, report, versions
from spleenseg.config import Config, load_config
from spleenseg.models.backend import load_backend

if TYPE_CHECKING:
    from collections.abc import Iterator

BATCH, WARM_UP = 8, 3
PROJECT = ROOT / "projects" / "spleen" / "recommended.config"


def main() -> None:
    """Build both, let them take turns, report."""
    parser = arguments(__doc__.split("\n")[0])
    parser.add_argument("--side", type=int, default=256, help="of the pictures")
    options = parser.parse_args()
    config = load_config(PROJECT, [f"model.image_width={options.side}", f"model.image_height={options.side}"])
    load_backend()
    learners = {"ours": _built(config, keras_own=False), "keras": _built(config, keras_own=True)}
    steps = 5 if options.quick else 25
    seconds = _timed(learners, options.side, steps)
    result = {
        "seconds_per_step": {name: round(median(times), 4) for name, times in seconds.items()},
        "speedup": round(median(np.array(seconds["keras"]) / np.array(seconds["ours"])), 2),
        "side": options.side,
        "steps": steps,
        "machine": machine(),
        "versions": versions("spleenseg", "keras", "tensorflow-cpu"),
    }
    report(result, options.json)


def _built(config: Config, keras_own: bool) -> Any:
    from spleenseg.training.network import build

    with _keras_layer() if keras_own else nullcontext():
        return build(config)


@contextmanager
def _keras_layer() -> Iterator[None]:
    """Have networks built in the block use Keras's own layer."""
    import keras

    from spleenseg.models import blocks

    ours = blocks.BatchNormalization
    blocks.BatchNormalization = keras.layers.BatchNormalization  # type: ignore[misc, assignment]
    try:
        yield
    finally:
        blocks.BatchNormalization = ours  # type: ignore[misc]


def _timed(learners: dict[str, Any], side: int, steps: int) -> dict[str, list[float]]:
    rng = np.random.default_rng(0)
    images = rng.uniform(0, 255, (BATCH, side, side, 1)).astype(np.float32)
    targets = (rng.random((BATCH, side, side, 1)) > 0.9).astype(np.float32)
    seconds: dict[str, list[float]] = {name: [] for name in learners}
    for step in range(WARM_UP + steps):
        for name, learner in learners.items():
            started = time.process_time()
            learner.train_on(images, targets)
            if step >= WARM_UP:
                seconds[name].append(time.process_time() - started)
    return seconds


if __name__ == "__main__":
    main()
