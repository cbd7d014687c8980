"""Figures of overlap between two masks, from four counts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Counts:
    """How many voxels are true positive, false positive, false negative and true negative."""

    tp: int
    fp: int
    fn: int
    tn: int

    @property
    def truth(self) -> int:
        """Voxels in the truth."""
        return self.tp + self.fn

    @property
    def pred(self) -> int:
        """Voxels in the prediction."""
        return self.tp + self.fp


def confusion(truth: NDArray[np.generic], pred: NDArray[np.generic]) -> Counts:
    """Count agreement and disagreement.

    Args:
        truth: mask of any shape and type; what is not 0 is inside.
        pred: mask of the same shape.

    Raises:
        ValueError: the shapes differ.
    """
    truth, pred = as_masks(truth, pred)
    tp = int(np.count_nonzero(truth & pred))
    in_truth, in_pred = int(np.count_nonzero(truth)), int(np.count_nonzero(pred))
    return Counts(tp=tp, fp=in_pred - tp, fn=in_truth - tp, tn=truth.size - in_truth - in_pred + tp)


def dice(counts: Counts) -> float:
    """Return 2 TP / (2 TP + FP + FN); 1 if truth and prediction are both empty."""
    return 1.0 if counts.truth + counts.pred == 0 else 2 * counts.tp / (counts.truth + counts.pred)


def iou(counts: Counts) -> float:
    """Return TP / (TP + FP + FN), the Jaccard index; 1 if truth and prediction are both empty."""
    union = counts.tp + counts.fp + counts.fn
    return 1.0 if union == 0 else counts.tp / union


def sensitivity(counts: Counts) -> float | None:
    """Return TP / (TP + FN), the share of the truth that was found; None if the truth is empty."""
    return counts.tp / counts.truth if counts.truth else None


def precision(counts: Counts) -> float | None:
    """Return TP / (TP + FP), the share of the prediction that is right; None if the prediction is empty."""
    return counts.tp / counts.pred if counts.pred else None


def specificity(counts: Counts) -> float | None:
    """Return TN / (TN + FP), the share of the outside left alone; None if the truth fills everything."""
    outside = counts.tn + counts.fp
    return counts.tn / outside if outside else None


def as_masks(truth: NDArray[np.generic], pred: NDArray[np.generic]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return both as bool arrays: what is not 0 is inside.

    Raises:
        ValueError: the shapes differ.
    """
    _require_same_shape(truth, pred)
    return truth.astype(bool, copy=False), pred.astype(bool, copy=False)


def _require_same_shape(truth: NDArray[np.generic], pred: NDArray[np.generic]) -> None:
    if truth.shape != pred.shape:
        raise ValueError(f"truth {truth.shape} and prediction {pred.shape} differ in shape")


def crop_to_both(
    truth: NDArray[np.generic], pred: NDArray[np.generic]
) -> tuple[NDArray[np.generic], NDArray[np.generic]]:
    """Return both masks cut to the smallest box that holds what is inside of either.

    Raises:
        ValueError: the shapes differ.
    """
    _require_same_shape(truth, pred)
    occupied = tuple(a | b for a, b in zip(_occupied_planes(truth), _occupied_planes(pred), strict=True))
    box = tuple(map(_extent, occupied))
    return truth[box], pred[box]


def _extent(occupied: NDArray[np.bool_]) -> slice:
    """Return the slice from the first to the last plane that holds anything; an empty one if none does."""
    places = np.flatnonzero(occupied)
    return slice(int(places[0]), int(places[-1]) + 1) if len(places) else slice(0, 0)


def _occupied_planes(mask: NDArray[np.generic]) -> list[NDArray[np.bool_]]:
    """Return for each axis which planes across it hold anything: bool [length of the axis]."""
    if mask.dtype == bool:
        mask = mask.view(np.uint8)  # for which the maximum is several times faster
    if not np.issubdtype(mask.dtype, np.unsignedinteger):
        mask = mask != 0
    planes = []
    while mask.ndim:
        rest = tuple(range(1, mask.ndim))
        occupied = np.asarray(mask.max(axis=rest, initial=0)) != 0
        planes.append(occupied)
        mask = mask[_extent(occupied)].max(axis=0, initial=0)  # the further axes are read off the shadow
    return planes
