"""What every network costs: parameters, GFLOP, a training step and an inference, at 256 x 256.

    python benchmarks/models.py [--quick] [--json benchmarks/models.json] [--models NAME...]
    python docs/generate_model_table.py

Every network works at its default settings (those of `spleenseg models list`, but for the size) in a process of its
own, on as many threads as there are cores, in float32. Times are medians after a warm-up, of wall time.

networks    one entry a network: name, parameters, gflop, step_s (a training step of 2 images: forward, loss,
            backward, Adam), inference_s (one image, to its probabilities); times are null for those not asked for
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from common import arguments, machine, report, versions
from spleenseg.models.backend import load_backend
from spleenseg.models.registry import names, resolve

SIDE, CHANNELS, BATCH = 256, 3, 2
WARM_UP = 2
ROUNDS, QUICK_ROUNDS = 9, 3
SECTION = {"image_width": SIDE, "image_height": SIDE, "image_channels": CHANNELS, "num_classes": 1}


def main() -> None:
    """Count all networks, time those asked for, report."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--models", nargs="+", default=names(), metavar="NAME", help="time only these")
    parser.add_argument("--one", help="measure this one here, and print it")
    asked = parser.parse_args()
    rounds = QUICK_ROUNDS if asked.quick else ROUNDS
    if asked.one:
        print(json.dumps(measured(asked.one, rounds)))
        return
    timed = {resolve(name).name for name in asked.models}
    networks = []
    for row in counted():
        print(row["name"], file=sys.stderr)
        networks.append({**row, **(apart(row["name"], asked.quick) if row["name"] in timed else NOT_TIMED)})
    result = {
        **{"side": SIDE, "channels": CHANNELS, "batch": BATCH, "rounds": rounds, "networks": networks},
        **{"machine": machine(), "versions": versions("spleenseg", "keras", "tensorflow-cpu", "tensorflow", "numpy")},
    }
    report(result, asked.json)


NOT_TIMED = {"step_s": None, "inference_s": None}


def counted() -> list[dict[str, Any]]:
    """Return name, parameters and GFLOP of every network."""
    from spleenseg.config import ModelConfig
    from spleenseg.models.inspect import list_networks

    found = list_networks(ModelConfig(**SECTION))
    return [{"name": each.name, "parameters": each.parameters, "gflop": each.gflop} for each in found]


def apart(name: str, quick: bool) -> dict[str, float]:
    """Measure a network in a process of its own."""
    command = [sys.executable, __file__, "--one", name, *(["--quick"] if quick else [])]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def measured(name: str, rounds: int) -> dict[str, float]:
    """Return the seconds of a training step and of an inference, here."""
    from spleenseg.config import parse_config

    load_backend()
    from spleenseg.training.network import build

    section = {"model": name, "base_filters": 16, "num_layers": 6, **SECTION}
    text = "[model]\n" + "".join(f"{key} = {value!r}\n" for key, value in section.items())
    learner = build(parse_config(text, Path("models.config")))
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (BATCH, SIDE, SIDE, CHANNELS)).astype(np.float32)
    targets = (rng.random((BATCH, SIDE, SIDE, 1)) < 0.1).astype(np.float32)
    step = seconds(lambda: learner.train_on(images, targets), rounds)
    return {"step_s": step, "inference_s": seconds(lambda: learner.network.predict_on_batch(images[:1]), rounds)}


def seconds(work: Callable[[], Any], rounds: int) -> float:
    """Return the median of the seconds `work` takes, once warm."""
    taken = []
    for number in range(WARM_UP + rounds):
        started = time.perf_counter()
        work()
        if number >= WARM_UP:
            taken.append(time.perf_counter() - started)
    return round(median(taken), 4)


if __name__ == "__main__":
    main()
