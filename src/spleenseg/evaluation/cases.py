"""Slices put back together into cases, and the figures of both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, cast, get_args

import numpy as np
import numpy.typing as npt

from spleenseg.datasets.folders import SliceFile, places_by_case
from spleenseg.datasets.manifest import CaseRecord, Manifest
from spleenseg.errors import UserError
from spleenseg.evaluation.passes import Labels, Packed, Pass
from spleenseg.metrics import (
    CaseMetrics,
    case_metrics,
    confusion,
    dice,
    iou,
    precision,
    sensitivity,
    undefined_if_empty,
)
from spleenseg.progress import Reporter

Empty = Literal["defined", "nan"]
"""What Dice, IoU and NSD are where truth and prediction are both empty: 1, or undefined and left out of means."""


@dataclass(frozen=True)
class CaseRow:
    """The figures of one label in one case, over the whole case at the files' own size.

    Attributes:
        case: the scan.
        patient: whose.
        label: name of the label.
        metrics: the figures; in mm and mL only where the dataset's manifest knows the spacing.
        has_truth: whether the label occurs in the truth.
        slices: how many slices the case was put together from.
    """

    case: str
    patient: str
    label: str
    metrics: CaseMetrics
    has_truth: bool
    slices: int

    def under(self, empty: Empty) -> CaseRow:
        """Return the row as the rule for empty cases wants it."""
        return self if empty == "defined" else replace(self, metrics=undefined_if_empty(self.metrics))


def parse_empty(text: str) -> Empty:
    """Return the rule for cases that are empty in truth and prediction.

    Raises:
        UserError: there is no such rule.
    """
    if text not in get_args(Empty):
        raise UserError(f"--empty {text} is no rule; use defined or nan")
    return cast(Empty, text)


@dataclass(frozen=True)
class SliceRow:
    """The figures of one label in one slice; pixels are those of the file."""

    slice: str
    case: str
    index: int | None
    label: str
    truth_pixels: int
    pred_pixels: int
    false_positive_pixels: int
    dice: float
    iou: float
    sensitivity: float | None
    precision: float | None


def slice_rows(files: Sequence[SliceFile], found: Pass, names: Mapping[str, int]) -> Iterator[SliceRow]:
    """Yield a row a slice and label, in the order of `files`."""
    for file, truth, prediction in zip(files, found.truth, found.found, strict=True):
        true_labels, predicted = truth.unpacked(), prediction.unpacked()
        for name, value in names.items():
            yield slice_row(file.name, file.case, file.index, name, true_labels == value, predicted == value)


def slice_row(
    name: str, case: str, index: int | None, label: str, truth: npt.NDArray[np.bool_], found: npt.NDArray[np.bool_]
) -> SliceRow:
    """Return the row of one label in one slice from its masks, bool [H, W]."""
    counts = confusion(truth, found)
    return SliceRow(
        slice=name,
        case=case,
        index=index,
        label=label,
        truth_pixels=counts.truth,
        pred_pixels=counts.pred,
        false_positive_pixels=counts.fp,
        dice=dice(counts),
        iou=iou(counts),
        sensitivity=sensitivity(counts),
        precision=precision(counts),
    )


def case_rows(
    files: Sequence[SliceFile],
    found: Pass,
    names: Mapping[str, int],
    manifest: Manifest | None,
    reporter: Reporter,
) -> Iterator[CaseRow]:
    """Yield a row a case and label, sorted by case.

    Args:
        files: the slices.
        found: their truth and prediction, in the same order.
        names: label name -> value.
        manifest: of their dataset: the spacing.
        reporter: warned of cases that lack slices, whose volumes and distances are therefore undefined.
    """
    places = places_by_case(files)
    with reporter.task("measuring cases", len(places)) as task:
        for case, own in sorted(places.items()):
            truth = stack([found.truth[place] for place in own])
            predicted = stack([found.found[place] for place in own])
            record = _record_of_whole(case, [files[place] for place in own], truth, manifest, reporter)
            for name, value in names.items():
                metrics = _measured(truth == value, predicted == value, record)
                has_truth = bool((truth == value).any())
                yield CaseRow(case, files[own[0]].patient, name, metrics, has_truth, len(own))
            task.advance(note=case)


def stack(slices: Sequence[Packed]) -> Labels:
    """Return uint8 [z, y, x]; slices smaller than the largest are filled up with background."""
    height, width = (max(packed.shape[axis] for packed in slices) for axis in (0, 1))
    volume = np.zeros((len(slices), height, width), np.uint8)
    for plane, packed in zip(volume, slices, strict=True):
        plane[: packed.shape[0], : packed.shape[1]] = packed.unpacked()
    return volume


def _record_of_whole(
    case: str, files: Sequence[SliceFile], labels: Labels, manifest: Manifest | None, reporter: Reporter
) -> CaseRecord | None:
    """Return what the manifest knows of the case, if these slices are all of it, at their own size."""
    record = manifest.cases.get(case) if manifest else None
    if record is None:
        return None
    if [file.index for file in files] == list(range(record.shape[0])) and labels.shape == record.shape:
        return record
    expected = "x".join(map(str, record.shape))
    given = "x".join(map(str, labels.shape))
    reporter.warn(f"{case} is not as it was prepared ({given} instead of {expected}): no volumes, no distances")
    return None


def _measured(truth: npt.NDArray[np.bool_], found: npt.NDArray[np.bool_], record: CaseRecord | None) -> CaseMetrics:
    if record is None:
        return case_metrics(truth, found, None)
    return case_metrics(truth, found, record.spacing, voxel_ml=record.voxel_ml)
