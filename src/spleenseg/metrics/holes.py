"""Holes of a mask: background that it encloses within a plane."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


def with_holes_filled(plane: Mask) -> Mask:
    """Return a mask [y, x] with the background that it encloses; pixels connect by their edges.

    By OpenCV: SciPy's way gives the same, and `segment` would wait for it to load.
    """
    import cv2

    if not plane.any():
        return plane
    around = np.zeros((plane.shape[0] + 2, plane.shape[1] + 2), np.uint8)
    around[1:-1, 1:-1] = plane
    cv2.floodFill(around, None, (0, 0), 2)
    filled: Mask = around[1:-1, 1:-1] != 2
    return filled
