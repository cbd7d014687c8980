"""DICOM SEG: every frame is one plane of one segment (or of a label map), placed by its own position."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from spleenseg.errors import UserError
from spleenseg.volumes.dicom.frames import levels_of, pixel_spacing, plane
from spleenseg.volumes.dicom.headers import Header
from spleenseg.volumes.dicom.pixels import stored_numbers
from spleenseg.volumes.grids import GRID_TOLERANCE
from spleenseg.volumes.volume import StoredGrid, Volume

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0])


@dataclass(frozen=True, eq=False)
class _Plane:
    """A frame's place: RAS mm of its first pixel and of a step to the next column and to the next row."""

    origin: NDArray[np.float64]
    right: NDArray[np.float64]
    down: NDArray[np.float64]


def read_segmentation(header: Header, like: Volume) -> NDArray[np.uint8]:
    """Read a SEG onto the voxels of `like`.

    Args:
        header: of the SEG object.
        like: the scan; every frame must lie on pixels of it.

    Returns:
        uint8 [z, y, x]; the number of a voxel's segment, 0 where there is none.

    Raises:
        UserError: fractional, overlapping segments, numbers beyond 255, or another grid than the scan's.
    """
    name, kind = header.member.name, header.text("SegmentationType")
    if kind not in ("BINARY", "LABELMAP"):
        raise UserError(f"{name}: is a segmentation of the kind {kind or 'unknown'}; give BINARY or LABELMAP")
    groups = list(header.data.get("PerFrameFunctionalGroupsSequence") or ())
    count = header.whole("NumberOfFrames")
    if not 0 < count <= len(groups):
        raise UserError(f"{name}: says it has {count} frames and describes {len(groups)}")
    shared = list(header.data.get("SharedFunctionalGroupsSequence") or ())[:1]
    grid = StoredGrid.of(like.stored.shape, like.stored.affine)
    stored = np.zeros(grid.shape, np.uint8)
    for group, pixels in zip(groups[:count], stored_numbers(header, range(count)), strict=True):
        levels = levels_of(group, shared)
        target = _on_grid(_plane(levels, name), pixels.shape, stored, grid, like, name)
        _merge(target, _labels(pixels, levels, kind, name), name)
    return np.array(like.stored.axis_map.to_canonical(stored), np.uint8, order="C")


def segment_names(header: Header) -> Iterator[tuple[int, str]]:
    """Yield the number and the label of every segment."""
    for item in header.data.get("SegmentSequence") or ():
        yield int(item.get("SegmentNumber", 0)), str(item.get("SegmentLabel", ""))


def _labels(pixels: NDArray[np.generic], levels: list[Dataset], kind: str, name: str) -> NDArray[np.uint8]:
    if kind == "LABELMAP":
        if pixels.max(initial=0) > 255:
            raise UserError(f"{name}: holds segment {pixels.max()}; labels must lie in 0..255")
        return pixels.astype(np.uint8)
    numbers = [level.get("ReferencedSegmentNumber") for level in levels]
    number = next((int(found) for found in numbers if isinstance(found, int)), 0)
    if not 0 < number <= 255:
        raise UserError(f"{name}: a frame belongs to segment {number}; labels must lie in 1..255")
    return np.where(pixels != 0, np.uint8(number), np.uint8(0))


def _merge(target: NDArray[np.uint8], labels: NDArray[np.uint8], name: str) -> None:
    """Add a frame's labels; two segments on one voxel have no one label."""
    both = (target != 0) & (labels != 0) & (target != labels)
    if both.any():
        first, second = int(target[both][0]), int(labels[both][0])
        raise UserError(f"{name}: segments {first} and {second} overlap; a label map holds one label a voxel")
    np.copyto(target, labels, where=labels != 0)


def _plane(levels: list[Dataset], name: str) -> _Plane:
    position, row, column = plane(levels, name)
    between_rows, between_columns = pixel_spacing(levels, name)
    turn = _LPS_TO_RAS
    return _Plane(turn @ position, turn @ row * between_columns, turn @ column * between_rows)


def _on_grid(
    frame: _Plane, shape: tuple[int, ...], stored: NDArray[np.uint8], grid: StoredGrid, like: Volume, name: str
) -> NDArray[np.uint8]:
    """Return the view [row, column] of the stored voxels on which a frame lies."""
    rows, columns = shape
    pixel = np.array([(0, 0), (0, columns - 1), (rows - 1, 0), (rows - 1, columns - 1)], dtype=float)
    world = frame.origin + pixel[:, :1] * frame.down + pixel[:, 1:] * frame.right
    exact = (world - grid.affine[:3, 3]) @ np.linalg.inv(grid.affine[:3, :3]).T
    voxels = np.rint(exact)
    off = float(np.linalg.norm((exact - voxels) @ grid.affine[:3, :3].T, axis=1).max())
    inside = (voxels >= 0).all() and (voxels < np.array(grid.shape)).all()
    down, right = voxels[2] - voxels[0], voxels[1] - voxels[0]
    steps = _single_axis(down, rows), _single_axis(right, columns)
    if off > GRID_TOLERANCE * min(like.spacing) or not inside or not all(steps):
        raise UserError(f"{name}: lies on another grid than {like.case}: a frame is off its voxels or outside")
    return _view(stored, voxels[0].astype(int), down.astype(int), right.astype(int))


def _single_axis(step: NDArray[np.float64], pixels: int) -> bool:
    """Say whether so many pixels run along one axis, a voxel each."""
    return np.count_nonzero(step) == (pixels > 1) and float(np.abs(step).sum()) == pixels - 1


def _view(
    stored: NDArray[np.uint8], first: NDArray[np.int64], down: NDArray[np.int64], right: NDArray[np.int64]
) -> NDArray[np.uint8]:
    index: list[int | slice] = [int(at) for at in first]
    axes: list[int] = []
    for step in (down, right):
        axis = (
            int(np.flatnonzero(step)[0]) if step.any() else next(a for a in (0, 1, 2) if _is_free(a, axes, down, right))
        )
        start, length, sign = int(first[axis]), int(abs(step[axis])) + 1, 1 if step[axis] >= 0 else -1
        stop = start + sign * length
        index[axis] = slice(start, stop if stop >= 0 else None, sign)
        axes.append(axis)
    view = stored[tuple(index)]
    return view if axes[0] < axes[1] else view.T


def _is_free(axis: int, taken: list[int], down: NDArray[np.int64], right: NDArray[np.int64]) -> bool:
    """Say whether no direction uses an axis (for frames of a single row or column)."""
    return axis not in taken and not down[axis] and not right[axis]
