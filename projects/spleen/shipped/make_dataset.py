"""Make the slices that the shipped spleen model is trained on: real patients, often; synthetic ones, for the rest.

    python make_dataset.py MSD_SLICES AMOS_CASE DATASET [--hold-out FOLD ...] [--synthetic FOLDER]
        [--only-synthetic | --only-real]

MSD_SLICES holds `images/` and `masks/` of the Medical Segmentation Decathlon's spleen task as 8-bit slices (HU
clipped to 0..255, `{slice}_{patient}.jpg`), AMOS_CASE holds `ct.nii.gz` and `labels.nii.gz` (1 = spleen). DATASET
gets `train/` and `valid/`. Every real slice stands there COPIES times under other numbers, so that a batch shows
about half real slices; some of the slices of two synthetic cohorts, one of them after splenectomy, fill up.

Without `--hold-out` all patients train. With it the patients of those folds are left out of `train/` and make `test/`:
the cross-validation of the model card. Either way `valid/` repeats patients that train too, so that it can choose an
epoch without a look at those held out, and its figures say nothing. `--only-synthetic` leaves all of them out: the
dataset of the training that comes first (`pretrain.config`). `--only-real` makes a plain dataset of the patients,
every slice once, as `recommended.config` is tried on. `--synthetic` keeps the synthetic cohorts for further datasets.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from recipe import spleenseg

from spleenseg.datasets.folds import make_folds
from spleenseg.datasets.manifest import MANIFEST_NAME, read_manifest
from spleenseg.files import write_json
from spleenseg.volumes import apply_window, read_labels, read_volume

COPIES = 48
WINDOW = (0, 255)  # what the slices of the Decathlon were clipped to
SIDE = 512
FOLDS = 5
COHORTS = {
    "mixed": ["--cases", "96", "--splenectomy", "0.15", "--seed", "4242"],
    "after_splenectomy": ["--cases", "48", "--splenectomy", "1", "--seed", "4343"],
}
WATCHED = 8  # one synthetic patient in so many is valid where there are no others
EVERY = {"mixed": 8, "after_splenectomy": 8}  # which slices of a cohort are taken

Plane = NDArray[np.uint8]


@dataclass(frozen=True)
class Slice:
    """One slice and its mask, mirrored left-right as the Decathlon's are."""

    patient: str
    number: int
    image: Plane
    mask: Plane


def decathlon(folder: Path) -> Iterator[Slice]:
    """Yield the slices of the Decathlon; their masks are JPEG, so they are thresholded."""
    for path in sorted((folder / "images").iterdir()):
        number, patient = path.stem.split("_", 1)
        mask = np.asarray(Image.open(folder / "masks" / path.name).convert("L")) > 127
        image = np.asarray(Image.open(path).convert("L"))
        yield Slice(patient.replace("_", ""), int(number), image, np.uint8(255) * mask)


def amos(folder: Path) -> Iterator[Slice]:
    """Yield the slices of the AMOS case."""
    volume = read_volume(folder / "ct.nii.gz")
    spleen = np.asarray(read_labels(folder / "labels.nii.gz", like=volume)) == 1
    shown = apply_window(volume.array, WINDOW)
    for number, (image, mask) in enumerate(zip(shown[..., ::-1], spleen[..., ::-1], strict=True)):
        grey = _sized(image.astype(np.uint8), Image.Resampling.BOX)
        yield Slice("amos0001", 20000 + number, grey, _sized(np.uint8(255) * mask, Image.Resampling.NEAREST))


def _sized(plane: Plane, method: Image.Resampling) -> Plane:
    return np.asarray(Image.fromarray(np.ascontiguousarray(plane)).resize((SIDE, SIDE), method))


def patients_of(real: list[Slice], folds: Sequence[int]) -> set[str]:
    """Return the patients that some folds of the cross-validation leave out."""
    patients = sorted({part.patient for part in real})
    known = make_folds({patient: patient for patient in patients})
    return {patient for fold in folds for patient in known[fold].valid}


