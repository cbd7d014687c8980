"""Distances between the surfaces of two masks, every piece of surface weighted with its area.

A mask's surface is made of one element for every 2x2x2 block of voxels that holds inside and outside
(`surface_elements` gives its area); the element's place is the block's middle. Beyond the array lies outside.
The distance of an element is that to the nearest element of the other surface. So defined by Nikolov et al.
(arXiv 1809.04430) and their package `surface-distance`, whose figures these equal.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spleenseg.metrics.nearest import Distances, nearest_distances
from spleenseg.metrics.overlap import as_masks, crop_to_both
from spleenseg.metrics.surface_elements import surface_areas

_ALL_INSIDE = 255


@dataclass(frozen=True)
class SurfaceDistances:
    """The elements of both surfaces, each surface sorted by distance.

    Attributes:
        truth_mm: distance of each of the truth's elements to the predicted surface, float64 [n].
        truth_mm2: area of each of them.
        pred_mm: distance of each of the prediction's elements to the true surface, float64 [m].
        pred_mm2: area of each of them.
    """

    truth_mm: Distances
    truth_mm2: Distances
    pred_mm: Distances
    pred_mm2: Distances

    def hausdorff(self, share: float = 1.0) -> float:
        """Return the distance in mm within which `share` of each surface lies (the larger of the two).

        1.0 is the Hausdorff distance, 0.95 the HD95.
        """
        return max(_quantile(self.truth_mm, self.truth_mm2, share), _quantile(self.pred_mm, self.pred_mm2, share))

    def average(self) -> float:
        """Return the ASSD in mm: the mean distance over the area of both surfaces together."""
        total = self.truth_mm @ self.truth_mm2 + self.pred_mm @ self.pred_mm2
        return float(total / (self.truth_mm2.sum() + self.pred_mm2.sum()))

    def normalized_surface_dice(self, tolerance_mm: float) -> float:
        """Return the share of both surfaces' area that lies within `tolerance_mm` of the other (the NSD)."""
        near = self.truth_mm2[self.truth_mm <= tolerance_mm].sum()
        near += self.pred_mm2[self.pred_mm <= tolerance_mm].sum()
        return float(near / (self.truth_mm2.sum() + self.pred_mm2.sum()))


def surface_distances(
    truth: NDArray[np.generic], pred: NDArray[np.generic], spacing: Sequence[float]
) -> SurfaceDistances | None:
    """Measure the surfaces of two masks against each other.

    Args:
        truth: mask [z, y, x]; what is not 0 is inside.
        pred: mask of the same shape.
        spacing: voxel size (x, y, z) in mm.

    Returns:
        The distances, or None if either mask is empty: then there are none.

    Raises:
        ValueError: the shapes differ or are not three-dimensional, or the spacing is not three positive sizes.
    """
    scale = _steps(truth, spacing)
    truth, pred = as_masks(*crop_to_both(truth, pred))
    if not truth.any() or not pred.any():
        return None
    places, areas = _elements(truth, scale)
    other_places, other_areas = _elements(pred, scale)
    return SurfaceDistances(
        *_sorted(nearest_distances(places, other_places, scale), areas),
        *_sorted(nearest_distances(other_places, places, scale), other_areas),
    )


def _steps(mask: NDArray[np.generic], spacing: Sequence[float]) -> tuple[float, float, float]:
    """Return the voxel size along the array's axes (z, y, x)."""
    if mask.ndim != 3:
        raise ValueError(f"surfaces are measured on arrays [z, y, x], not {mask.shape}")
    if len(spacing) != 3 or not all(math.isfinite(step) and step > 0 for step in spacing):
        raise ValueError(f"the spacing is three positive sizes (x, y, z) in mm, not {tuple(spacing)}")
    x, y, z = (float(step) for step in spacing)
    return z, y, x


def _elements(mask: NDArray[np.bool_], scale: Sequence[float]) -> tuple[NDArray[np.int32], Distances]:
    """Return the places [n, 3] of a mask's surface elements on the grid of block middles, and their areas [n]."""
    padded = np.pad(mask, 1)
    patterns = _patterns(padded)
    found = np.flatnonzero((patterns != 0) & (patterns != _ALL_INSIDE))
    places = np.stack(np.unravel_index(found, padded.shape), axis=1).astype(np.int32)
    return places, surface_areas(scale)[patterns[found]]


def _patterns(padded: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return the pattern of the 2x2x2 block that begins at each voxel: uint8 [number of voxels].

    The array is read as one line, in which a row's last voxel is followed by the next row's first: all of
    those are padding, so nothing leaks from one row into another.
    """
    _, rows, columns = padded.shape
    pattern = padded.ravel().view(np.uint8)
    for stride, bits in ((1, 1), (columns, 2), (rows * columns, 4)):
        pattern = pattern.copy()
        pattern[:-stride] |= pattern[stride:] << np.uint8(bits)
    return pattern


def _sorted(distances: Distances, areas: Distances) -> tuple[Distances, Distances]:
    order = _order(distances)
    return distances[order], areas[order]


def _order(distances: Distances) -> NDArray[np.intp]:
    """Return the stable order of distances, of which many are equal, as `np.argsort` does.

    It is fastest on numbers of 16 bits, and on what is all but sorted: first by the distance rounded to a float of
    16 bits, whose bits are in the order of the numbers, then by the distance itself.
    """
    with np.errstate(over="ignore"):
        rounded = distances.astype(np.float16).view(np.uint16)
    roughly = np.argsort(rounded, kind="stable")
    return roughly[np.argsort(distances[roughly], kind="stable")]


def _quantile(distances: Distances, areas: Distances, share: float) -> float:
    """Return the smallest distance within which at least `share` of the area lies."""
    reached = np.cumsum(areas) / areas.sum()
    return float(distances[min(int(np.searchsorted(reached, share)), len(distances) - 1)])
