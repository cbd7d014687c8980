"""From every place of one set on a grid, how far to the nearest place of another: exact and fast."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_REACH = 4  # voxels each way that are looked at, the nearest first
_FURTHER = 8  # voxels each way that are looked at for the last places
_LAST = 500  # places that are the last
_TREE_PAYS = 500  # times the grid's size: how many pairs of place and target the tree may have to compare
_FEW = 20  # places for which a tree is not worth growing
_CROWD = 0.25  # share of the grid above which the map is faster from the start

Distances = NDArray[np.float64]
Places = NDArray[np.integer]


def nearest_distances(places: Places, targets: Places, scale: Sequence[float]) -> Distances:
    """Return the distance of each place to the nearest target.

    Close targets are found by looking at the neighbours in the order of their distance, which ends soon
    where two surfaces run side by side; if only a few places are left, all neighbours up to twice as far are
    looked at. A tree finds the others, or, where so many are so far away that the tree would have to look at
    most targets for each, a map of the whole grid.

    Args:
        places: integers [n, 3], whole numbers >= 0 along (z, y, x).
        targets: integers [m, 3], the same; m > 0.
        scale: size of a step along (z, y, x) in mm.

    Returns:
        float64 [n].
    """
    room = _room(places, targets) + 2 * _FURTHER
    if len(places) > _CROWD * room.prod():
        return _by_map(places, targets, np.array(scale))
    strides = np.array([room[1] * room[2], room[2], 1])
    occupied = np.zeros(int(room.prod()), bool)
    occupied[(targets + _FURTHER) @ strides] = True
    line = (places + _FURTHER) @ strides
    found = _ring_by_ring(occupied, line, strides, scale)
    left = np.flatnonzero(np.isnan(found))
    if 0 < len(left) <= _LAST:
        found[left] = _at_once(occupied, line[left], strides, scale)
        left = left[np.isnan(found[left])]
    if not len(left):
        return found
    pairs = len(left) * len(targets)
    search = _by_map if pairs > _TREE_PAYS * len(occupied) else _by_tree if len(left) > _FEW else _one_by_one
    found[left] = search(places[left], targets, np.array(scale))
    return found


def _room(places: Places, targets: Places) -> NDArray[np.int64]:
    """Return how far the grid that holds both reaches along each axis."""
    return np.array([max(places[:, axis].max(), targets[:, axis].max()) + 1 for axis in range(3)], np.int64)


def _ring_by_ring(
    occupied: NDArray[np.bool_], line: NDArray[np.int64], strides: NDArray[np.int64], scale: Sequence[float]
) -> Distances:
    """Return the distance from each place on the line to the nearest occupied one within reach, else NaN.

    Args:
        occupied: the grid as one line, with room for every step around each place.
        line: the places on it.
        strides: the length on it of a step along (z, y, x).
        scale: the same in mm.
    """
    found = np.full(len(line), np.nan)
    left = np.arange(len(line))
    steps, lengths = _neighbours(scale, _REACH)
    rings, starts = np.unique(lengths, return_index=True)
    for distance, ring in zip(rings, np.split(steps @ strides, starts[1:]), strict=True):
        hit = occupied[line + ring[0]]
        for offset in ring[1:]:
            hit |= occupied[line + offset]
        found[left[hit]] = distance
        missed = np.flatnonzero(~hit)
        left, line = left[missed], line[missed]
    return found


def _at_once(
    occupied: NDArray[np.bool_], line: NDArray[np.int64], strides: NDArray[np.int64], scale: Sequence[float]
) -> Distances:
    """Return the same as `_ring_by_ring`, from further away, for few places: all steps in one array."""
    steps, lengths = _neighbours(scale, _FURTHER)
    hits = occupied[line[:, None] + steps @ strides]
    return np.where(hits.any(axis=1), lengths[hits.argmax(axis=1)], np.nan)


def _neighbours(scale: Sequence[float], reach: int) -> tuple[NDArray[np.int64], Distances]:
    """Return all steps on the grid shorter than the first one out of reach, nearest first: [n, 3], [n]."""
    steps = np.indices((2 * reach + 1,) * 3).reshape(3, -1).T - reach
    lengths = _lengths(steps, np.array(scale))
    within = np.flatnonzero(lengths < (reach + 1) * min(scale))
    order = within[np.argsort(lengths[within], kind="stable")]
    return steps[order], lengths[order]


def _by_tree(places: Places, targets: Places, scale: Distances) -> Distances:
    from scipy.spatial import KDTree

    tree = KDTree(targets * scale, balanced_tree=False, compact_nodes=False)
    return _lengths(places - targets[tree.query(places * scale)[1]], scale)


def _one_by_one(places: Places, targets: Places, scale: Distances) -> Distances:
    along = [np.ascontiguousarray(targets[:, axis] * scale[axis]) for axis in range(3)]
    nearest = [
        np.argmin(sum((side - at) ** 2 for side, at in zip(along, place * scale, strict=True))) for place in places
    ]
    return _lengths(places - targets[nearest], scale)


def _by_map(places: Places, targets: Places, scale: Distances) -> Distances:
    from scipy.ndimage import distance_transform_edt

    elsewhere = np.ones(_room(places, targets), bool)
    elsewhere[tuple(targets.T)] = False
    distances: Distances = distance_transform_edt(elsewhere, sampling=scale)[tuple(places.T)]
    return distances


def _lengths(steps: NDArray[np.int64], scale: Distances) -> Distances:
    """Return the steps' lengths in mm: from whole numbers, so that equal steps are equal to the last bit."""
    sides = steps * scale
    lengths: Distances = np.sqrt((sides * sides).sum(axis=1))
    return lengths
