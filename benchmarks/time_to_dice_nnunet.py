"""Held-out Dice of nnU-Net v2's 2-D trainer after some minutes on the cohort of time_to_dice.py.

    .venv-bench/bin/python benchmarks/time_to_dice_nnunet.py FOLDER --minutes M [--threads N] [--batch B] [--json FILE]

FOLDER holds `cohort` and `dataset`, as time_to_dice.py made them: the patients of its split "train" are trained on, all
of them (fold "all"), those of "valid" and "test" are judged, each over all voxels of the case on its own grid. nnU-Net
plans and preprocesses by its defaults; that, and judging, is not on the clock. The trainer is its own but for what the
clock asks: the learning rate falls by its polynomial with the share of the time that has passed, step by step, and
reaches zero with the last; a "validation" of one batch an epoch, and nothing written, leave the time to training.
Predictions are made without mirroring. --batch overrides the plan's batch, which is made for graphics cards.

seconds   of training
steps     taken in them
batch     slices in a step
patch     pixels of a slice
dice      by held-out patient
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

NUMBER, NAME = 137, "Dataset137_Phantom"
STEPS_PER_EPOCH = 5
PLANS = "nnUNetPlans"
WORKERS = "nnUNet_n_proc_DA"
PREPROCESSED = "nnUNet_preprocessed"


def main() -> None:
    """Lay the cohort out, plan, train, judge, report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--threads", type=int, default=_cores())
    parser.add_argument("--batch", type=int, help="slices in a step (the plan's)")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(options.threads)
    with tempfile.TemporaryDirectory() as work:
        for kind in ("raw", "preprocessed", "results"):
            os.environ[f"nnUNet_{kind}"] = str(Path(work) / kind)
        train, held_out = laid_out(options.folder, Path(work) / "raw" / NAME)
        print(f"{len(train)} patients to train on, {len(held_out)} held out", file=sys.stderr)
        result = trained_and_judged(options, held_out)
    text = json.dumps({**result, "threads": options.threads, "nnunetv2": version("nnunetv2")}, indent=2)
    print(text)
    if options.json:
        options.json.write_text(text + "\n")


def laid_out(folder: Path, raw: Path) -> tuple[list[str], list[tuple[str, Path, Path]]]:
    """Write nnU-Net's raw dataset of the training patients.

    Returns:
        the cases trained on, and (patient, image, labels) of those held out.
    """
    cases = json.loads((folder / "dataset" / "manifest.json").read_text())["cases"]
    train = [name for name, case in cases.items() if case["split"] == "train"]
    source = folder / "cohort"
    for kind, ending in (("images", "_0000"), ("labels", "")):
        (raw / f"{kind}Tr").mkdir(parents=True)
        for name in train:
            target = raw / f"{kind}Tr" / f"{name}{ending}.nii.gz"
            shutil.copyfile(source / f"{kind}Tr" / f"{name}.nii.gz", target)
    about = {"channel_names": {"0": "CT"}, "labels": {"background": 0, "spleen": 1}, "file_ending": ".nii.gz"}
    (raw / "dataset.json").write_text(json.dumps({**about, "numTraining": len(train)}))
    held_out = [
        (case["patient"], source / case["source"], source / case["labels_source"])
        for case in cases.values()
        if case["split"] != "train"
    ]
    return train, held_out


def trained_and_judged(options: argparse.Namespace, held_out: list[tuple[str, Path, Path]]) -> dict[str, Any]:
    """Plan, preprocess and train; return the figures."""
    import torch

    os.environ[WORKERS] = str(options.threads)  # planning takes it for its own threads
    plans, about = planned(options.batch)
    torch.set_num_threads(options.threads)
    os.environ[WORKERS] = str(options.threads - 1)  # 0: augments between the steps; else beside them
    trainer, seconds, steps = trained(plans, about, 60 * options.minutes)
    print(f"trained {seconds:.0f} s, {steps} steps", file=sys.stderr)
    chosen = plans["configurations"]["2d"]
    return {
        "seconds": round(seconds, 1),
        "steps": steps,
        "batch": chosen["batch_size"],
        "patch": chosen["patch_size"],
        "dice": judged(trainer, held_out),
    }


