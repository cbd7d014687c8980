"""Pieces of a mask, counted as lesions are: which of the truth's were missed, which of the prediction's are extra."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_LEAST_AXIS = 3  # voxels; cc3d (4.1.1) makes room for too few labels where an axis has fewer


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
    if not mask.any():
        return 0, 0
    pieces, count = number_pieces(mask)
    if count == 1:
        return 1, int(np.any(other & mask))
    touched = np.zeros(count + 1, bool)
    touched[pieces[other & mask]] = True
    return count, int(np.count_nonzero(touched))


def number_pieces(mask: NDArray[np.bool_]) -> tuple[NDArray[np.integer], int]:
    """Return the number of each voxel's piece, 0 outside of `mask`, and how many pieces there are.

    Scans are numbered by cc3d, which is faster and loaded sooner; SciPy knows any number of axes.
    """
    if mask.ndim == 3:
        import cc3d

        room = [(0, max(0, _LEAST_AXIS - length)) for length in mask.shape]
        padded = np.pad(mask, room) if any(after for _, after in room) else np.ascontiguousarray(mask)
        pieces, count = cc3d.connected_components(padded, connectivity=26, return_N=True)
        pieces = pieces[tuple(slice(length) for length in mask.shape)]
    else:
        from scipy.ndimage import label

        pieces, count = label(mask, structure=np.ones((3,) * mask.ndim, bool))
    return pieces, int(count)
