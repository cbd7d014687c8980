"""Label maps in DICOM: SEG objects frame by frame, or a series of images whose numbers are labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spleenseg.errors import UserError
from spleenseg.volumes.dicom.headers import Header, guarded, quietly, read_header
from spleenseg.volumes.dicom.members import members
from spleenseg.volumes.dicom.scan import read as read_scan
from spleenseg.volumes.dicom.segments import read_segmentation
from spleenseg.volumes.dicom.series import is_segmentation
from spleenseg.volumes.grids import onto
from spleenseg.volumes.options import ReadOptions
from spleenseg.volumes.volume import Volume


def read(path: Path, like: Volume) -> NDArray[np.uint8]:
    """Read a DICOM SEG, or a series of label images, onto the grid of `like`.

    Returns:
        uint8 [z, y, x], of the shape of `like.array`; the value of a segment is its number.

    Raises:
        UserError: unreadable, several SEG objects, overlapping segments, or another grid.
    """
    with quietly():
        segmentations = [header for header in map(read_header, members(path)) if is_segmentation(header)]
        if segmentations:
            only = _only(segmentations, path)
            with guarded(only.member):
                return read_segmentation(only, like)
    return _label_images(path, like)


def _only(segmentations: list[Header], path: Path) -> Header:
    if len(segmentations) > 1:
        names = ", ".join(header.member.path.name for header in segmentations[:5])
        raise UserError(f"{path}: holds {len(segmentations)} DICOM SEG objects ({names}); give one of them")
    return segmentations[0]


def _label_images(path: Path, like: Volume) -> NDArray[np.uint8]:
    images = read_scan(path, ReadOptions(), path.name)
    low, high = int(images.array.min()), int(images.array.max())
    if low < 0 or high > 255:
        raise UserError(f"{path}: labels must lie in 0..255; found {low} to {high}")
    stored = images.stored.axis_map.to_stored(images.array)
    return onto(stored.astype(np.uint8), images.stored.affine, like, path)
