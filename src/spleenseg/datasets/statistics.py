"""What is in a dataset: slices, patients and organ per split as a table and a bar chart, and its fingerprint."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spleenseg.datasets.decode import read_mask
from spleenseg.datasets.description import DESCRIPTION
from spleenseg.datasets.fingerprint import Fingerprint, fingerprint_of
from spleenseg.datasets.folders import SliceFile, assign_patients, list_pairs, split_folders
from spleenseg.datasets.manifest import Expectation, Manifest, find_manifest
from spleenseg.datasets.sources import read_source
from spleenseg.datasets.split import SPLITS
from spleenseg.datasets.survey import CaseFacts, chosen_values, survey_pictures, survey_scans, survey_volumes
from spleenseg.errors import UserError
from spleenseg.files import atomic
from spleenseg.progress import SILENT, Reporter

_GREY = 128  # from here on a pixel of a grey mask is organ, unless the whole dataset is darker


@dataclass(frozen=True)
class SplitStatistics:
    """One label in one split.

    Attributes:
        split: name of the split's folder ("all" for a dataset that is not split).
        label: name of the label.
        slices, cases, patients: how many.
        slices_with_organ: slices in which the label occurs.
        organ_pixels: pixels of the label; in a prepared dataset and in scans they are voxels.
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
        chart: the bar chart that was drawn; None where none was asked for.
        fingerprint: HU, spacings, shapes and volumes.
    """

    name: str
    splits: tuple[SplitStatistics, ...]
    patients_in_several_splits: tuple[str, ...]
    chart: str | None
    fingerprint: Fingerprint

    def rows(self) -> list[dict[str, Any]]:
        """Return the table, one row a split and label."""
        return [asdict(split) for split in self.splits]


@dataclass(frozen=True)
class _Found:
    """The cases of a dataset, the HU window its grey values stand for, and whether a chart belongs into its folder."""

    facts: tuple[CaseFacts, ...]
    window: tuple[float, float] | None
    ours: bool


def stats(
    dataset: Path | str,
    chart: Path | None = None,
    *,
    labels_from: Path | None = None,
    labels: Mapping[str, int] | None = None,
    threads: int | None = None,
    reporter: Reporter = SILENT,
) -> Statistics:
    """Count what is in a dataset, draw its bar chart, and take its fingerprint.

    Args:
        dataset: a prepared dataset; a folder with ``{train,valid,test}/{images,masks}``, or with images and
            masks alone; or labelled scans that `prepare` could read.
        chart: the PNG to draw; None: ``DATASET/{NAME}_Statistics.png``, and none for scans. A different picture
            of that name is kept beside it.
        labels_from: folder of label maps, where `dataset` is a folder of scans.
        labels: name -> value, for scans; None: those of dataset.json, else ``organ = 1``.
        threads: scans read at once.
        reporter: shows progress, and is warned of patients in several splits.

    Raises:
        UserError: no such layout, an incomplete split, an unreadable file, or a chart that cannot be written.
    """
    dataset = Path(dataset)
    found = _find(dataset, labels_from, labels, threads, reporter)
    if not found.facts:
        raise UserError(f"{dataset} holds no case")
    name = dataset.resolve().name
    shared = _in_several(found.facts)
    if shared:
        reporter.warn(f"{len(shared)} patient(s) are in more than one split: {', '.join(shared[:5])}")
    target = chart or (dataset / f"{name}_Statistics.png" if found.ours else None)
    drawn = None if target is None else str(_draw(target, name, found.facts))
    return Statistics(name, _table(found.facts), shared, drawn, fingerprint_of(found.facts, found.window))


def _find(
    dataset: Path,
    labels_from: Path | None,
    labels: Mapping[str, int] | None,
    threads: int | None,
    reporter: Reporter,
) -> _Found:
    if labels_from is None and not dataset.is_dir():
        raise UserError(f"dataset {dataset} is not a folder")
    manifest = find_manifest(dataset) if dataset.is_dir() else None
    if manifest is not None and manifest.layout == "volumes":
        return _Found(survey_volumes(dataset, manifest, reporter), None, ours=True)
    if labels_from is None and split_folders(dataset):
        return _pictures(dataset, manifest, reporter)
    if labels_from is None and not any((dataset / name).exists() for name in (DESCRIPTION, "imagesTr", "labelsTr")):
        raise UserError(f"{dataset} holds no {{{','.join(SPLITS)}}}/{{images,masks}} folders and no scans in imagesTr")
    source = read_source(dataset, labels_from)
    return _Found(survey_scans(source.scans, labels or source.labels or {"organ": 1}, threads, reporter), None, False)


def _pictures(dataset: Path, manifest: Manifest | None, reporter: Reporter) -> _Found:
    known = manifest.patients if manifest else {}
    splits = {
        name: assign_patients(list_pairs(folder / "images", folder / "masks"), known)
        for name, folder in split_folders(dataset).items()
    }
    chosen = _values_of_labels(manifest, splits)
    window = (manifest.expectation if manifest else Expectation.reference()).window_hu
    return _Found(survey_pictures(splits, chosen, manifest, reporter), window, ours=True)


def _values_of_labels(
    manifest: Manifest | None, splits: Mapping[str, Sequence[SliceFile]]
) -> dict[str, NDArray[np.bool_]]:
    """Return for each label which of the 256 mask values mean it."""
    if manifest is not None and len(manifest.labels) > 1:
        return chosen_values(manifest.labels)
    label = next(iter(manifest.labels)) if manifest else "organ"
    masks = (file.mask for files in splits.values() for file in files if file.mask is not None)
    bright = any(int(read_mask(mask).max()) >= _GREY for mask in masks)
    return {label: np.arange(256) >= (_GREY if bright else 1)}


def _table(facts: Sequence[CaseFacts]) -> tuple[SplitStatistics, ...]:
    splits: dict[str, list[CaseFacts]] = defaultdict(list)
    for case in facts:
        splits[case.split].append(case)
    rank = {name: place for place, name in enumerate(SPLITS)}
    ordered = sorted(splits, key=lambda name: (rank.get(name, len(rank)), name))
    return tuple(_count(split, splits[split], label) for split in ordered for label in facts[0].labels)


def _count(split: str, cases: Sequence[CaseFacts], label: str) -> SplitStatistics:
    volumes = [case.ml(label) for case in cases]
    known = [volume for volume in volumes if volume is not None]
    return SplitStatistics(
        split=split,
        label=label,
        slices=sum(case.shape[0] for case in cases),
        cases=len(cases),
        patients=len({case.patient for case in cases}),
        slices_with_organ=sum(case.labels[label].slices for case in cases),
        organ_pixels=sum(case.labels[label].voxels for case in cases),
        organ_ml=round(sum(known), 3) if len(known) == len(volumes) else None,
    )


def _in_several(facts: Sequence[CaseFacts]) -> tuple[str, ...]:
    found = Counter(patient for patient, _ in {(case.patient, case.split) for case in facts})
    return tuple(sorted(patient for patient, count in found.items() if count > 1))


def _draw(path: Path, name: str, facts: Sequence[CaseFacts]) -> Path:
    from spleenseg.render import bar_chart

    counts = {row.split: row.slices for row in _table(facts)}
    with atomic(path) as temporary:
        bar_chart(temporary, counts, f"{name}: slices per split", "slices")
        if path.exists() and path.read_bytes() != temporary.read_bytes():
            path.rename(_free_name(path))  # it may not be ours
    return path


def _free_name(path: Path) -> Path:
    time = datetime.now().strftime("%Y%m%d_%H%M%S_%f")
    return path.with_name(f"{path.stem}_{time}_bak{path.suffix}")
