"""Held-out Dice against the clock: the reference's config and the recommended one on the same phantom patients.

    python benchmarks/time_to_dice.py [--quick] [--json FILE] [--minutes M] [--folder DIR] [--nnunet]

24 synthetic patients of 512 x 512 (--quick: 256 x 256, 40 slices each), divided by patient; both configs train by our
trainer, one after the other in one run, each at its own picture size, and are judged on every held-out patient at the
slices' own size, as the network stands at that moment (valid and test: nothing is chosen by either). The clock is the
training's own, with everything the trainer does (compiling, validating, saving); judging is not on it. The reference's
config trains for M minutes (45, --quick: 10) and is judged four times; ours for a tenth of that on a schedule of that
length, and then afresh for all of it. Of both only 8 slices are validated, and neither stops early or lowers its rate
when it stalls, as the reference's config else might (`COMMON`). The number of steps that fit is found by timing a few
steps beforehand. With --nnunet, nnU-Net v2's 2-D trainer has the same M minutes afterwards, if `make setup-bench` has
installed it (time_to_dice_nnunet.py says how; --nnunet-batch overrides its plan's batch).

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
from collections import defaultdict
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from statistics import fmean, median
from typing import Any

import numpy as np

from common import PEERS_PYTHON, ROOT, arguments, machine, report, versions
from spleenseg.config import Config, load_config
from spleenseg.datasets.prepare import prepare
from spleenseg.datasets.slices import SliceSet
from spleenseg.inference.predictor import at_size
from spleenseg.metrics.paired import compare_paired
from spleenseg.phantom import write_cohort
from spleenseg.progress import SILENT

PROJECTS = ROOT / "projects" / "spleen"
CONFIGS = {"reference": PROJECTS / "train_eval_infer.config", "recommended": PROJECTS / "recommended.config"}
PATIENTS, SEED, QUICK_SLICES = 24, 137, 40
JUDGED = 4  # times in a whole training; a short one twice as often
TIMED, WARM_UP = 6, 3
LEARNT = 0.05  # a mean Dice below it means that the reference's config has not begun to find the organ
FILLED = 0.8  # of the time is planned for steps; the rest for compiling, validating, saving
COMMON = ("train.validation_limit=8", "train.learning_rate_reducer=False", "train.patience=100000")


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


def gain(ours: dict[str, Any], theirs: dict[str, Any]) -> list[float] | None:
    """Return the mean difference of ours to theirs over the patients, with its interval."""
    patients = sorted(theirs["dice"])
    found = compare_paired([ours["dice"][p] for p in patients], [theirs["dice"][p] for p in patients], patients)
    between = found.difference
    return between and [round(value, 4) for value in (between.mean, between.low, between.high)]


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


def mean(point: dict[str, Any]) -> float:
    """Return the mean Dice over the patients."""
    return fmean(point["dice"].values())


def cohort(root: Path, side: int, slices: int | None) -> None:
    """Write the patients and the dataset, unless they are there."""
    if (root / "dataset" / "manifest.json").is_file():
        return
    write_cohort(root / "cohort", PATIENTS, SEED, size=side, slices=slices, unlabelled=0, splenectomy=0.0)
    prepare(root / "cohort", root / "dataset", seed=SEED)


def configured(root: Path, name: str, side: int, steps: int, epochs: int, changes: Sequence[str] = ()) -> Config:
    """Return a project's config for this dataset, in a folder of its own; its pictures no larger than the slices.

    Args:
        root: where the dataset lies, and the folder comes.
        name: of the config, a key of `CONFIGS`.
        side: of the slices.
        steps: of an epoch.
        epochs: of the training.
        changes: settings "section.key=value" over the config.
    """
    folder = Path(tempfile.mkdtemp(prefix=f"{name}_", dir=root))
    path = folder / "train_eval_infer.config"
    path.write_text(CONFIGS[name].read_text())
    settings = [*COMMON, f"train.steps_per_epoch={steps}", f"train.epochs={epochs}"]
    own = load_config(path).model
    settings += [f"model.image_width={min(side, own.image_width)}", f"model.image_height={min(side, own.image_height)}"]
    for section, split in (("train", "train"), ("eval", "valid"), ("test", "test")):
        settings.append(f"{section}.image_datapath={root / 'dataset' / split / 'images'}")
        settings.append(f"{section}.mask_datapath={root / 'dataset' / split / 'masks'}")
    return load_config(path, [*settings, *changes])


class _TimeIsUpError(Exception):
    """The training has had its minutes."""


def trained(root: Path, name: str, side: int, seconds: float, judged: int) -> list[dict[str, Any]]:
    """Train for some seconds; return what the network was worth, after every epoch.

    Returns:
        for each time: seconds of training, steps, and Dice by patient.
    """
    from spleenseg.models.run_folder import RunFolder
    from spleenseg.training.network import build
    from spleenseg.training.train import _feed
    from spleenseg.training.trainer import Trainer

    steps = max(1, int(FILLED * seconds / step_seconds(configured(root, name, side, 1, 1)) / judged))
    config = configured(root, name, side, steps, judged if name == "recommended" else 1000)
    splits = {split: SliceSet.from_config(config, split) for split in ("train", "eval", "test")}
    learner, points, away = build(config), [], 0.0

    def on_epoch(state: Any) -> None:
        nonlocal away
        stopped = time.perf_counter()
        spent = stopped - started - away
        points.append({"seconds": round(spent, 1), "steps": state.epoch * steps, "dice": judge(learner, splits)})
        print(f"{name}: {spent:.0f} s, {state.epoch * steps} steps, Dice {mean(points[-1]):.4f}", file=sys.stderr)
        away += time.perf_counter() - stopped
        if spent + spent / state.epoch / 2 > seconds:  # the next epoch would end further from the mark than this one
            raise _TimeIsUpError

    with _feed(config, {"train": splits["train"], "valid": splits["eval"]}, SILENT) as feed:
        run = RunFolder.of(config)
        trainer = Trainer(config, run, learner, feed, on_epoch, SILENT)
        started = time.perf_counter()
        with suppress(_TimeIsUpError):
            trainer.fit()
    return points


def step_seconds(config: Config) -> float:
    """Return the median seconds of a step of this config, the augmentation with it."""
    from spleenseg.training.network import build
    from spleenseg.training.train import _feed

    config = config.model_copy(update={"train": config.train.model_copy(update={"steps_per_epoch": TIMED + WARM_UP})})
    splits = {"train": SliceSet.from_config(config, "train"), "valid": SliceSet.from_config(config, "eval")}
    learner, ends = build(config), []
    with _feed(config, splits, SILENT) as feed, closing(feed.stream.epoch(0)) as batches:
        for batch in batches:
            learner.train_on(batch.images, batch.targets)
            ends.append(time.perf_counter())
    return median(np.diff(ends[WARM_UP - 1 :]))


def judge(learner: Any, splits: dict[str, SliceSet]) -> dict[str, float]:
    """Return the Dice of every held-out patient, over all voxels of the case at the slices' own size."""
    counts: dict[str, np.ndarray] = defaultdict(lambda: np.zeros(2))
    with learner.average.in_use():
        for name in ("eval", "test"):
            for first in range(0, len(splits[name]), 8):
                part = range(first, min(first + 8, len(splits[name])))
                images = np.stack([splits[name].image(index) for index in part]).astype(np.float32)
                found = np.asarray(learner.network.predict_on_batch(images), np.float32)
                for index, probability in zip(part, found, strict=True):
                    truth = splits[name].native_labels(index) > 0
                    mask = at_size(probability, truth.shape)[..., 0] >= 0.5
                    counts[splits[name].files[index].patient] += (2 * (mask & truth).sum(), mask.sum() + truth.sum())
    return {patient: float(both / total) if total else 1.0 for patient, (both, total) in counts.items()}


if __name__ == "__main__":
    main()
