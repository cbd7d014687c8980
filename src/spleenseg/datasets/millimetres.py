"""Slices brought to a network's pixels by millimetres: the one definition that training and every engine share.

The network's grid lies around the centre of the slice, and its pixels are `pixel_mm` wide whatever those of the scan
are. What the grid holds beyond the slice is black, what the slice holds beyond the grid is background.

Along each axis the place of pixel j of the result is ``(length - 1) / 2 + (j - (result - 1) / 2) * step``, counted in
the pixels it is taken from, of which `step` make one of the result. Around it the weights fall off linearly, to
nothing at a distance of one pixel of whichever grid is coarser: between pixels that is linear interpolation, towards
coarser ones a mean that lets nothing finer through. The way back is the same with 1 / step.
`inference/onnx_millimetres.py` does the same inside an exported model.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spleenseg.datasets.majority import by_coverage
from spleenseg.errors import UserError

Step = tuple[float, float]  # pixels of the slice that make one of the grid: down, across
PixelSize = tuple[float, float]  # mm: across (x), down (y), as in `Volume.spacing`

NOT_A_TIE = 1e-6
"""Added before greys are rounded, so that halves go up whatever the last bit of a sum is."""
_LEAST = 0.5  # what weights inside a slice add up to at least


def step_of(pixel_mm: float | None, size: PixelSize | None, what: str = "the slice") -> Step | None:
    """Return how many pixels of a slice make one of a network's.

    Args:
        pixel_mm: what the network records; None: slices are resized by pixels, whatever these are in mm.
        size: of a pixel of the slice.
        what: the slice, for the error.

    Raises:
        UserError: the size is needed and nobody knows it.
    """
    if pixel_mm is None:
        return None
    if size is None:
        raise UserError(f"{what} has no known pixel size, and the model wants pixels of {pixel_mm:g} mm: give a scan")
    across, down = (float(np.float32(pixel_mm)) / float(np.float32(own)) for own in size)
    return down, across


def grey_on_grid(image: NDArray[np.uint8], size: tuple[int, int], step: Step) -> NDArray[np.uint8]:
    """Bring a picture [H, W] or [H, W, C] to the network's grid of (height, width) `size`."""
    planes = image[..., None] if image.ndim == 2 else image
    found = np.moveaxis(_product(np.moveaxis(planes, -1, 0).astype(np.float64), size, step), 0, -1)
    greys = np.floor(found + (0.5 + NOT_A_TIE)).astype(np.uint8)
    return greys[..., 0] if image.ndim == 2 else greys


def labels_on_grid(labels: NDArray[np.uint8], size: tuple[int, int], step: Step) -> NDArray[np.uint8]:
    """Bring labels [H, W] to the network's grid: what covers most of a pixel; beyond the slice is background."""
    return by_coverage(labels, lambda plane: _product(plane, size, step))


def probabilities_on_slice(found: NDArray[np.float32], size: tuple[int, int], step: Step) -> NDArray[np.float32]:
    """Bring probabilities [h, w, K] from the network's grid to a slice of (height, width) `size`.

    Beyond the grid a single organ has probability 0; with K > 1 the background, channel 0, has probability 1.
    """
    outside = certain_background(found.shape[-1])
    planes = np.moveaxis(found - outside, -1, 0)
    back = np.moveaxis(_product(planes, size, (1 / step[0], 1 / step[1])), 0, -1)
    return np.asarray(back + outside, np.float32)


def certain_background(channels: int) -> NDArray[np.float32]:
    """Return the probabilities [K] of a pixel that is background for sure."""
    sure = np.zeros(channels, np.float32)
    sure[0] = channels > 1
    return sure


def weights(length: int, result: int, step: float) -> NDArray[np.float64]:
    """Return with which share each of `length` pixels enters each of `result`, [result, length]; see the module."""
    places = _places(length, result, step)
    near = np.maximum(1 - np.abs(np.arange(length) - places[:, None]) / max(1.0, step), 0)
    shares = np.asarray(near / np.maximum(near.sum(axis=1, keepdims=True), _LEAST), np.float64)
    shares[~_inside(places, length)] = 0
    return shares


def _product(planes: NDArray[Any], size: tuple[int, int], step: Step) -> NDArray[Any]:
    """Resample planes [..., H, W], in their own precision."""
    rows, columns = (
        weights(length, result, pixels).astype(planes.dtype)
        for length, result, pixels in zip(planes.shape[-2:], size, step, strict=True)
    )
    return np.asarray(rows @ planes @ columns.T)


def _places(length: int, result: int, step: float) -> NDArray[np.float64]:
    return np.asarray((length - 1) / 2 + (np.arange(result) - (result - 1) / 2) * step, np.float64)


def _inside(places: NDArray[np.float64], length: int) -> NDArray[np.bool_]:
    return (places >= -0.5) & (places <= length - 0.5)
