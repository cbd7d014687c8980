"""What is in each case of a dataset: voxels, slices, HU and geometry of every label, whatever the layout."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spleenseg.datasets.cases import CasePaths, open_array
from spleenseg.datasets.check import require_same_size
from spleenseg.datasets.decode import read_image, read_mask
from spleenseg.datasets.fit import grey_of
from spleenseg.datasets.folders import UNSPLIT, SliceFile
from spleenseg.datasets.manifest import Manifest
from spleenseg.datasets.parallel import in_threads
from spleenseg.datasets.reading import read_scan
from spleenseg.datasets.source import Scan
from spleenseg.errors import UserError
from spleenseg.progress import SILENT, Reporter

VALUES = np.arange(-(1 << 15), 1 << 15)
"""Every value an int16 can have: the HU that a histogram counts."""

Histogram = NDArray[np.int64]
Chosen = Mapping[str, NDArray[np.bool_]]
"""Label name -> which of the 256 values of a label map or mask mean it."""


@dataclass(frozen=True, eq=False)
class LabelFacts:
    """One label in one case.

    Attributes:
        voxels: how many (pixels, in a dataset of pictures).
        slices: in how many slices.
        histogram: voxels of each int16 value, or of each of the 256 grey values of pictures.
    """

    voxels: int
    slices: int
    histogram: Histogram


@dataclass(frozen=True)
class CaseFacts:
    """One case.

    Attributes:
        case, patient, split: its names ("all" where there is no split).
        shape: (z, y, x).
        spacing: (x, y, z) in mm; None where nobody knows.
        voxel_ml: volume of a voxel; None where nobody knows.
        labels: name -> what is known of it.
    """

    case: str
    patient: str
    split: str
    shape: tuple[int, int, int]
    spacing: tuple[float, float, float] | None
    voxel_ml: float | None
    labels: dict[str, LabelFacts]

    def ml(self, label: str) -> float | None:
        """Return the volume of a label in millilitres."""
        return None if self.voxel_ml is None else self.labels[label].voxels * self.voxel_ml


def survey_scans(
    scans: Sequence[Scan], labels: Mapping[str, int], threads: int | None = None, reporter: Reporter = SILENT
) -> tuple[CaseFacts, ...]:
    """Read every labelled scan of a source.

    Raises:
        UserError: one cannot be read, is no CT, or its labels lie on another grid.
    """

    def look(scan: Scan) -> CaseFacts:
        read = read_scan(scan, labels, strict=False)
        z, y, x = read.volume.array.shape
        facts = _of_labels(read.volume.array, read.labels, chosen_values(labels))
        return CaseFacts(scan.case, read.patient, UNSPLIT, (z, y, x), read.volume.spacing, read.volume.voxel_ml, facts)

    return tuple(in_threads(look, scans, "reading scans", threads, reporter))


def survey_volumes(dataset: Path, manifest: Manifest, reporter: Reporter = SILENT) -> tuple[CaseFacts, ...]:
    """Read every case of a volume dataset.

    Raises:
        UserError: one is missing or damaged.
    """

    def look(case: str) -> CaseFacts:
        paths, record = CasePaths.of(dataset, case), manifest.cases[case]
        hu, truth = open_array(paths.hu, np.int16), open_array(paths.labels, np.uint8)
        if not hu.shape == truth.shape == tuple(record.shape):
            raise UserError(f"{paths.hu} and {paths.labels} are not of the shape that the manifest says; prepare again")
        facts = _of_labels(hu, truth, chosen_values(manifest.labels))
        return CaseFacts(case, record.patient, record.split, record.shape, record.spacing, record.voxel_ml, facts)

    return tuple(in_threads(look, sorted(manifest.cases), "reading cases", reporter=reporter))


def survey_pictures(
    splits: Mapping[str, Sequence[SliceFile]], chosen: Chosen, manifest: Manifest | None, reporter: Reporter = SILENT
) -> tuple[CaseFacts, ...]:
    """Read every picture of a dataset with its mask, augmented copies apart; histograms count grey values.

    Raises:
        UserError: one cannot be read.
    """
    cases: dict[tuple[str, str], list[SliceFile]] = defaultdict(list)
    for split, files in splits.items():
        for file in files:
            cases[split, file.case].append(file)

    def look(key: tuple[str, str]) -> CaseFacts:
        split, case = key
        record = manifest.cases.get(case) if manifest else None
        slices = [file for file in cases[key] if file.is_original] or cases[key]
        found = [_of_picture(file, chosen) for file in slices]
        facts = {label: _sum([labels[label] for labels, _ in found]) for label in chosen}
        shape = (len(found), *found[0][1])
        patient, spacing = cases[key][0].patient, record.spacing if record else None
        return CaseFacts(case, patient, split, shape, spacing, record.voxel_ml if record else None, facts)

    return tuple(in_threads(look, list(cases), "reading pictures", reporter=reporter))


def chosen_values(labels: Mapping[str, int]) -> dict[str, NDArray[np.bool_]]:
    """Return for each label which of the 256 values of a label map mean it."""
    return {name: np.arange(256) == value for name, value in labels.items()}


def _of_labels(hu: NDArray[np.int16], truth: NDArray[np.uint8], chosen: Chosen) -> dict[str, LabelFacts]:
    counts = {label: np.zeros(len(VALUES), np.int64) for label in chosen}
    slices = dict.fromkeys(chosen, 0)
    for plane, labels in zip(hu, truth, strict=True):  # slice by slice: the arrays may be mapped from disk
        for label, values in chosen.items():
            found = np.asarray(plane)[values[labels]]
            if found.size:
                slices[label] += 1
                counts[label] += np.bincount(found.astype(np.int64) - int(VALUES[0]), minlength=len(VALUES))
    return {label: LabelFacts(int(count.sum()), slices[label], count) for label, count in counts.items()}


def _of_picture(file: SliceFile, chosen: Chosen) -> tuple[dict[str, LabelFacts], tuple[int, int]]:
    assert file.mask is not None
    grey, mask = grey_of(read_image(file.image)), read_mask(file.mask)
    require_same_size(file, grey.shape, mask.shape)
    facts = {}
    for label, values in chosen.items():
        count = np.bincount(grey[values[mask]], minlength=256).astype(np.int64)
        facts[label] = LabelFacts(int(count.sum()), int(count.any()), count)
    return facts, (mask.shape[0], mask.shape[1])


def _sum(facts: Sequence[LabelFacts]) -> LabelFacts:
    histogram = np.sum([fact.histogram for fact in facts], axis=0)
    return LabelFacts(sum(fact.voxels for fact in facts), sum(fact.slices for fact in facts), histogram)
