"""The one way in: which reader takes a path, and labels that lie on a scan's grid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spleenseg.errors import UserError
from spleenseg.volumes import nifti
from spleenseg.volumes.volume import StoredGrid, Volume

GRID_TOLERANCE = 0.1  # of the smallest spacing: how far a corner voxel of two equal grids may be apart


@dataclass(frozen=True)
class Format:
    """A kind of file: what it is called, what its paths look like, and how it is read."""

    name: str
    accepts: Callable[[Path], bool]
    read: Callable[[Path, str | None], Volume]


FORMATS = (Format("NIfTI (.nii, .nii.gz)", lambda path: path.name.lower().endswith(nifti.SUFFIXES), nifti.read),)


def read_volume(path: Path | str, modality: str | None = None) -> Volume:
    """Read a scan into the one orientation: [z, y, x] int16 HU, x -> Left, y -> Posterior, z -> Superior.

    Args:
        path: a NIfTI file.
        modality: what the caller knows the scan to be ("CT"); taken over where the file does not say.

    Raises:
        UserError: the path is missing, of no known kind, damaged, or no volume of int16 HU with a geometry.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"{path}: no such file")
    reader = next((form.read for form in FORMATS if path.is_file() and form.accepts(path)), None)
    if reader is None:
        known = " or ".join(form.name for form in FORMATS)
        raise UserError(f"{path}: not a scan of a kind that can be read; give {known}")
    return reader(path, modality)


def read_labels(path: Path | str, like: Volume) -> NDArray[np.uint8]:
    """Read a label map that lies on the grid of `like`, whatever the axis order it is stored in.

    Args:
        path: a NIfTI file of whole numbers 0..255.
        like: the scan the labels belong to.

    Returns:
        uint8 [z, y, x], voxel for voxel on `like.array`.

    Raises:
        UserError: unreadable, not whole numbers, or another grid: other lengths, or a corner voxel further
            than `GRID_TOLERANCE` of the smallest spacing from its place.
    """
    path = Path(path)
    image = nifti.read_stored(path)
    i, j, k = image.values.shape
    grid = StoredGrid.of((i, j, k), image.affine)
    _require_same_grid(grid, like, path)
    return np.array(grid.axis_map.to_canonical(nifti.as_labels(image, path)), np.uint8, order="C")


def _require_same_grid(grid: StoredGrid, like: Volume, path: Path) -> None:
    ours, theirs = grid.canonical_shape, like.array.shape
    if ours != theirs:
        raise UserError(
            f"{path}: lies on another grid than {like.case}: "
            f"{_by(ours[::-1])} voxels (left, posterior, superior) against {_by(theirs[::-1])}"
        )
    distance = _corner_distance(grid.canonical_affine, like.affine, theirs)
    limit = GRID_TOLERANCE * min(like.spacing)
    if distance > limit:
        raise UserError(
            f"{path}: lies on another grid than {like.case}: its affine puts a corner voxel "
            f"{distance:.3g} mm from its place (at most {limit:.2g} mm allowed)"
        )


def _corner_distance(a: NDArray[np.float64], b: NDArray[np.float64], shape: tuple[int, ...]) -> float:
    """Return how far apart two affines put the corner voxels of a [z, y, x] grid, at most, in mm."""
    z, y, x = shape
    corners = np.array([(i, j, k, 1) for i in (0, x - 1) for j in (0, y - 1) for k in (0, z - 1)], dtype=float)
    return float(np.linalg.norm((corners @ (a - b).T)[:, :3], axis=1).max())


def _by(lengths: tuple[int, ...]) -> str:
    return "x".join(map(str, lengths))
