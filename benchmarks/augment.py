"""How fast augmentation is, beside other libraries and beside a training step.

    python benchmarks/augment.py [--quick] [--json FILE] [--albumentationsx PYTHON]

`make setup-bench` installs the other libraries. All of them, and ours, work one thread each in processes of their
own (see augment_peers.py) and take turns round by round, so that whatever else the machine does meets all alike;
a speedup is the median of the rounds' ratios.

pairs_per_s             ours, all geometric operations on, one thread
speedup_albumentationsx against AlbumentationsX in the interpreter given; null without it
speedup_others          against the fastest of the others: the smallest of their speedups
speedup_nnunet_strong   policy `strong` against nnU-Net's 2-D training transforms
thread_scaling          batches a second with two threads over one
pipeline_overhead       time of a training step fed by the pipeline over that of the same step on a constant
                        batch: the larger of the reference's config and a small one
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from augment_peers import CONFIGS, pair
from common import ONE_THREAD, PEERS_PYTHON, arguments, machine, report, versions

RUNNER = Path(__file__).with_name("augment_peers.py")
OURS, STRONG, NNUNET, X = "spleenseg", "spleenseg strong", "nnunet strong", "albumentationsx"
OTHERS = ("albumentations", "batchgeneratorsv2", "monai", "torchio")
NO_NETWORK = {"NO_ALBUMENTATIONS_UPDATE": "1", "ALBUMENTATIONS_NO_TELEMETRY": "1", "ALBUMENTATIONS_OFFLINE": "1"}

SLICES = 8
WARM_UP = 20  # batches until every thread has its arrays
REFERENCE = {"image_width": 512, "image_height": 512, "num_layers": 7, "base_kernels": (5, 5), "dilation": (2, 2)}
SMALL = {"image_width": 128, "image_height": 128, "num_layers": 4, "base_filters": 16}


class Library:
    """A library at work in a process of its own."""

    def __init__(self, python: Path | str, name: str) -> None:
        self.name = name
        self._process = subprocess.Popen(
            [str(python), "-W", "ignore", str(RUNNER), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **ONE_THREAD, **NO_NETWORK},
            text=True,
        )
        self.facts = self._answer()

    def rate(self, seconds: float) -> float:
        """Augment for some seconds of CPU time and return pairs a second."""
        self._process.stdin.write(f"{seconds}\n")
        self._process.stdin.flush()
        answer = self._answer()
        return answer["pairs"] / answer["seconds"]

    def close(self) -> None:
        """Let the process end."""
        self._process.communicate()

    def _answer(self) -> dict[str, Any]:
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name} failed:\n{self._process.stderr.read()}")
        return json.loads(line)


def compare(libraries: Sequence[Library], rounds: int, seconds: float) -> dict[str, list[float]]:
    """Return the rates of every library, round by round."""
    rates: dict[str, list[float]] = {library.name: [] for library in libraries}
    for number in range(rounds):
        for library in libraries:
            rates[library.name].append(library.rate(seconds))
        print(f"round {number + 1} of {rounds}: {_shown(rates)}", file=sys.stderr)
    return rates


def speedup(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Return the median of the rounds' ratios."""
    return round(median(one / other for one, other in zip(ours, theirs, strict=True)), 2)


class Slices:
    """A few pairs in memory, as a `SliceSet` gives them; smaller ones are cut from the middle."""

    def __init__(self, side: int) -> None:
        image, mask = pair()
        first = (len(mask) - side) // 2
        self._image = np.ascontiguousarray(image[first : first + side, first : first + side])
        self._mask = np.ascontiguousarray(mask[first : first + side, first : first + side])
        self.files = tuple(Path(f"{10000 + z}_benchmark.png") for z in range(SLICES))

    def __len__(self) -> int:
        return SLICES

    def image(self, index: int, /) -> np.ndarray:
        """Return the image, uint8 [H, W, 3]."""
        return self._image

    def labels(self, index: int, /) -> np.ndarray:
        """Return the labels, uint8 [H, W]."""
        return self._mask


def thread_scaling(rounds: int, steps: int) -> float:
    """Return how many times faster two threads fill batches than one."""
    return round(median(_batches_per_s(2, steps) / _batches_per_s(1, steps) for _ in range(rounds)), 2)


def _batches_per_s(threads: int, steps: int) -> float:
    from spleenseg.augment import BatchStream, build_policy
    from spleenseg.config.load import parse_config
    from spleenseg.training.feed import training_target

    config = parse_config(CONFIGS["compose"], "benchmark.config")
    stream = BatchStream(Slices(512), build_policy(config), 4, steps, 137, training_target(config), threads)
    with closing(stream.epoch(0)) as batches:
        for _ in range(WARM_UP):
            next(batches)
        started = time.perf_counter()
        for _ in batches:
            pass
        return (steps - WARM_UP) / (time.perf_counter() - started)


