"""Held-out Dice against the clock: the reference's config and the recommended one on the same phantom patients.

    python benchmarks/time_to_dice.py [--quick] [--json FILE] [--minutes M] [--folder DIR] [--nnunet]

24 synthetic patients of 512 x 512 (--quick: 256 x 256, 40 slices each), divided by patient; both configs train by our
trainer, one after the other in one run, each at its own picture size, and are judged on every held-out patient at the
slices' own size, as the network stands at that moment (valid and test: nothing is chosen by either). The clock is the
training's own, with everything the trainer does (compiling, validating, saving); judging is not on it. The reference's
config trains for M minutes (45, --quick: 10) and is judged four times; ours for a tenth of that on a schedule of that
length, and then afresh for all of it. Of both only 8 slices are validated, and neither stops early or lowers its rate
when it stalls, as the reference's config else might (`trainings.COMMON`). The number of steps that fit is found by
timing a few steps beforehand. With --nnunet, nnU-Net v2's 2-D trainer has the same M minutes afterwards, if
`make setup-bench` has installed it (time_to_dice_nnunet.py says how; --nnunet-batch overrides its plan's batch).

reference_dice             mean case Dice of the reference's config at the end of its time
seconds_to_reference_dice  when ours first reached that in its tenth; null if it did not,
                           or if that is below 0.05, where the reference's config has found nothing yet
speedup                    the reference's seconds over these; null with them
final_gain                 mean difference of ours to the reference's after the same time, with the 95 % interval of
                           the paired bootstrap over patients (low, high)
curves                     for each training: (seconds, steps, mean case Dice)
nnunet                     what time_to_dice_nnunet.py reports, with its mean_dice; null without --nnunet
final_gain_nnunet          as final_gain, of ours to nnU-Net
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from contextlib import closing, suppress
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from common import PEERS_PYTHON, ROOT, arguments, machine, report, versions
from spleenseg.config import Config
from spleenseg.progress import SILENT
from trainings import QUICK_SLICES, cohort, configured, gain, judge, mean, training

JUDGED = 4  # times in a whole training; a short one twice as often
TIMED, WARM_UP = 6, 3
LEARNT = 0.05  # a mean Dice below it means that the reference's config has not begun to find the organ
FILLED = 0.8  # of the time is planned for steps; the rest for compiling, validating, saving


def main() -> None:
    """Make the cohort, train three times, report."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--minutes", type=float, help="of the reference's training (45; --quick: 10)")
    parser.add_argument("--folder", type=Path, help="keep everything here; a cohort that is there is used again")
    parser.add_argument("--nnunet", action="store_true", help="then nnU-Net for the same minutes")
    parser.add_argument("--nnunet-batch", type=int, help="slices in its step (its plan's)")
    options = parser.parse_args()
    seconds = 60 * (options.minutes or (10 if options.quick else 45))
    side = 256 if options.quick else 512
    with tempfile.TemporaryDirectory() as temporary:
        root = options.folder or Path(temporary)
        cohort(root, side, QUICK_SLICES if options.quick else None)
        runs = {
            "reference": trained(root, "reference", side, seconds, JUDGED),
            "recommended_short": trained(root, "recommended", side, seconds / 10, 2 * JUDGED),
            "recommended": trained(root, "recommended", side, seconds, JUDGED),
        }
        beside = nnunet(root, seconds / 60, options.nnunet_batch) if options.nnunet else None
    about = {"side": side, "minutes": seconds / 60, "machine": machine()}
    found = {**summary(runs), **compared_with(beside, runs)}
    report({**found, **about, "versions": versions("spleenseg", "keras", "tensorflow-cpu")}, options.json)


def summary(runs: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Return the figures the benchmark is read for."""
    ours, theirs = runs["recommended"][-1], runs["reference"][-1]
    mark = mean(theirs)
    short = runs["recommended_short"] if mark >= LEARNT else []  # to reach what knows nothing is no merit
    reached = next((point["seconds"] for point in short if mean(point) >= mark), None)
    return {
        "reference_dice": round(mark, 4),
        "seconds_to_reference_dice": reached,
        "speedup": None if reached is None else round(theirs["seconds"] / reached, 1),
        "final_gain": gain(ours, theirs),
        "patients_held_out": len(theirs["dice"]),
        "curves": {
            name: [(point["seconds"], point["steps"], round(mean(point), 4)) for point in points]
            for name, points in runs.items()
        },
    }


def nnunet(root: Path, minutes: float, batch: int | None) -> dict[str, Any] | None:
    """Train nnU-Net's 2-D trainer on the same patients; None where it is not installed."""
    if not PEERS_PYTHON.exists() or subprocess.run([PEERS_PYTHON, "-c", "import nnunetv2"]).returncode:
        print("nnU-Net is not installed: make setup-bench", file=sys.stderr)
        return None
    script = ROOT / "benchmarks" / "time_to_dice_nnunet.py"
    command = [PEERS_PYTHON, script, root, "--minutes", str(minutes), "--json", root / "nnunet.json"]
    subprocess.run(command + (["--batch", str(batch)] if batch else []), check=True, stdout=sys.stderr)
    return dict(json.loads((root / "nnunet.json").read_text()))


def compared_with(beside: dict[str, Any] | None, runs: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Return nnU-Net's figures beside ours."""
    if beside is None:
        return {"nnunet": None, "final_gain_nnunet": None}
    return {
        "nnunet": {**beside, "mean_dice": round(mean(beside), 4)},
        "final_gain_nnunet": gain(runs["recommended"][-1], beside),
    }


class _TimeIsUpError(Exception):
    """The training has had its minutes."""


def trained(root: Path, name: str, side: int, seconds: float, judged: int) -> list[dict[str, Any]]:
    """Train for some seconds; return what the network was worth, after every epoch.

    Returns:
        for each time: seconds of training, steps, and Dice by patient.
    """
    from spleenseg.models.run_folder import RunFolder
    from spleenseg.training.trainer import Trainer

    steps = max(1, int(FILLED * seconds / step_seconds(configured(root, name, side, 1, 1)) / judged))
    config = configured(root, name, side, steps, judged if name == "recommended" else 1000)
    points, away = [], 0.0

    def on_epoch(state: Any) -> None:
        nonlocal away
        stopped = time.perf_counter()
        spent = stopped - started - away
        points.append({"seconds": round(spent, 1), "steps": state.epoch * steps, "dice": judge(begun)})
        print(f"{name}: {spent:.0f} s, {state.epoch * steps} steps, Dice {mean(points[-1]):.4f}", file=sys.stderr)
        away += time.perf_counter() - stopped
        if spent + spent / state.epoch / 2 > seconds:  # the next epoch would end further from the mark than this one
            raise _TimeIsUpError

    with training(config) as begun:
        trainer = Trainer(config, RunFolder.of(config), begun.learner, begun.feed, on_epoch, SILENT)
        started = time.perf_counter()
        with suppress(_TimeIsUpError):
            trainer.fit()
    return points


def step_seconds(config: Config) -> float:
    """Return the median seconds of a step of this config, the augmentation with it."""
    config = config.model_copy(update={"train": config.train.model_copy(update={"steps_per_epoch": TIMED + WARM_UP})})
    ends: list[float] = []
    with training(config) as begun, closing(begun.feed.stream.epoch(0)) as batches:
        for batch in batches:
            begun.learner.train_on(batch.images, batch.targets)
            ends.append(time.perf_counter())
    return median(np.diff(ends[WARM_UP - 1 :]))


if __name__ == "__main__":
    main()
