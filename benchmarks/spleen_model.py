"""What a spleen model is worth on scans that played no part in its training.

    SPLEENSEG_REAL_DATA=FOLDER python benchmarks/spleen_model.py --model RUN_OR_ONNX [--quick] [--json FILE]
        [--patients N] [--first-seed SEED] [--size PIXELS] [--folder DIR] [--btcv] [--log FILE]

Every scan goes through `spleenseg segment` as a user's does. Each figure stands for what the network answers ("raw"),
for its largest piece ("largest") and for the post-processing that the model records ("recorded").

agreement      Dice with the masks of TotalSegmentator's model: the DICOM series and example_ct_sm. Not accuracy.
amos_0001      Dice with human labels. THE SHIPPED MODEL WAS TRAINED ON THIS CASE: a check, no evidence.
splenectomy    synthetic patients without a spleen, from seed 1,000,000 on (or --first-seed), which no training uses: mL
               found in each, and how many masks are of at most 5 mL. --folder keeps the patients for the next time.
btcv           only with --btcv, for it may never choose a model; every look is a line in --log. 35 slices with a
               spleen: mean Dice with its interval over patients; 45 without: pixels marked. The pictures hold greys
               scaled slice by slice: `grey_to_hu` maps air and fat to their HU. Slices are far apart, so nothing but
               "raw" has a meaning, and the size of pixels is not known: 0.8 mm is assumed where a model asks for it.
"""

from __future__ import annotations

import csv
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from common import ROOT, arguments, machine, report, versions
from grey_to_hu import hu_of
from spleenseg.errors import UserError
from spleenseg.files import sha256
from spleenseg.inference.builtin import named
from spleenseg.inference.ensemble import load_models
from spleenseg.inference.postprocess import Postprocess, postprocess
from spleenseg.inference.refinement import Refinement
from spleenseg.inference.segment import segment
from spleenseg.metrics.confidence import mean_interval
from spleenseg.metrics.overlap import confusion, dice
from spleenseg.phantom import make_patient
from spleenseg.volumes import Volume, case_name, read_labels, read_volume, write_volume

FIRST_SEED = 1_000_000
MOST_ML = 5.0
ASSUMED_MM = (0.8, 0.8, 3.0)
LOOKS = ROOT / "benchmarks" / "btcv-looks.csv"
RAW = Refinement(components="all", fill_holes=False, min_ml=0)
Mask = npt.NDArray[np.bool_]
Ways = dict[str, Mask]


@dataclass(frozen=True)
class Judge:
    """A model and how its masks are made.

    Attributes:
        models: what `--model` takes; several answer together.
        label: what they call the spleen.
        recorded: the post-processing that they record.
        threads: for exported models.
    """

    models: tuple[Path, ...]
    label: str
    recorded: Postprocess
    threads: int | None

    @classmethod
    def of(cls, models: Sequence[Path], threads: int | None) -> Judge:
        loaded = load_models(models, threads=threads)
        if len(loaded.names) != 1:
            raise UserError(f"the model knows {', '.join(loaded.names)}; this judges models of the spleen alone")
        return cls(tuple(models), next(iter(loaded.names)), loaded.record.postprocess, threads)

    def masks(self, scans: Sequence[Path], out: Path) -> Iterator[tuple[Path, Volume, Ways]]:
        """Segment scans; yield each with its masks in the order given."""
        segment(scans, out, self.models, refinement=RAW, threads=self.threads)
        for scan in scans:
            volume = read_volume(scan)
            raw = read_labels(out / f"{case_name(scan)}.nii.gz", volume)
            yield scan, volume, self.ways(np.asarray(raw > 0, np.uint8), volume)

    def ways(self, raw: npt.NDArray[np.uint8], volume: Volume) -> Ways:
        """Return the mask as the network made it, and after each post-processing."""
        largest = self.recorded.model_copy(update={"components": "largest", "fill_holes": False, "min_ml": 0.0})
        processed = {
            name: postprocess(raw, volume.voxel_ml, {self.label: 1}, options, slice_mm=volume.spacing[2])[0]
            for name, options in (("largest", largest), ("recorded", self.recorded))
        }
        return {name: labels > 0 for name, labels in {"raw": raw, **processed}.items()}


