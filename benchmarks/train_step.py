"""What a training step costs at the reference's own config, beside the bare step it cannot beat.

    python benchmarks/train_step.py [--quick] [--json FILE] [--side PIXELS]

The network is the reference's U-Net (31.1 million weights, 512 x 512 x 3, batch 4), the slices are noise, the
augmentation and the loss are those of projects/spleen/train_eval_infer.config. Every part runs in a process of its
own, the parts take turns, and a figure is the median of all steps of a part after its warm-up.

seconds_per_step   model: plain Keras on one constant batch in bfloat16 ("auto" where the processor has none);
                   model_float32: the same in float32; end_to_end: `spleenseg train`, with augmentation, metrics,
                   logging and the check of every loss, from one step's end to the next (validation is apart)
ratio_to_bare      end_to_end / model
ratio_to_float32   end_to_end / model_float32
fraction_of_peak   the share of the speed of a large matrix multiplication, in the same precision, at which the bare
                   step computes (three times the forward pass)
peak_mb            the most memory the training had (Linux; else null)
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from common import ROOT, arguments, machine, report, versions
from spleenseg.config import Config, load_config
from spleenseg.models.backend import load_backend
from spleenseg.progress import Silent

PROJECT = ROOT / "projects" / "spleen" / "train_eval_infer.config"
WARM_UP, SLICES = 2, 12
MULTIPLIED = 2048  # rows of the square matrices that tell the processor's peak


def main() -> None:
    """Measure the parts in turns, report."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--side", type=int, default=512, help="pixels of a slice")
    parser.add_argument("--part", nargs=3, metavar=("NAME", "FOLDER", "STEPS"), help="measure this part here")
    options = parser.parse_args()
    if options.part:
        name, folder, steps = options.part
        print(json.dumps(PARTS[name](Path(folder), options.side, int(steps))))
        return
    rounds, steps = (1, 10) if options.quick else (3, 20)
    with tempfile.TemporaryDirectory() as folder:
        write_slices(Path(folder), options.side)
        turns = [{name: apart(name, folder, options.side, steps) for name in PARTS} for _ in range(rounds)]
    report({**summary(turns), "side": options.side, **about()}, options.json)


def summary(turns: list[dict[str, dict[str, Any]]]) -> dict[str, Any]:
    """Return the figures the benchmark is read for."""
    spent = {name: median([s for turn in turns for s in turn[name]["seconds"]]) for name in PARTS}
    bare = turns[-1]["model"]
    flops = 3 * bare["gflop"] * bare["batch"]
    return {
        "seconds_per_step": {name: round(value, 3) for name, value in spent.items()},
        "ratio_to_bare": round(spent["end_to_end"] / spent["model"], 3),
        "ratio_to_float32": round(spent["end_to_end"] / spent["model_float32"], 3),
        "fraction_of_peak": round(flops / spent["model"] / max(turn["model"]["peak_gflops"] for turn in turns), 3),
        "peak_mb": max(turn["end_to_end"]["peak_mb"] or 0 for turn in turns) or None,
        "precision": bare["precision"],
        "steps": {name: sum(len(turn[name]["seconds"]) for turn in turns) for name in PARTS},
    }


def about() -> dict[str, Any]:
    """Say where this was measured."""
    return {"machine": machine(), "versions": versions("spleenseg", "keras", "tensorflow-cpu", "tensorflow", "numpy")}


