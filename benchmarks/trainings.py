"""Trainings on a cohort of synthetic patients and the judging of their networks, as several benchmarks need them."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from common import ROOT
from spleenseg.config import Config, load_config
from spleenseg.datasets.prepare import prepare
from spleenseg.datasets.slices import SliceSet
from spleenseg.inference.predictor import at_size
from spleenseg.metrics.paired import compare_paired
from spleenseg.models.backend import load_backend
from spleenseg.phantom import write_cohort
from spleenseg.progress import SILENT

PROJECTS = ROOT / "projects" / "spleen"
CONFIGS = {"reference": PROJECTS / "train_eval_infer.config", "recommended": PROJECTS / "recommended.config"}
PATIENTS, SEED, QUICK_SLICES = 24, 137, 40
COMMON = ("train.validation_limit=8", "train.learning_rate_reducer=False", "train.patience=100000")


@dataclass(frozen=True)
class Training:
    """A training about to begin.

    Attributes:
        learner: the network with its optimiser and averages.
        splits: "train", "eval" and "test".
        feed: what the trainer takes its batches from.
    """

    learner: Any
    splits: dict[str, SliceSet]
    feed: Any


@contextmanager
def training(config: Config) -> Iterator[Training]:
    """Set a training up as the program does."""
    load_backend()
    from spleenseg.training.network import build
    from spleenseg.training.train import feeding

    splits = {split: SliceSet.from_config(config, split) for split in ("train", "eval", "test")}
    with feeding(config, {"train": splits["train"], "valid": splits["eval"]}, SILENT) as feed:
        yield Training(build(config), splits, feed)


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


def judge(begun: Training) -> dict[str, float]:
    """Return the Dice of every held-out patient, over all voxels of the case at the slices' own size."""
    counts: dict[str, np.ndarray] = defaultdict(lambda: np.zeros(2))
    learner, splits = begun.learner, begun.splits
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


def mean(point: dict[str, Any]) -> float:
    """Return the mean Dice over the patients."""
    return fmean(point["dice"].values())


def gain(ours: dict[str, Any], theirs: dict[str, Any]) -> list[float] | None:
    """Return the mean difference of ours to theirs over the patients, with its interval."""
    patients = sorted(theirs["dice"])
    found = compare_paired([ours["dice"][p] for p in patients], [theirs["dice"][p] for p in patients], patients)
    between = found.difference
    return between and [round(value, 4) for value in (between.mean, between.low, between.high)]
