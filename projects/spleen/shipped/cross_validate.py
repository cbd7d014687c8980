"""Cross-validate the recipe of the shipped spleen model by patient: what it is worth on slices it has not seen.

    python cross_validate.py MSD_SLICES AMOS_CASE WORK [--fold N ...] [--set SECTION.KEY=VALUE ...]

Once, `pretrain.config` beside this file trains on synthetic patients alone (`make_dataset.py --only-synthetic`). From
there every fold is trained as the shipped model is, by `train.config` and `finish.config`, on a dataset of
`make_dataset.py --hold-out FOLD`, and evaluated on the patients it left out. What is finished in WORK is not trained
again and what is begun goes on, so the same command continues a stopped run. WORK gets `figures.json`: the Dice of
every slice with a spleen, their mean, its interval over patients, and the least; and "without_truth", for every patient
with a spleen how well the masks of several thresholds agree beside its Dice (see tell_quality.py).
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
from recipe import Recipe, overrides, spleenseg

from spleenseg.config import load_config
from spleenseg.datasets.slices import SliceSet
from spleenseg.evaluation.passes import predict_all
from spleenseg.files import write_json
from spleenseg.inference.labels import HALF
from spleenseg.metrics.calibration import BINS, dice_by_threshold
from spleenseg.metrics.confidence import mean_interval
from spleenseg.metrics.quality import agreement_of_histogram
from spleenseg.models.run_folder import load_trained
from spleenseg.progress import SILENT

FOLDS = 5
CONFIG = "finish.config"  # of a fold's run folder


def evaluated(recipe: Recipe, fold: int) -> Path:
    """Train and evaluate one fold, unless that has been done; return the table of its slices."""
    run = recipe.fold(fold)
    table = run / "slices.csv"
    if not table.exists():
        spleenseg("evaluate", str(run / CONFIG), "--section", "test", "--quiet", *overrides(recipe.settings))
    return table


def figures(tables: list[Path]) -> dict[str, object]:
    """Pool the slices with a spleen over the folds."""
    rows = [row for table in tables for row in csv.DictReader(table.read_text(encoding="utf-8").splitlines())]
    shown = [row for row in rows if float(row["truth_pixels"]) > 0]
    dice = [float(row["dice"]) for row in shown]
    interval = mean_interval(dice, [row["case"] for row in shown])
    return {
        "slices": len(dice),
        "mean_dice": round(float(np.mean(dice)), 4),
        "interval_95": None if interval is None else [round(interval.low, 4), round(interval.high, 4)],
        "min_dice": round(min(dice), 4),
        "empty_slices": len(rows) - len(shown),
        "dice": {f"{row['case']}/{row['slice']}": round(value, 4) for row, value in zip(shown, dice, strict=True)},
    }


def without_truth(recipe: Recipe, fold: int) -> list[tuple[float, float]]:
    """Return agreement of the thresholds' masks and Dice of every patient with a spleen that a fold left out."""
    config = load_config(recipe.fold(fold) / CONFIG, recipe.settings)
    slices = SliceSet.from_config(config, "test")
    found = predict_all(load_trained(config), slices, HALF, config.test.batch_size, SILENT)
    return [
        (agreement_of_histogram(counts), float(dice_by_threshold(counts)[round(HALF * BINS)]))
        for counts in found.histograms.values()
        if counts[0, 1].any()
    ]


def main() -> None:
    """Train, evaluate and pool the folds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("msd", type=Path)
    parser.add_argument("amos", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--fold", type=int, nargs="+", default=list(range(FOLDS)), help="these alone")
    parser.add_argument("--set", action="append", default=[], dest="settings", help="over both configs")
    given = parser.parse_args()
    recipe = Recipe(given.msd.absolute(), given.amos.absolute(), given.work.absolute(), given.settings)
    tables, told = [], []
    for fold in given.fold:
        tables.append(evaluated(recipe, fold))
        told += without_truth(recipe, fold)
        found = {"folds": given.fold[: len(tables)], **figures(tables), "without_truth": told}
        write_json(given.work / "figures.json", found)


if __name__ == "__main__":
    main()