def apart(name: str, folder: str, side: int, steps: int) -> dict[str, Any]:
    """Measure a part in a process of its own."""
    print(name, file=sys.stderr)
    command = [sys.executable, __file__, "--side", str(side), "--part", name, folder, str(steps)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def write_slices(folder: Path, side: int) -> None:
    """Write noise with a bright disc, the organ, in the reference's layout."""
    from PIL import Image

    rng = np.random.default_rng(0)
    y, x = np.mgrid[:side, :side]
    disc = (y - side / 2) ** 2 + (x - side / 3) ** 2 < (side / 8) ** 2
    for split, count in (("train", SLICES), ("valid", 1)):
        for kind in ("images", "masks"):
            (folder / split / kind).mkdir(parents=True)
        for z in range(count):
            image = np.where(disc, 170, 90) + rng.integers(-30, 30, (side, side))
            name = f"{10000 + z}_{split}.png"
            Image.fromarray(image.astype(np.uint8)).save(folder / split / "images" / name)
            Image.fromarray((disc * 255).astype(np.uint8)).save(folder / split / "masks" / name)


def configured(folder: Path, side: int, precision: str, steps: int) -> Config:
    """Return the project's config, looking at the slices in `folder`, writing into it."""
    path = folder / f"{precision}.config"
    path.write_text(PROJECT.read_text())
    settings = [f"model.image_width={side}", f"model.image_height={side}", f"train.precision={precision}"]
    settings += ["train.epochs=1", f"train.steps_per_epoch={steps}", "dataset.color_order=bgr"]
    for section, split in (("train", "train"), ("eval", "valid"), ("test", "valid")):
        settings.append(f"{section}.image_datapath={folder / split / 'images'}")
        settings.append(f"{section}.mask_datapath={folder / split / 'masks'}")
    return load_config(path, settings)


def model(folder: Path, side: int, steps: int, precision: str = "auto") -> dict[str, Any]:
    """Return the seconds of steps of plain Keras on one constant batch."""
    from spleenseg.models.cost import gflop
    from spleenseg.training.precision import resolve_precision

    config = configured(folder, side, precision, steps)
    network, view = _plain(config)
    batch = config.train.batch_size
    images = np.random.default_rng(0).integers(0, 256, (batch, side, side, 3)).astype(np.float32)
    targets = (images[..., :1] > 200).astype(np.float32)
    return {
        "seconds": _timed(lambda: view.train_on_batch(images, targets), steps),
        "gflop": gflop(network),
        "batch": batch,
        "precision": resolve_precision(precision),
        "peak_gflops": _peak(resolve_precision(precision)),
    }


def _plain(config: Config) -> tuple[Any, Any]:
    """Return the network, and its logits compiled by Keras alone with the same loss and optimiser."""
    load_backend()
    import keras

    from spleenseg.models.build import build_model, logits_model
    from spleenseg.training.losses import build_loss
    from spleenseg.training.precision import resolve_precision

    network = build_model(config.model, resolve_precision(config.train.precision))
    view = logits_model(network)
    optimizer = keras.optimizers.Adam(config.model.learning_rate, clipvalue=config.model.clipvalue)
    view.compile(optimizer=optimizer, loss=build_loss(config.model.loss), jit_compile=False)
    return network, view


def _timed(work: Callable[[], Any], steps: int) -> list[float]:
    taken = []
    for _ in range(WARM_UP + steps):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return taken[WARM_UP:]


def _peak(precision: str) -> float:
    """Return the best GFLOP/s of large matrix multiplications."""
    import keras

    values = np.random.default_rng(0).normal(size=(MULTIPLIED, MULTIPLIED))
    matrix = keras.ops.cast(keras.ops.convert_to_tensor(values.astype(np.float32)), precision)
    seconds = _timed(lambda: float(keras.ops.matmul(matrix, matrix)[0, 0]), 8)
    return float(2 * MULTIPLIED**3 / min(seconds) / 1e9)


class _Watch(Silent):
    """Notes when each training step ended."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    @contextmanager
    def task(self, title: str, total: int | None) -> Iterator[Any]:
        """Begin a piece of work; only "training" is watched."""
        yield _Steps(self.ends if title == "training" else [])


class _Steps:
    def __init__(self, ends: list[float]) -> None:
        self.ends = ends

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Note the time of a finished step."""
        if steps:
            self.ends.append(time.perf_counter())


def end_to_end(folder: Path, side: int, steps: int) -> dict[str, Any]:
    """Return the seconds from step to step of a real training."""
    from spleenseg.training.train import train

    watch = _Watch()
    train(configured(folder, side, "auto", WARM_UP + steps + 1), reporter=watch)
    ends = watch.ends[WARM_UP:]
    between = [later - earlier for earlier, later in pairwise(ends)]
    return {"seconds": between, "peak_mb": _most_memory()}


def _most_memory() -> int | None:
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM")), None)


def _model_float32(folder: Path, side: int, steps: int) -> dict[str, Any]:
    return model(folder, side, steps, "float32")


PARTS: dict[str, Callable[[Path, int, int], dict[str, Any]]] = {
    "model": model,
    "end_to_end": end_to_end,
    "model_float32": _model_float32,
}


if __name__ == "__main__":
    main()
