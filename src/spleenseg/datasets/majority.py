"""The label of a pixel that several labels share: the one that covers most of it.

A mask brought to fewer pixels by taking one of them, the nearest, lies half a pixel off where a side is halved, and is
ragged elsewhere. Coverage is what the mask's outline says, in the middle of each pixel and without new values.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.uint8]

_TIE = 1e-4  # shares of a pixel: rounding stays below, no real difference does


def by_coverage(labels: Labels, shares_of: Callable[[NDArray[np.float32]], NDArray[Any]]) -> Labels:
    """Return for each pixel of a new grid the label that covers most of it.

    Of two labels with equal shares the higher wins on every other pixel, like the fields of a chessboard, so that no
    organ grows or moves: where a side is halved, half of the pixels along a straight edge are shared like that.

    Args:
        labels: uint8 [H, W].
        shares_of: brings a plane [H, W] of zeros and ones to the new grid [h, w]: how much of each pixel is covered.
            What nothing covers is label 0.

    Returns:
        uint8 [h, w], with no values but those of `labels` and 0.
    """
    values = [int(value) for value in np.flatnonzero(np.bincount(labels.ravel())) if value]
    covered = [shares_of((labels == value).astype(np.float32)) for value in values]
    if not covered:
        return np.zeros_like(shares_of(np.zeros(labels.shape, np.float32)), np.uint8)
    shares = np.stack([1 - sum(covered), *covered])
    chessboard = 1 - 2 * (np.add.outer(*(np.arange(side) for side in shares.shape[1:])) % 2)
    ranks = np.arange(len(shares))[:, None, None]
    largest = np.argmax(shares + _TIE * ranks * chessboard, axis=0)
    return np.asarray(np.take([0, *values], largest), np.uint8)
