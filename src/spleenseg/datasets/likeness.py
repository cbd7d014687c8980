"""Which scans are copies of one another, whatever their names say.

A scan is reduced to a small print (8 x 48 x 48 cells). Two prints are compared in their fine structure, which is what
is left when a blurred version is taken away: the shape all bodies share does not count. One of the two may be cropped
by a few voxels, so the comparison looks for the crop under which they correlate best. Copies that were resampled,
cropped, made noisy or rescaled in value correlate above 0.9 (synthetic and real CT), different patients below 0.8.
Two examinations of one patient are no copies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

ALIKE = 0.86
"""Correlation of two prints from which their scans count as copies of one another."""

_SHAPE = (8, 48, 48)
_SOFT_TISSUE = (-200.0, 300.0)  # HU
_BLUR = 3.0  # cells: structures wider than this do not count
_PLAUSIBLE = 0.25  # correlation without any crop; pairs below are not looked at again
_MOST_CROPPED = (0.12, 0.06, 0.06)  # of the extent along z, y, x, at each end
_CANDIDATES = 7  # crops tried at each end
_ROUNDS = (1.0, 0.33)  # the search is repeated about its first result, more finely
_BLOCK = 256
_MOST_PAIRS = 50  # a scan: among very many scans only the likeliest pairs are looked at again

Print = NDArray[np.uint8]
_Cells = NDArray[np.float32]


@dataclass(frozen=True)
class LookAlike:
    """Two scans of nearly the same image, and the correlation of their prints."""

    first: str
    second: str
    correlation: float


def print_of(image: NDArray[np.int16] | NDArray[np.uint8]) -> Print:
    """Return the print of a scan.

    Args:
        image: int16 HU or uint8 grey [z, y, x].

    Returns:
        uint8 [8, 48, 48]: the soft-tissue window (of HU), averaged over cells.
    """
    low, high = _SOFT_TISSUE if image.dtype == np.int16 else (0.0, 255.0)
    depth, rows, columns = _SHAPE
    grey = (np.clip(plane.astype(np.float32), low, high) - low for plane in image)
    planes = np.stack([cv2.resize(plane, (columns, rows), interpolation=cv2.INTER_AREA) for plane in grey])
    along = cv2.INTER_AREA if len(planes) >= depth else cv2.INTER_LINEAR
    cells = cv2.resize(planes.reshape(len(planes), -1), (rows * columns, depth), interpolation=along)
    return np.asarray(np.rint(cells.reshape(_SHAPE) * (255 / (high - low))), np.uint8)


def look_alikes(prints: Mapping[str, Print]) -> tuple[LookAlike, ...]:
    """Return the pairs of scans that are copies of one another, sorted by name."""
    names = sorted(prints)
    fine = {name: _fine_structure(prints[name]) for name in names}
    pairs = [(names[a], names[b]) for a, b in _plausible([fine[name] for name in names])]
    found = (LookAlike(a, b, _likeness(fine[a], fine[b])) for a, b in pairs)
    return tuple(pair for pair in found if pair.correlation >= ALIKE)


def likeness(one: Print, other: Print) -> float:
    """Return the correlation of the fine structure of two prints, one of them cropped where that helps."""
    return _likeness(_fine_structure(one), _fine_structure(other))


def _fine_structure(cells: Print) -> _Cells:
    grey = cells.astype(np.float32)
    return np.stack([plane - cv2.GaussianBlur(plane, (0, 0), _BLUR) for plane in grey])


def _likeness(one: _Cells, other: _Cells) -> float:
    return max(_best_crop(one, other), _best_crop(other, one))


def _plausible(fine: Sequence[_Cells]) -> list[tuple[int, int]]:
    """Return the pairs that correlate somewhat as they are, without any search; block by block to save memory."""
    if len(fine) < 2:
        return []
    flat = np.stack([_normal(cells).ravel() for cells in fine])
    pairs = []
    for start in range(0, len(flat), _BLOCK):
        close = flat[start : start + _BLOCK] @ flat.T
        near = np.argwhere(close >= _PLAUSIBLE)
        pairs += [(-float(close[a, b]), start + int(a), int(b)) for a, b in near if start + a < b]
    likeliest = sorted(pairs)[: _MOST_PAIRS * len(fine)]
    return sorted((a, b) for _, a, b in likeliest)


def _best_crop(whole: _Cells, part: _Cells) -> float:
    """Return the highest correlation of `part` with a cropped `whole`: axis by axis, then again more finely."""
    wanted = _normal(part)
    crops = [(0.0, 0.0)] * 3
    best = _correlation(whole, wanted)
    for zoom in _ROUNDS:
        for axis in (1, 2, 0):
            rest = whole
            for other in {0, 1, 2} - {axis}:
                rest = _cropped(rest, other, crops[other])
            for crop in _near(crops[axis], axis, zoom):
                found = _correlation(_cropped(rest, axis, crop), wanted)
                if found > best:
                    best, crops[axis] = found, crop
    return best


def _near(crop: tuple[float, float], axis: int, zoom: float) -> list[tuple[float, float]]:
    limit = _MOST_CROPPED[axis] * _SHAPE[axis] * zoom
    steps = np.linspace(-limit, limit, _CANDIDATES).tolist()
    return [(crop[0] + start, crop[1] + end) for start in steps for end in steps]


def _cropped(cells: _Cells, axis: int, crop: tuple[float, float]) -> _Cells:
    """Resample `cells` so that they begin and end `crop` cells further inside; negative: the border is repeated."""
    if crop == (0.0, 0.0):
        return cells
    count = cells.shape[axis]
    places = crop[0] + (np.arange(count) + 0.5) * (count - sum(crop)) / count - 0.5
    places = places.clip(0, count - 1)
    below = places.astype(int)
    weight = (places - below).astype(np.float32).reshape([-1 if place == axis else 1 for place in range(3)])
    above = np.minimum(below + 1, count - 1)
    return np.asarray(cells.take(below, axis) * (1 - weight) + cells.take(above, axis) * weight, np.float32)


def _correlation(cells: _Cells, wanted: _Cells) -> float:
    return float(np.vdot(_normal(cells), wanted))


def _normal(cells: _Cells) -> _Cells:
    """Return the cells with mean 0 and norm 1; all 0 where they show nothing."""
    centred = cells - cells.mean()
    norm = float(np.linalg.norm(centred))
    return centred / np.float32(norm) if norm > 1e-3 else np.zeros_like(cells)
