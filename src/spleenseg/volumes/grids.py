"""Whether a label map lies on a scan's grid, and how its voxels come to the scan's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spleenseg.errors import UserError
from spleenseg.volumes.volume import StoredGrid, Volume

GRID_TOLERANCE = 0.1  # of the smallest spacing: how far a corner voxel of two equal grids may be apart


def onto(stored: NDArray[np.uint8], affine: NDArray[np.float64], like: Volume, path: Path) -> NDArray[np.uint8]:
    """Bring labels as they are stored onto the voxels of `like`.

    Args:
        stored: [i, j, k] in the label file's own axis order.
        affine: of the label file, voxel (i, j, k, 1) to RAS mm.
        like: the scan the labels belong to.
        path: the label file, for messages.

    Returns:
        uint8 [z, y, x], of the shape of `like.array`.

    Raises:
        UserError: other lengths, or a corner voxel further than `GRID_TOLERANCE` of the smallest spacing from
            its place. Where the scan's orientation was declared, its file's own affine counts.
    """
    i, j, k = stored.shape
    labels = StoredGrid.of((i, j, k), affine)
    scan = StoredGrid.of(like.stored.shape, like.stored.affine)
    _require_same(labels, scan, like, path)
    canonical = labels.axis_map.to_canonical(stored)
    if scan.axis_map != like.stored.axis_map:
        canonical = like.stored.axis_map.to_canonical(scan.axis_map.to_stored(canonical))
    return np.array(canonical, np.uint8, order="C")


def _require_same(labels: StoredGrid, scan: StoredGrid, like: Volume, path: Path) -> None:
    ours, theirs = labels.canonical_shape, scan.canonical_shape
    if ours != theirs:
        raise UserError(
            f"{path}: lies on another grid than {like.case}: "
            f"{_by(ours[::-1])} voxels (left, posterior, superior) against {_by(theirs[::-1])}"
        )
    distance = corner_distance(labels.canonical_affine, scan.canonical_affine, theirs)
    limit = GRID_TOLERANCE * min(like.spacing)
    if distance > limit:
        raise UserError(
            f"{path}: lies on another grid than {like.case}: its affine puts a corner voxel "
            f"{distance:.3g} mm from its place (at most {limit:.2g} mm allowed)"
        )


def corner_distance(a: NDArray[np.float64], b: NDArray[np.float64], shape: tuple[int, ...]) -> float:
    """Return how far apart two affines put the corner voxels of a [z, y, x] grid, at most, in mm."""
    z, y, x = shape
    corners = np.array([(i, j, k, 1) for i in (0, x - 1) for j in (0, y - 1) for k in (0, z - 1)], dtype=float)
    return float(np.linalg.norm((corners @ (a - b).T)[:, :3], axis=1).max())


def _by(lengths: tuple[int, ...]) -> str:
    return "x".join(map(str, lengths))