def overhead(model: dict[str, Any], batch_size: int, rounds: int, steps: int) -> dict[str, float]:
    """Time a training step fed by the pipeline (policy strong) and the same step on a constant batch.

    The two take turns. The pipeline's step starts with empty queues and pays for batches made ahead in vain.
    """
    from spleenseg.augment import BatchStream, build_policy
    from spleenseg.config import load_config
    from spleenseg.models.backend import load_backend

    load_backend()
    from spleenseg.training.feed import training_target
    from spleenseg.training.network import build

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "benchmark.config"
        path.write_text(CONFIGS["strong"])
        overrides = [f"model.{key}={value!r}" for key, value in model.items()]
        config = load_config(path, [*overrides, "mask.blur=True", f"train.batch_size={batch_size}"])
    learner = build(config).model
    side = config.model.image_width
    stream = BatchStream(Slices(side), build_policy(config), batch_size, steps + 1, 137, training_target(config))
    constant = stream.batch(0, 0)
    for _ in range(2):
        learner.train_on_batch(constant.images, constant.targets)
    fed, still = [], []
    for number in range(rounds):
        still.append(_seconds_a_step(learner, iter([constant] * steps)))
        with closing(stream.epoch(number)) as batches:
            next(batches)
            fed.append(_seconds_a_step(learner, batches))
        print(f"step {still[-1]:.4f} s constant, {fed[-1]:.4f} s fed", file=sys.stderr)
    ratios = [one / other for one, other in zip(fed, still, strict=True)]
    return {
        "constant_s": round(median(still), 4),
        "fed_s": round(median(fed), 4),
        "overhead": round(median(ratios), 3),
    }


def _seconds_a_step(learner: Any, batches: Iterator[Any]) -> float:
    started, steps = time.perf_counter(), 0
    for batch in batches:
        learner.train_on_batch(batch.images, batch.targets, return_dict=True)
        steps += 1
    return (time.perf_counter() - started) / steps


def _shown(rates: dict[str, list[float]]) -> str:
    return ", ".join(f"{name} {values[-1]:.1f}" for name, values in rates.items())


@contextmanager
def started(albumentationsx: str | None) -> Iterator[list[Library]]:
    """Start every library and stop them in the end."""
    if not PEERS_PYTHON.exists():
        raise SystemExit(f"{PEERS_PYTHON} is missing; run `make setup-bench` first")
    wanted = [(sys.executable, OURS), (sys.executable, STRONG), *((PEERS_PYTHON, name) for name in (NNUNET, *OTHERS))]
    if albumentationsx:
        wanted.append((albumentationsx, X))
    libraries: list[Library] = []
    try:
        for python, name in wanted:
            libraries.append(Library(python, name))
        yield libraries
    finally:
        for library in libraries:
            library.close()


def main() -> None:
    """Measure, and report."""
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--albumentationsx", metavar="PYTHON", help="interpreter that has AlbumentationsX")
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    about = machine()
    rounds, seconds = (3, 1.5) if options.quick else (9, 3.0)
    with started(options.albumentationsx) as libraries:
        rates = compare(libraries, rounds, seconds)
        facts = {library.name: library.facts for library in libraries}
    ours, strong = rates[OURS], rates[STRONG]
    speedups = {name: speedup(ours, rates[name]) for name in OTHERS}
    scaling = thread_scaling(*((3, 150) if options.quick else (9, 250)))
    small = overhead(SMALL, 8, *((3, 30) if options.quick else (9, 60)))
    reference = overhead(REFERENCE, 4, *((1, 3) if options.quick else (3, 10)))
    result = {
        "pairs_per_s": round(median(ours), 1),
        "speedup_albumentationsx": speedup(ours, rates[X]) if X in rates else None,
        "speedup_others": min(speedups.values()),
        "speedup_nnunet_strong": speedup(strong, rates[NNUNET]),
        "thread_scaling": scaling,
        "pipeline_overhead": max(reference["overhead"], small["overhead"]),
        "speedup_of_each": speedups,
        "rates": {name: round(median(values), 1) for name, values in rates.items()},
        "operations": {name: known["operations"] for name, known in facts.items()},
        "steps": {"reference": reference, "small": small},
        "machine": about,
        "versions": {
            **{name: known["version"] for name, known in facts.items()},
            **versions("numpy", "opencv-python-headless", "keras", "tensorflow-cpu", "tensorflow"),
        },
    }
    report(result, options.json)


if __name__ == "__main__":
    main()
