"""Results back into the source's own stored grid, voxel for voxel, and scans we make ourselves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spleenseg.volumes import nifti
from spleenseg.volumes.volume import Volume

_FAST = 1


def write_labels(labels: NDArray[np.integer | np.bool_], like: Volume, path: Path | str) -> None:
    """Write a label map as uint8 NIfTI on the stored grid of `like`: its axis order, its affine.

    The same labels give the same bytes. Written atomically.

    Args:
        labels: [z, y, x], whole numbers 0..255 or bool, of the shape of `like.array`.
        like: the scan the labels belong to.
        path: the file to write, .nii.gz (or .nii).

    Raises:
        UserError: the file cannot be written, or its name ends otherwise.
        ValueError: `labels` has another shape, or values that uint8 cannot hold.
    """
    _require_shape(labels, like)
    if labels.dtype.kind not in "iub" or not _fit_uint8(labels):
        raise ValueError("labels are whole numbers 0..255")
    _write(labels.astype(np.uint8, copy=False), like, path, level=6)


def write_map(values: NDArray[np.float32], like: Volume, path: Path | str) -> None:
    """Write a map of real numbers (probabilities) as float32 NIfTI on the stored grid of `like`, atomically.

    Args:
        values: [z, y, x], of the shape of `like.array`.
        like: the scan the map belongs to.
        path: the file to write, .nii.gz (or .nii).

    Raises:
        UserError: the file cannot be written, or its name ends otherwise.
        ValueError: `values` has another shape.
    """
    _require_shape(values, like)
    _write(values.astype(np.float32, copy=False), like, path, level=_FAST)


def write_volume(volume: Volume, path: Path | str) -> None:
    """Write a scan as int16 NIfTI on its own stored grid, atomically.

    Raises:
        UserError: the file cannot be written, or its name ends otherwise.
    """
    _write(volume.array, volume, path, level=_FAST)


def _write(array: NDArray[np.generic], like: Volume, path: Path | str, level: int) -> None:
    nifti.write(Path(path), like.stored.axis_map.to_stored(array), like.stored, level)


def _fit_uint8(labels: NDArray[np.integer | np.bool_]) -> bool:
    return not labels.size or bool(labels.min() >= 0 and labels.max() <= 255)


def _require_shape(array: NDArray[np.generic], like: Volume) -> None:
    if array.shape != like.array.shape:
        raise ValueError(f"shape {array.shape} does not lie on the grid {like.array.shape} of {like.case}")
