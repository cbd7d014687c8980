"""All figures of one case: what one row of a case table holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from spleenseg.metrics.components import count_components
from spleenseg.metrics.overlap import (
    Counts,
    as_masks,
    confusion,
    crop_to_both,
    dice,
    iou,
    precision,
    sensitivity,
    specificity,
)
from spleenseg.metrics.surface import surface_distances

TOLERANCE_MM = 2.0


@dataclass(frozen=True)
class CaseMetrics:
    """Figures of a prediction against the truth; None is undefined.

    Attributes:
        dice: 2 TP / (2 TP + FP + FN); both empty: 1 (see `undefined_if_empty`), one empty: 0.
        iou: TP / (TP + FP + FN), with the same rule.
        sensitivity: TP / (TP + FN); undefined without truth.
        precision: TP / (TP + FP); undefined without prediction.
        truth_ml: volume of the truth in mL.
        pred_ml: volume of the prediction in mL.
        volume_error_ml: prediction minus truth.
        volume_error_pct: the same in percent of the truth; undefined without truth.
        hd_mm: Hausdorff distance; this and the next two are undefined if either is empty.
        hd95_mm: 95th percentile of the surface distances, by area, of the worse direction.
        assd_mm: average symmetric surface distance, over the area of both surfaces together.
        nsd_2mm: normalised surface Dice at the tolerance (2 mm unless told); both empty: 1, one empty: 0.
        specificity: TN / (TN + FP) over the whole array; undefined if the truth fills it.
        truth_components: connected pieces of the truth (26 neighbours), as lesions are counted.
        pred_components: pieces of the prediction.
        missed_components: pieces of the truth that the prediction does not touch.
        extra_components: pieces of the prediction that the truth does not touch.
        stray_ml: false-positive volume on axial slices without truth.
    """

    dice: float | None
    iou: float | None
    sensitivity: float | None
    precision: float | None
    truth_ml: float | None = None
    pred_ml: float | None = None
    volume_error_ml: float | None = None
    volume_error_pct: float | None = None
    hd_mm: float | None = None
    hd95_mm: float | None = None
    assd_mm: float | None = None
    nsd_2mm: float | None = None
    specificity: float | None = None
    truth_components: int = 0
    pred_components: int = 0
    missed_components: int = 0
    extra_components: int = 0
    stray_ml: float | None = None


def case_metrics(
    truth: NDArray[np.generic],
    pred: NDArray[np.generic],
    spacing: Sequence[float] | None,
    tolerance_mm: float = TOLERANCE_MM,
    voxel_ml: float | None = None,
) -> CaseMetrics:
    """Compare a predicted mask with the true one.

    Args:
        truth: mask [z, y, x]; what is not 0 is inside. Any shape if `spacing` is None.
        pred: mask of the same shape.
        spacing: voxel size (x, y, z) in mm; None if unknown, then all figures in mL and mm are undefined.
        tolerance_mm: the distance that the normalised surface Dice forgives.
        voxel_ml: volume of a voxel in mL where the grid is sheared; else it follows from the spacing.

    Raises:
        ValueError: the shapes differ or, with a spacing, are not three-dimensional.
    """
    voxels = truth.size
    truth, pred = as_masks(*crop_to_both(truth, pred))
    counts = confusion(truth, pred)
    pieces = count_components(truth, pred)
    return CaseMetrics(
        dice=dice(counts),
        iou=iou(counts),
        sensitivity=sensitivity(counts),
        precision=precision(counts),
        specificity=specificity(replace(counts, tn=counts.tn + voxels - truth.size)),
        truth_components=pieces.truth,
        pred_components=pieces.pred,
        missed_components=pieces.missed,
        extra_components=pieces.extra,
        **({} if spacing is None else _volumes(truth, pred, counts, voxel_ml or _box_ml(spacing))),
        **({} if spacing is None else _distances(truth, pred, spacing, tolerance_mm)),
    )


def undefined_if_empty(figures: CaseMetrics) -> CaseMetrics:
    """Return the figures with Dice, IoU and NSD undefined if truth and prediction are both empty.

    nnU-Net and others leave such cases out of their means. If only one is empty, all three stay 0: there was
    something to find, or something was invented.
    """
    if figures.truth_components or figures.pred_components:
        return figures
    return replace(figures, dice=None, iou=None, nsd_2mm=None)


def _box_ml(spacing: Sequence[float]) -> float:
    return float(np.prod(spacing)) / 1000


def _volumes(
    truth: NDArray[np.bool_], pred: NDArray[np.bool_], counts: Counts, voxel_ml: float
) -> dict[str, float | None]:
    error = counts.pred - counts.truth
    without_truth = ~truth.any(axis=tuple(range(1, truth.ndim)))
    return {
        "stray_ml": np.count_nonzero(pred[without_truth]) * voxel_ml,
        "truth_ml": counts.truth * voxel_ml,
        "pred_ml": counts.pred * voxel_ml,
        "volume_error_ml": error * voxel_ml,
        "volume_error_pct": 100 * error / counts.truth if counts.truth else None,
    }


def _distances(
    truth: NDArray[np.bool_], pred: NDArray[np.bool_], spacing: Sequence[float], tolerance_mm: float
) -> dict[str, float | None]:
    measured = surface_distances(truth, pred, spacing)
    if measured is None:
        return {"nsd_2mm": float(truth.any() == pred.any())}
    return {
        "hd_mm": measured.hausdorff(),
        "hd95_mm": measured.hausdorff(0.95),
        "assd_mm": measured.average(),
        "nsd_2mm": measured.normalized_surface_dice(tolerance_mm),
    }
