"""What is in a dataset: slices, patients and organ per split, as a table and a bar chart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spleenseg.datasets.decode import read_mask
from spleenseg.datasets.folders import SliceFile, assign_patients, list_pairs
from spleenseg.datasets.identity import patients
from spleenseg.datasets.manifest import Manifest, find_manifest
from spleenseg.datasets.parallel import in_threads
from spleenseg.datasets.split import SPLITS
from spleenseg.errors import UserError
from spleenseg.files import atomic
from spleenseg.progress import SILENT, Reporter

_GREY = 128  # from here on a pixel of a grey mask is organ, unless the whole dataset is darker
_UNSPLIT = "all"

Histograms = NDArray[np.int64]
"""Pixels of each of the 256 values, one row a slice: int64 [N, 256]."""


@dataclass(frozen=True)
class SplitStatistics:
    """One label in one split.

    Attributes:
        split: name of the split's folder ("all" for a dataset that is not split).
        label: name of the label.
        slices, cases, patients: how many.
        slices_with_organ: slices in which the label occurs.
        organ_pixels: pixels of the label; in a prepared dataset they are voxels.
        organ_ml: their volume in millilitres; None where the voxel size is unknown.
    """

    split: str
    label: str
    slices: int
    cases: int
    patients: int
    slices_with_organ: int
    organ_pixels: int
    organ_ml: float | None


@dataclass(frozen=True)
class Statistics:
    """What is in a dataset; `dataclasses.asdict` of it is ready for JSON.

    Attributes:
        name: of the dataset's folder.
        splits: one entry a split and label.
        patients_in_several_splits: sorted; there should be none.
        chart: the bar chart that was drawn.
    """

    name: str
    splits: tuple[SplitStatistics, ...]
    patients_in_several_splits: tuple[str, ...]
    chart: str

    def rows(self) -> list[dict[str, Any]]:
        """Return the table, one row a split and label."""
        return [asdict(split) for split in self.splits]


def stats(dataset: Path | str, chart: Path | None = None, reporter: Reporter = SILENT) -> Statistics:
    """Count what is in a dataset and draw its bar chart.

    Args:
        dataset: folder with ``{train,valid,test}/{images,masks}``, or with images and masks alone; with a
            manifest or without.
        chart: the PNG to draw; None: ``DATASET/{NAME}_Statistics.png``. A different picture of that name is
            kept beside it.
        reporter: shows progress, and is warned of patients in several splits.

    Raises:
        UserError: no such layout, an incomplete split, an unreadable mask, or a chart that cannot be written.
    """
    dataset = Path(dataset)
    name = dataset.resolve().name
    manifest = find_manifest(dataset) if dataset.is_dir() else None
    splits = _read_splits(dataset, manifest)
    histograms = {split: _histograms(files, split, reporter) for split, files in splits.items()}
    values = _values_of_labels(manifest, histograms)
    table = tuple(
        _count(split, files, histograms[split], label, chosen, manifest)
        for split, files in splits.items()
        for label, chosen in values.items()
    )
    shared = _in_several(splits)
    if shared:
        reporter.warn(f"{len(shared)} patient(s) are in more than one split: {', '.join(shared[:5])}")
    drawn = _draw(chart or dataset / f"{name}_Statistics.png", name, splits)
    return Statistics(name, table, shared, str(drawn))


def _read_splits(dataset: Path, manifest: Manifest | None) -> dict[str, tuple[SliceFile, ...]]:
    known = manifest.patients if manifest else {}
    folders = _split_folders(dataset)
    return {
        name: assign_patients(list_pairs(folder / "images", folder / "masks"), known)
        for name, folder in folders.items()
    }


def _split_folders(dataset: Path) -> dict[str, Path]:
    """Return the folders that hold images and masks: train, valid, test first."""
    if not dataset.is_dir():
        raise UserError(f"dataset {dataset} is not a folder")
    if (dataset / "images").is_dir():
        return {_UNSPLIT: dataset}
    found = {path.name: path for path in dataset.iterdir() if (path / "images").is_dir()}
    if not found:
        raise UserError(f"{dataset} holds no {{{','.join(SPLITS)}}}/{{images,masks}} folders")
    rank = {name: place for place, name in enumerate(SPLITS)}
    return dict(sorted(found.items(), key=lambda item: (rank.get(item[0], len(rank)), item[0])))


def _histograms(files: Sequence[SliceFile], split: str, reporter: Reporter) -> Histograms:
    masks = [file.mask for file in files if file.mask is not None]
    return np.stack(in_threads(_histogram, masks, f"counting {split}", reporter=reporter))


def _histogram(mask: Path) -> NDArray[np.int64]:
    return np.bincount(read_mask(mask).ravel(), minlength=256).astype(np.int64)


def _values_of_labels(manifest: Manifest | None, histograms: Mapping[str, Histograms]) -> dict[str, NDArray[np.bool_]]:
    """Return for each label which of the 256 mask values mean it."""
    every = np.arange(256)
    if manifest is not None and len(manifest.labels) > 1:
        return {label: every == value for label, value in manifest.labels.items()}
    label = next(iter(manifest.labels)) if manifest else "organ"
    bright = any(counts[:, _GREY:].any() for counts in histograms.values())
    return {label: every >= (_GREY if bright else 1)}


def _count(
    split: str,
    files: Sequence[SliceFile],
    histograms: Histograms,
    label: str,
    values: NDArray[np.bool_],
    manifest: Manifest | None,
) -> SplitStatistics:
    pixels = histograms[:, values].sum(axis=1)
    return SplitStatistics(
        split=split,
        label=label,
        slices=len(files),
        cases=len({file.case for file in files}),
        patients=len(patients(files)),
        slices_with_organ=int(np.count_nonzero(pixels)),
        organ_pixels=int(pixels.sum()),
        organ_ml=_millilitres(files, pixels, manifest),
    )


def _millilitres(files: Sequence[SliceFile], pixels: NDArray[np.int64], manifest: Manifest | None) -> float | None:
    if manifest is None or any(file.case not in manifest.cases for file in files):
        return None
    voxel_ml = np.array([manifest.cases[file.case].voxel_ml for file in files])
    return round(float(pixels @ voxel_ml), 3)


def _in_several(splits: Mapping[str, Sequence[SliceFile]]) -> tuple[str, ...]:
    found = Counter(patient for files in splits.values() for patient in patients(files))
    return tuple(sorted(patient for patient, count in found.items() if count > 1))


def _draw(path: Path, name: str, splits: Mapping[str, Sequence[SliceFile]]) -> Path:
    from spleenseg.render import bar_chart

    counts = {split: len(files) for split, files in splits.items()}
    with atomic(path) as temporary:
        bar_chart(temporary, counts, f"{name}: slices per split", "slices")
        if path.exists() and path.read_bytes() != temporary.read_bytes():
            path.rename(_free_name(path))  # it may not be ours
    return path


def _free_name(path: Path) -> Path:
    time = datetime.now().strftime("%Y%m%d_%H%M%S_%f")
    return path.with_name(f"{path.stem}_{time}_bak{path.suffix}")