def planned(batch: int | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return nnU-Net's default plans for the raw dataset, preprocessed for 2-D, and its dataset.json."""
    from nnunetv2.experiment_planning.plan_and_preprocess_api import extract_fingerprints, plan_experiments, preprocess

    extract_fingerprints([NUMBER], num_processes=1, show_progress_bar=False)
    plan_experiments([NUMBER])
    preprocess([NUMBER], PLANS, ("2d",), (1,), show_progress_bar=False)
    place = Path(os.environ[PREPROCESSED]) / NAME
    plans = json.loads((place / f"{PLANS}.json").read_text())
    if batch is not None:
        plans["configurations"]["2d"]["batch_size"] = batch
    return plans, json.loads((place / "dataset.json").read_text())


class _TimeIsUpError(Exception):
    """The training has had its minutes."""


def trained(plans: dict[str, Any], about: dict[str, Any], seconds: float) -> tuple[Any, float, int]:
    """Train on every case until the time is up; return the trainer, the seconds and the steps taken."""
    import torch
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    class ByTheClock(nnUNetTrainer):
        """Ends, and lowers its learning rate, by the clock."""

        began: float
        steps = 0

        def on_train_start(self) -> None:
            super().on_train_start()
            self.began = time.perf_counter()

        def share(self) -> float:
            return (time.perf_counter() - self.began) / seconds

        def train_step(self, batch: dict[str, Any]) -> dict[str, Any]:
            if self.share() * (1 + 0.5 / max(1, self.steps)) >= 1:  # a step more would end further from the mark
                raise _TimeIsUpError
            for group in self.optimizer.param_groups:
                group["lr"] = self.initial_lr * max(0.0, 1 - self.share()) ** 0.9
            self.steps += 1
            return super().train_step(batch)

        def on_epoch_end(self) -> None:
            losses = self.logger.get_value("train_losses", step=-1)
            self.print_to_log_file(f"{self.share() * seconds:.0f} s, {self.steps} steps, loss {losses:.4f}")
            self.current_epoch += 1

    trainer = ByTheClock({**plans, "continue_training": False}, "2d", "all", about, torch.device("cpu"))
    trainer.num_iterations_per_epoch, trainer.num_val_iterations_per_epoch = STEPS_PER_EPOCH, 1
    trainer.num_epochs, trainer.disable_checkpointing = 1_000_000, True
    try:
        trainer.run_training()
    except _TimeIsUpError:
        taken = time.perf_counter() - trainer.began
        trainer.on_train_end()
    return trainer, taken, trainer.steps


def judged(trainer: Any, held_out: list[tuple[str, Path, Path]]) -> dict[str, float]:
    """Return the Dice of every held-out patient, over all voxels of the case."""
    import torch
    from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    predictor = nnUNetPredictor(use_mirroring=False, device=torch.device("cpu"), allow_tqdm=False)
    trainer.set_deep_supervision_enabled(False)
    trainer.network.eval()
    predictor.manual_initialization(
        trainer.network,
        trainer.plans_manager,
        trainer.configuration_manager,
        [trainer.network.state_dict()],
        trainer.dataset_json,
        type(trainer).__name__,
        inference_allowed_mirroring_axes=None,
    )
    found = {}
    for patient, image, labels in held_out:
        pixels, properties = SimpleITKIO().read_images([str(image)])
        mask = predictor.predict_single_npy_array(pixels, properties, None, None, False) > 0
        truth = SimpleITKIO().read_seg(str(labels))[0][0] > 0
        total = int(mask.sum()) + int(truth.sum())
        found[patient] = round(2 * int((mask & truth).sum()) / total, 4) if total else 1.0
        print(f"{patient}: Dice {found[patient]:.4f}", file=sys.stderr)
    return found


def _cores() -> int:
    """Return the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


if __name__ == "__main__":
    multiprocessing.freeze_support()
    main()
