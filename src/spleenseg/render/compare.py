"""Truth and prediction over one slice, enlarged around the organ."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spleenseg.render.colors import RGB
from spleenseg.render.masks import contours

TRUTH: RGB = (64, 190, 255)
FOUND: RGB = (255, 170, 0)
SIDE = 420
_ROOM = 0.3  # of the organ's size, kept around it
_LEAST = 48  # pixels of the slice that are shown at least

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]


def compared(image: Pixels | None, truth: Mask, found: Mask, aspect: float = 1.0, *, plain: bool = False) -> Pixels:
    """Draw both outlines over the part of a slice around them, blue for truth and amber for the prediction.

    Args:
        image: uint8 [H, W] or [H, W, 3]; None: nothing but the outlines, on grey.
        truth: bool [H, W].
        found: bool [H, W].
        aspect: height of a pixel over its width.
        plain: leave the outlines out.

    Returns:
        uint8 [SIDE, SIDE, 3].
    """
    rows, columns = _around(truth | found, aspect)
    grey = np.full(truth.shape, 60, np.uint8) if image is None else image
    picture = _enlarged(grey, rows, columns)
    picture = np.repeat(picture[..., None], 3, axis=2) if picture.ndim == 2 else picture.copy()
    for mask, shade, thickness in () if plain else ((truth, TRUTH, 4), (found, FOUND, 2)):
        large = _enlarged(mask.astype(np.uint8) * 255, rows, columns) > 127
        picture[contours(large.astype(np.uint8), thickness)] = shade
    return picture


def _around(organ: Mask, aspect: float) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the first and the last row and column to show: a square in mm, which may lie partly beyond the slice."""
    if not organ.any():
        organ = np.ones_like(organ)
    places = [np.flatnonzero(organ.any(axis=1 - axis)) for axis in (0, 1)]
    middles = [(float(own[0]) + float(own[-1]) + 1) / 2 for own in places]
    lengths = [float(own[-1] - own[0] + 1) for own in places]
    side = max(lengths[0] * aspect, lengths[1], _LEAST) * (1 + 2 * _ROOM) / 2
    return (middles[0] - side / aspect, middles[0] + side / aspect), (middles[1] - side, middles[1] + side)


def _enlarged(array: Pixels, rows: tuple[float, float], columns: tuple[float, float]) -> Pixels:
    from PIL import Image

    box = (columns[0], rows[0], columns[1], rows[1])
    picture = Image.fromarray(array)
    scale = ((box[2] - box[0]) / SIDE, (box[3] - box[1]) / SIDE)
    way = Image.Resampling.BICUBIC
    moved = picture.transform((SIDE, SIDE), Image.Transform.AFFINE, (scale[0], 0, box[0], 0, scale[1], box[1]), way)
    return np.asarray(moved, np.uint8)
