"""All figures of one case: what one row of a case table holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spleenseg.metrics.overlap import Counts, as_masks, confusion, crop_to_both, dice, iou, precision, sensitivity
from spleenseg.metrics.surface import surface_distances

TOLERANCE_MM = 2.0


@dataclass(frozen=True)
class CaseMetrics:
    """Figures of a prediction against the truth; None is undefined.

    Attributes:
        dice: 2 TP / (2 TP + FP + FN); both empty: 1, one empty: 0.
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
    """

    dice: float
    iou: float
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


def case_metrics(
    truth: NDArray[np.generic],
    pred: NDArray[np.generic],
    spacing: Sequence[float] | None,
    tolerance_mm: float = TOLERANCE_MM,
) -> CaseMetrics:
    """Compare a predicted mask with the true one.

    Args:
        truth: mask [z, y, x]; what is not 0 is inside. Any shape if `spacing` is None.
        pred: mask of the same shape.
        spacing: voxel size (x, y, z) in mm; None if unknown, then all figures in mL and mm are undefined.
        tolerance_mm: the distance that the normalised surface Dice forgives.

    Raises:
        ValueError: the shapes differ or, with a spacing, are not three-dimensional.
    """
    truth, pred = as_masks(*crop_to_both(truth, pred))
    counts = confusion(truth, pred)
    return CaseMetrics(
        dice=dice(counts),
        iou=iou(counts),
        sensitivity=sensitivity(counts),
        precision=precision(counts),
        **({} if spacing is None else _volumes(counts, spacing)),
        **({} if spacing is None else _distances(truth, pred, spacing, tolerance_mm)),
    )


def _volumes(counts: Counts, spacing: Sequence[float]) -> dict[str, float | None]:
    voxel_ml = float(np.prod(spacing)) / 1000
    error = counts.pred - counts.truth
    return {
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
