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
from functools import cache
from itertools import product

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
_CANDIDATES = 17  # crops tried at each end
_ROUNDS = 3
_BLOCK = 256
_MOST_PAIRS = 20  # a scan: among very many scans only the likeliest pairs are looked at again

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
    """Return the highest correlation of `part` with a cropped `whole`: axis by axis, as often as it helps."""
    wanted = _normal(part)
    chosen = [_crops(count, share).none for count, share in zip(_SHAPE, _MOST_CROPPED, strict=True)]
    best = 0.0
    for _ in range(_ROUNDS):
        for axis in (1, 2, 0):
            rest = whole
            for other in {0, 1, 2} - {axis}:
                rest = _cropped(rest, other, chosen[other])
            found = _correlations(rest, wanted, axis)
            chosen[axis], best = int(found.argmax()), float(found.max())
    return best


@dataclass(frozen=True, eq=False)
class _Crops:
    """Every crop that is tried along an axis of n cells, as matrices that resample it.

    Attributes:
        matrices: float32 [crops, n, n].
        squares: what gives the square norm of a cropped array from the products of its rows [crops, n * n].
        sums: what gives its sum from the sums of its rows [crops, n].
        none: the place of the crop that changes nothing.
    """

    matrices: _Cells
    squares: _Cells
    sums: _Cells
    none: int


@cache
def _crops(count: int, share: float) -> _Crops:
    """Return the crops that take up to `share` of an axis away at each end, or add as much of its border."""
    steps = np.linspace(-share, share, _CANDIDATES) * count
    rows = np.arange(count)
    matrices = np.zeros((len(steps) ** 2, count, count), np.float32)
    for matrix, (start, end) in zip(matrices, product(steps, steps), strict=True):
        places = (start + (rows + 0.5) * (count - start - end) / count - 0.5).clip(0, count - 1)
        below = np.minimum(places.astype(int), count - 2)
        matrix[rows, below] = 1 - (places - below)
        matrix[rows, below + 1] = places - below
    squares = np.matmul(matrices.transpose(0, 2, 1), matrices).reshape(len(matrices), -1)
    return _Crops(matrices, squares, matrices.sum(axis=1), len(matrices) // 2)


def _correlations(cells: _Cells, wanted: _Cells, axis: int) -> _Cells:
    """Return the correlation of `wanted` (mean 0, norm 1) with `cells` under every crop along an axis."""
    crops = _crops(_SHAPE[axis], _MOST_CROPPED[axis])
    rows, others = (np.moveaxis(array, axis, 0).reshape(_SHAPE[axis], -1) for array in (cells, wanted))
    products = crops.matrices.reshape(len(crops.matrices), -1) @ (others @ rows.T).ravel()
    sums = crops.sums @ rows.sum(axis=1)
    spread = crops.squares @ (rows @ rows.T).ravel() - sums**2 / cells.size
    return np.asarray(np.where(spread > 1e-3, products / np.sqrt(np.maximum(spread, 1e-3)), 0), np.float32)


def _cropped(cells: _Cells, axis: int, crop: int) -> _Cells:
    matrix = _crops(_SHAPE[axis], _MOST_CROPPED[axis]).matrices[crop]
    return np.moveaxis(np.tensordot(matrix, cells, (1, axis)), 0, axis)


def _normal(cells: _Cells) -> _Cells:
    """Return the cells with mean 0 and norm 1; all 0 where they show nothing."""
    centred = cells - cells.mean()
    norm = float(np.linalg.norm(centred))
    return centred / np.float32(norm) if norm > 1e-3 else np.zeros_like(cells)