def dice_of(judge: Judge, scan: Path, truth: Path) -> dict[str, Any]:
    """Compare the masks of one scan with label 1 of `truth`."""
    with tempfile.TemporaryDirectory() as folder:
        ((_, volume, ways),) = judge.masks([scan], Path(folder) / "out")
    spleen = read_labels(truth, volume) == 1
    found = {name: round(dice(confusion(spleen, mask)), 4) for name, mask in ways.items()}
    ml = {name: round(float(mask.sum()) * volume.voxel_ml, 1) for name, mask in ways.items()}
    return {**found, "truth_ml": round(float(spleen.sum()) * volume.voxel_ml, 1), "ml": ml}


def patients(folder: Path, seeds: range, size: int) -> list[Path]:
    """Make synthetic patients without a spleen, those that are missing in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(max_workers=2) as pool:
        return list(pool.map(partial(_patient, folder, size), seeds))


def _patient(folder: Path, size: int, seed: int) -> Path:
    path = folder / f"no-spleen-{seed}-{size}.nii.gz"
    if not path.exists():
        made = make_patient(seed, size, splenectomy=1.0)
        x, y, z = made.spacing
        stored = np.ascontiguousarray(made.hu.transpose(2, 1, 0))
        affine = np.diag([-x, -y, z, 1.0])
        write_volume(Volume.from_stored(stored, affine, case=path.name.split(".")[0], modality="CT"), path)
    return path


def splenectomy(judge: Judge, folder: Path, seeds: range, size: int) -> dict[str, Any]:
    scans = patients(folder, seeds, size)
    with tempfile.TemporaryDirectory() as out:
        found = [
            {name: round(float(mask.sum()) * volume.voxel_ml, 2) for name, mask in ways.items()}
            for _, volume, ways in judge.masks(scans, Path(out) / "out")
        ]
    ml = {name: [one[name] for one in found] for name in found[0]}
    fine = {name: sum(value <= MOST_ML for value in values) for name, values in ml.items()}
    return {"patients": len(seeds), "first_seed": seeds.start, "size": size, f"at_most_{MOST_ML:g}_ml": fine, "ml": ml}


def btcv(judge: Judge, folder: Path) -> dict[str, Any]:
    """Judge single slices, all of them stacked as one scan that goes through the program."""
    pictures = sorted((folder / "images").glob("*.png"))
    hu = np.stack([hu_of(_grey(path)[::-1]) for path in pictures])
    truth = np.stack([_grey(folder / "spleen-masks" / path.name)[::-1] > 0 for path in pictures])
    with tempfile.TemporaryDirectory() as place:
        scan = Path(place) / "slices.nii.gz"
        stored = np.ascontiguousarray(hu.transpose(2, 1, 0))
        affine = np.diag([-ASSUMED_MM[0], -ASSUMED_MM[1], ASSUMED_MM[2], 1.0])
        write_volume(Volume.from_stored(stored, affine, case="slices", modality="CT"), scan)
        ((_, _, ways),) = judge.masks([scan], Path(place) / "out")
    return _slice_figures(pictures, truth, ways["raw"])


def _slice_figures(pictures: Sequence[Path], truth: Mask, found: Mask) -> dict[str, Any]:
    positive = np.flatnonzero(truth.any(axis=(1, 2)))
    dices = [dice(confusion(truth[k], found[k])) for k in positive]
    pixels = [int(found[k].sum()) for k in range(len(truth)) if k not in set(positive)]
    interval = mean_interval(dices, [pictures[k].name.split("_")[1] for k in positive])
    return {
        "positive_slices": len(dices),
        "mean_dice": round(float(np.mean(dices)), 4),
        "interval_95": [round(interval.low, 4), round(interval.high, 4)] if interval else None,
        "min_dice": round(min(dices), 4),
        "dice": {pictures[k].stem: round(value, 4) for k, value in zip(positive, dices, strict=True)},
        "negative_slices": len(pixels),
        "negative_pixels": pixels,
        "mean_negative_pixels": round(float(np.mean(pixels)), 1),
        "negative_slices_clean": sum(value == 0 for value in pixels),
    }


def _grey(path: Path) -> npt.NDArray[np.uint8]:
    pixels = np.array(Image.open(path))
    return pixels if pixels.ndim == 2 else pixels[..., 0]


def log_look(path: Path, models: Sequence[Path], found: dict[str, Any]) -> None:
    """Add a line on a look at the slices that may never choose a model."""
    is_new = not path.exists()
    names = "+".join(f"{model.name}:{_hash(model)}" for model in models)
    with path.open("a", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if is_new:
            writer.writerow(["utc", "model", "mean_dice", "min_dice", "mean_negative_pixels"])
        when = time.strftime("%Y-%m-%d %H:%M", time.gmtime())
        writer.writerow([when, names, found["mean_dice"], found["min_dice"], found["mean_negative_pixels"]])


def _hash(model: Path) -> str:
    """Return the first 12 hex digits of what `--model` names: a run folder, a file, or a built-in model."""
    model = named(model)
    files = (
        [model] if model.is_file() else sorted(model.glob("model.onnx")) or sorted(model.glob("models/best_model.*"))
    )
    return sha256(files[0])[:12] if files else "unknown"


@contextmanager
def _kept(folder: Path | None) -> Iterator[Path]:
    """Give the folder asked for, else one that goes afterwards."""
    if folder is not None:
        yield folder
        return
    with tempfile.TemporaryDirectory() as place:
        yield Path(place)


def _data() -> Path:
    given = os.environ.get("SPLEENSEG_REAL_DATA")
    if not given:
        sys.exit("set SPLEENSEG_REAL_DATA to the folder of real CT data")
    return Path(given)


def timed(name: str, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Do a part; say on the error stream that it is done."""
    started = time.perf_counter()
    found = work()
    print(f"{name}: {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
    return found


def main() -> None:
    parser = arguments(__doc__.split("\n")[0])
    parser.add_argument("--model", type=Path, action="append", required=True, help="run folder or .onnx; repeatable")
    parser.add_argument("--patients", type=int, help="after splenectomy (50; with --quick 4; 0: none)")
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED, help="of these patients")
    parser.add_argument("--size", type=int, default=256, help="pixels of their slices")
    parser.add_argument("--folder", type=Path, help="keeps the synthetic patients")
    parser.add_argument("--btcv", action="store_true", help="also look at the BTCV slices; logged")
    parser.add_argument("--log", type=Path, default=LOOKS, help="where looks at BTCV are logged")
    parser.add_argument("--threads", type=int, help="of exported models")
    options = parser.parse_args()
    data, judge = _data(), Judge.of(options.model, options.threads)
    example, amos = data / "totalsegmentator-example", data / "amos-0001"
    count = (4 if options.quick else 50) if options.patients is None else options.patients
    result: dict[str, Any] = {
        "agreement": {
            "dicom": dice_of(judge, example / "dicom", example / "example_seg_dicom.nii.gz"),
            "example_ct_sm": dice_of(judge, example / "example_ct_sm.nii.gz", example / "example_seg.nii.gz"),
        },
        "amos_0001": {"in_training": True, **dice_of(judge, amos / "ct.nii.gz", amos / "labels.nii.gz")},
    }
    if count:
        with _kept(options.folder) as folder:
            seeds = range(options.first_seed, options.first_seed + count)
            work = partial(splenectomy, judge, folder, seeds, options.size)
            result["splenectomy"] = timed("splenectomy", work)
    if options.btcv:
        result["btcv"] = timed("btcv", partial(btcv, judge, data / "btcv-slices"))
        log_look(options.log, options.model, result["btcv"])
    model = {"label": judge.label, "recorded": judge.recorded.words()}
    report(
        {**result, **model, "machine": machine(), "versions": versions("onnxruntime", "numpy", "keras")},
        options.json,
    )


if __name__ == "__main__":
    main()