def write_real(real: list[Slice], dataset: Path, folds: Sequence[int], copies: int) -> None:
    """Write the slices of patients to `train/`, so many times, `valid/` and, of those in `folds`, to `test/`."""
    held_out = patients_of(real, folds)
    watched = patients_of(real, [next(fold for fold in _after(folds) if fold not in folds)])
    for part in real:
        if part.patient in held_out:
            _save(dataset / "test", f"{part.number}_{part.patient}.png", part)
            continue
        if part.patient in watched:
            _save(dataset / "valid", f"{part.number}_{part.patient}.png", part)
        for copy in range(copies):
            _save(dataset / "train", f"{copy * 100_000 + part.number}_{part.patient}.png", part)


def _after(folds: Sequence[int]) -> list[int]:
    """Return all folds, from the one after the first of `folds` on."""
    first = folds[0] + 1 if folds else 0
    return [(first + step) % FOLDS for step in range(FOLDS)]


def write_synthetic(dataset: Path, kept: Path, alone: bool) -> None:
    """Make the cohorts that `kept` lacks, add some of their slices to `train/`, and name the label as they do.

    Where they are `alone`, every eighth patient goes to `valid/`.
    """
    for name, options in COHORTS.items():
        made = _prepared(kept / name, options)
        for kind in ("images", "masks"):
            for path in sorted((made / "train" / kind).iterdir())[:: EVERY[name]]:
                is_valid = alone and int(path.stem.rsplit("_", 1)[1]) % WATCHED == 0
                folder = dataset / ("valid" if is_valid else "train") / kind
                folder.mkdir(parents=True, exist_ok=True)
                (folder / path.name.replace("phantom_", name.replace("_", ""))).write_bytes(path.read_bytes())
    manifest = read_manifest(made / MANIFEST_NAME)
    assert manifest is not None
    named = manifest.model_copy(update={"source": "MSD, AMOS and synthetic patients", "cases": {}})
    write_json(dataset / MANIFEST_NAME, named.model_dump(mode="json"))


def _save(folder: Path, name: str, part: Slice) -> None:
    for kind, plane in (("images", part.image), ("masks", part.mask)):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        Image.fromarray(plane).save(folder / kind / name)


def _prepared(folder: Path, cohort: list[str]) -> Path:
    """Make a synthetic cohort, unless it is there, and return the dataset of its slices."""
    if (folder / "slices" / MANIFEST_NAME).exists():
        return folder / "slices"
    window = [str(end) for end in WINDOW]
    spleenseg("phantom", str(folder / "scans"), "--size", "512", *cohort, "--quiet")
    shown = ["--window", *window, "--display", "reference", "--into", "train", "--quiet"]
    spleenseg("prepare", str(folder / "scans"), str(folder / "slices"), *shown)
    return folder / "slices"


def main() -> None:
    """Make the dataset."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("msd", type=Path)
    parser.add_argument("amos", type=Path)
    parser.add_argument("dataset", type=Path)
    parser.add_argument(
        "--hold-out", type=int, nargs="+", default=[], metavar="FOLD", help="leave their patients out (0..4)"
    )
    parser.add_argument("--synthetic", type=Path, metavar="FOLDER", help="keep the synthetic cohorts there")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--only-synthetic", action="store_true", help="no real patients: what comes before them")
    only.add_argument("--only-real", action="store_true", help="no synthetic patients, and every slice once")
    given = parser.parse_args()
    given.dataset.mkdir(parents=True)
    if not given.only_synthetic:
        real = [*decathlon(given.msd), *amos(given.amos)]
        write_real(real, given.dataset, given.hold_out, 1 if given.only_real else COPIES)
    if not given.only_real:
        write_synthetic(given.dataset, given.synthetic or given.dataset / "synthetic", given.only_synthetic)


if __name__ == "__main__":
    main()
