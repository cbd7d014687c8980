"""From stored voxel axes to (Left, Posterior, Superior) and back: permutation and flips, no resampling."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from nibabel.orientations import io_orientation
from numpy.typing import NDArray

from spleenseg.errors import UserError

_LPS_SIGN_IN_RAS = (-1, -1, 1)
_DIRECTIONS = {"R": (0, 1), "L": (0, -1), "A": (1, 1), "P": (1, -1), "S": (2, 1), "I": (2, -1)}  # RAS axis, sign


@dataclass(frozen=True)
class AxisMap:
    """How the stored axes (i, j, k) become the voxel axes (x -> Left, y -> Posterior, z -> Superior).

    Attributes:
        axes: the stored axis that becomes x, y and z.
        flips: whether x, y and z run against their stored axis.
    """

    axes: tuple[int, int, int]
    flips: tuple[bool, bool, bool]

    def to_canonical(self, stored: NDArray[np.generic]) -> NDArray[np.generic]:
        """Return a view [z, y, x] of an array [i, j, k]."""
        view = stored.transpose(self.axes)[self._steps()]
        return view.transpose(2, 1, 0)

    def to_stored(self, array: NDArray[np.generic]) -> NDArray[np.generic]:
        """Return a view [i, j, k] of an array [z, y, x]."""
        view = array.transpose(2, 1, 0)[self._steps()]
        return view.transpose(np.argsort(self.axes))

    def canonical_shape(self, stored: tuple[int, int, int]) -> tuple[int, int, int]:
        """Return the shape (z, y, x) of stored axes of the lengths (i, j, k)."""
        x, y, z = (stored[axis] for axis in self.axes)
        return z, y, x

    def canonical_affine(self, affine: NDArray[np.float64], stored_shape: tuple[int, int, int]) -> NDArray[np.float64]:
        """Return the affine of voxel (x, y, z, 1), given that of voxel (i, j, k, 1); both to RAS mm."""
        voxel = np.zeros((4, 4))
        voxel[3, 3] = 1
        for target, (axis, flip) in enumerate(zip(self.axes, self.flips, strict=True)):
            voxel[axis, target] = -1 if flip else 1
            voxel[axis, 3] = stored_shape[axis] - 1 if flip else 0
        return affine @ voxel

    def _steps(self) -> tuple[slice, slice, slice]:
        x, y, z = (slice(None, None, -1 if flip else 1) for flip in self.flips)
        return x, y, z


def nearest_axis_map(affine: NDArray[np.float64]) -> AxisMap:
    """Return the permutation and flips that bring the stored axes nearest to Left, Posterior, Superior.

    Args:
        affine: 4x4, stored voxel (i, j, k, 1) to RAS mm, invertible.
    """
    ornt = io_orientation(affine)
    axes = [int(np.flatnonzero(ornt[:, 0] == world)[0]) for world in range(3)]
    flips = [bool(ornt[axis, 1] != sign) for axis, sign in zip(axes, _LPS_SIGN_IN_RAS, strict=True)]
    return AxisMap((axes[0], axes[1], axes[2]), (flips[0], flips[1], flips[2]))


def declared_affine(code: str, affine: NDArray[np.float64], stored_shape: tuple[int, int, int]) -> NDArray[np.float64]:
    """Return an affine whose axes point where `code` says; lengths of the axes and the grid's centre are kept.

    Args:
        code: where the stored axes i, j, k run to, such as "LAS": one each of L|R, A|P and S|I.
        affine: what the file says, stored voxel (i, j, k, 1) to RAS mm.
        stored_shape: lengths of the stored axes.

    Raises:
        UserError: `code` is no orientation.
    """
    directions = require_orientation(code)
    centre = np.append((np.array(stored_shape) - 1) / 2, 1)
    result = np.zeros((4, 4))
    for stored, (world, sign) in enumerate(directions):
        result[world, stored] = sign * np.linalg.norm(affine[:3, stored])
    result[:3, 3] = (affine @ centre)[:3] - result[:3, :3] @ centre[:3]
    result[3, 3] = 1
    return result


def require_orientation(code: str) -> list[tuple[int, int]]:
    """Return where each stored axis runs: the world axis (0: R, 1: A, 2: S) and the sign along it.

    Raises:
        UserError: `code` is no orientation.
    """
    directions = [_DIRECTIONS[letter] for letter in code.upper() if letter in _DIRECTIONS]
    if len(code) != 3 or {world for world, _ in directions} != {0, 1, 2}:
        raise UserError(f"'{code}' is no orientation; give three letters, one each of L|R, A|P and S|I, such as LAS")
    return directions


def is_invertible(affine: NDArray[np.float64]) -> bool:
    """Say whether the three axes are finite, have a length and span space (by more than 0.06 degrees)."""
    if not np.isfinite(affine).all():
        return False
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    if not (lengths > 0).all():
        return False
    return bool(abs(np.linalg.det(affine[:3, :3] / lengths)) > 1e-3)
