"""The one way in: which reader takes a path, and labels that lie on a scan's grid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spleenseg.errors import UserError
from spleenseg.volumes import dicom, nifti, nrrd, plain
from spleenseg.volumes.grids import onto
from spleenseg.volumes.options import ReadOptions
from spleenseg.volumes.volume import Volume


@dataclass(frozen=True)
class Format:
    """A kind of scan: what it is called, which paths are of it, and how scans and label maps are read.

    `means` says from names alone what should be of it; `labels` returns the map [z, y, x] on the voxels of the scan
    given.
    """

    name: str
    accepts: Callable[[Path], bool]
    means: Callable[[Path], bool]
    case: Callable[[Path], str]
    read: Callable[[Path, ReadOptions], Volume]
    labels: Callable[[Path, Volume], NDArray[np.uint8]]


def _nifti_labels(path: Path, like: Volume) -> NDArray[np.uint8]:
    image = nifti.read_stored(path)
    return onto(nifti.as_labels(image, path), image.affine, like, path)


FORMATS = (
    Format("NIfTI (.nii, .nii.gz)", nifti.accepts, nifti.means, nifti.stem, nifti.read, _nifti_labels),
    Format("NRRD or MetaImage (.nrrd, .mha)", plain.accepts, plain.means, nrrd.stem, plain.read, plain.labels),
    Format(
        "DICOM (a folder, .zip or .dcm)", dicom.accepts, dicom.means, dicom.case_name, dicom.read, dicom.read_labels
    ),
)


def is_scan(path: Path | str) -> bool:
    """Say, from its name and first bytes, whether a path is one scan (which may still prove unreadable)."""
    return _format_of(Path(path)) is not None


def means_scan(path: Path | str) -> bool:
    """Say, from names alone, whether a path should be a scan, and is broken where `is_scan` says no.

    That is a file with the ending of one, also a link that leads nowhere, or a folder that directly holds .dcm files.
    """
    return any(form.means(Path(path)) for form in FORMATS)


def case_name(path: Path | str) -> str:
    """Return the name of the case a scan is: the stem of its file or folder."""
    path = Path(path)
    form = _format_meant(path)
    return form.case(path) if form is not None else nifti.stem(path)


def read_volume(
    path: Path | str,
    modality: str | None = None,
    *,
    series: str | None = None,
    allow_gaps: bool = False,
    orientation: str | None = None,
    key: bytes | None = None,
    admit: Callable[[tuple[int, int, int]], object] | None = None,
) -> Volume:
    """Read a scan into the one orientation: [z, y, x] int16 HU, x -> Left, y -> Posterior, z -> Superior.

    Args:
        path: a NIfTI, NRRD or MetaImage file, or a DICOM series: a folder's own files, a zip archive, or a single file.
        modality: what the caller knows the scan to be ("CT"); taken over where the file does not say.
        series: which DICOM series of several: its UID, or its number.
        allow_gaps: resample a DICOM series with missing or uneven slices onto even positions; `notes` says so.
        orientation: where the stored axes run to, such as "LAS", against what the file says; `notes` says so.
        key: key of the pseudonym `patient`; without it `patient` is the case.
        admit: is told the shape (z, y, x) before voxels are decoded; what it raises ends the reading.

    Raises:
        UserError: the path is missing, of no known kind, damaged, or no volume of int16 HU with a geometry.
    """
    path = Path(path)
    return _require_format(path).read(path, ReadOptions(modality, series, allow_gaps, orientation, key, admit))


def read_labels(path: Path | str, like: Volume) -> NDArray[np.uint8]:
    """Read a label map that lies on the grid of `like`, whatever the axis order it is stored in.

    Args:
        path: a NIfTI, NRRD or MetaImage file of whole numbers 0..255, a DICOM SEG object, or a series of DICOM
            label images.
        like: the scan the labels belong to.

    Returns:
        uint8 [z, y, x], voxel for voxel on `like.array`.

    Raises:
        UserError: unreadable, not whole numbers, segments that overlap, or another grid: other lengths, or a
            corner voxel further than `grids.GRID_TOLERANCE` of the smallest spacing from its place.
    """
    path = Path(path)
    return _require_format(path).labels(path, like)


def _format_of(path: Path) -> Format | None:
    return next((form for form in FORMATS if form.accepts(path)), None)


def _format_meant(path: Path) -> Format | None:
    """Return the format of a path; where its content is of none, that of its name."""
    return _format_of(path) or next((form for form in FORMATS if form.means(path)), None)


def _require_format(path: Path) -> Format:
    if not path.exists():
        raise UserError(f"{path}: no such file")
    form = _format_meant(path)
    if form is None:
        known = ", ".join(form.name for form in FORMATS)
        raise UserError(f"{path}: not a scan of a kind that can be read; give {known}")
    return form
