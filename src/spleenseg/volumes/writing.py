"""Results back into the source's own stored grid, voxel for voxel, and scans we make ourselves."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spleenseg.volumes import nifti, nrrd
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
    _require_labels(labels, like)
    _write(labels.astype(np.uint8, copy=False), like, path, level=6)


def write_dicom_seg(
    labels: NDArray[np.integer | np.bool_], like: Volume, path: Path | str, names: Mapping[str, int], model: str = ""
) -> None:
    """Write a label map as a DICOM SEG object (BINARY) that refers to the images `like` was read from.

    Patient and study are those of the source, as the standard asks. Segments are numbered from 1 in the order
    of their values. UIDs and moments follow from source, labels and model: the same again gives the same bytes.
    Where slices were interpolated on reading, every source slice takes the labels of the nearest one.

    Args:
        labels: [z, y, x], whole numbers 0..255 or bool, of the shape of `like.array`.
        like: the scan, read from DICOM.
        path: the file to write.
        names: name -> value of every label; SNOMED codes follow from the names of common organs.
        model: hash of the model that made the labels, or what else identifies their maker.

    Raises:
        UserError: `like` was not read from DICOM or its headers lack what the standard asks for, or the file
            cannot be written.
        ValueError: another shape, values that uint8 cannot hold, or values without a name.
    """
    _require_labels(labels, like)
    _require_names(labels, names)
    from spleenseg.volumes.dicom.seg_writing import write

    write(labels.astype(np.uint8, copy=False), like, Path(path), names, model, version("spleenseg"))


def write_seg_nrrd(
    labels: NDArray[np.integer | np.bool_], like: Volume, path: Path | str, names: Mapping[str, int]
) -> None:
    """Write a label map as .seg.nrrd, the segmentation file of 3D Slicer, on the stored grid of `like`, atomically.

    Args:
        labels: [z, y, x], whole numbers 0..255 or bool, of the shape of `like.array`.
        like: the scan the labels belong to.
        path: the file to write, .seg.nrrd (or .nrrd).
        names: name -> value of every label.

    Raises:
        UserError: the file cannot be written, or its name ends otherwise.
        ValueError: another shape, values that uint8 cannot hold, or values without a name.
    """
    _require_labels(labels, like)
    _require_names(labels, names)
    stored = like.stored.axis_map.to_stored(labels.astype(np.uint8, copy=False))
    nrrd.write_segments(Path(path), stored.astype(np.uint8, copy=False), like.stored, names)


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


def _require_labels(labels: NDArray[np.integer | np.bool_], like: Volume) -> None:
    _require_shape(labels, like)
    if labels.dtype.kind not in "iub" or not _fit_uint8(labels):
        raise ValueError("labels are whole numbers 0..255")


def _require_names(labels: NDArray[np.integer | np.bool_], names: Mapping[str, int]) -> None:
    known = set(names.values())
    if len(known) != len(names) or not known <= set(range(1, 256)):
        raise ValueError("every name has a value of its own, 1..255")
    present = np.zeros(256, bool)
    present[labels.astype(np.uint8, copy=False)] = True
    nameless = set(np.flatnonzero(present).tolist()) - known - {0}
    if nameless:
        raise ValueError(f"labels {sorted(nameless)} have no name")


def _fit_uint8(labels: NDArray[np.integer | np.bool_]) -> bool:
    return not labels.size or bool(labels.min() >= 0 and labels.max() <= 255)


def _require_shape(array: NDArray[np.generic], like: Volume) -> None:
    if array.shape != like.array.shape:
        raise ValueError(f"shape {array.shape} does not lie on the grid {like.array.shape} of {like.case}")
