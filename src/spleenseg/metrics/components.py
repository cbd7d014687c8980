"""Pieces of a mask, counted as lesions are: which of the truth's were missed, which of the prediction's are extra."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Components:
    """How many connected pieces two masks have; voxels that share a face, an edge or a corner are connected.

    Attributes:
        truth: pieces of the truth.
        pred: pieces of the prediction.
        missed: pieces of the truth without a single predicted voxel.
        extra: pieces of the prediction without a single true voxel.
    """

    truth: int
    pred: int
    missed: int
    extra: int


def count_components(truth: NDArray[np.bool_], pred: NDArray[np.bool_]) -> Components:
    """Count the pieces of two masks of the same shape and any number of axes."""
    in_truth, met_of_truth = _pieces(truth, pred)
    in_pred, met_of_pred = _pieces(pred, truth)
    return Components(in_truth, in_pred, in_truth - met_of_truth, in_pred - met_of_pred)


def _pieces(mask: NDArray[np.bool_], other: NDArray[np.bool_]) -> tuple[int, int]:
    """Return how many pieces `mask` has, and how many of them `other` touches."""
    from scipy.ndimage import label

    pieces, count = label(mask, structure=np.ones((3,) * mask.ndim, bool))
    touched = np.unique(pieces[other & mask])
    return int(count), len(touched)
