"""DICOM: series from folders, archives and multi-frame files; segmentations in and out."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from spleenseg.volumes.dicom.members import SUFFIX, holds_dicom, holds_suffix
from spleenseg.volumes.options import ReadOptions
from spleenseg.volumes.volume import Volume

if TYPE_CHECKING:
    from spleenseg.volumes.dicom.series import Series

_SUFFIXES = (SUFFIX, ".zip")


def accepts(path: Path) -> bool:
    """Say whether a path is DICOM: a file, a folder that directly holds some, or a zip archive of some."""
    return holds_dicom(path)


def means(path: Path) -> bool:
    """Say whether a path should be DICOM by names alone: .dcm, .zip, or a folder that directly holds .dcm files."""
    return holds_suffix(path) if path.is_dir() else path.suffix.lower() in _SUFFIXES


def case_name(path: Path) -> str:
    """Return the name of the folder, as it is called where it was found, or of the file without .dcm or .zip."""
    if path.is_dir():
        return Path(os.path.abspath(path)).name  # noqa: PTH100 - "." has a name, and a link keeps its own
    return path.stem if path.suffix.lower() in _SUFFIXES else path.name


def read(path: Path, options: ReadOptions) -> Volume:
    """Read a series as `scan.read` does; pydicom is loaded only now."""
    from spleenseg.volumes.dicom.scan import read as read_scan

    return read_scan(path, options, case_name(path))


def list_series(path: Path | str) -> tuple[Series, ...]:
    """List the image series of a file, a folder's own files, or a zip archive, by number.

    Raises:
        UserError: no DICOM image there, a damaged file, or an archive beyond the limits.
    """
    from spleenseg.volumes.dicom.series import list_series as listed

    return listed(path)


def read_labels(path: Path, like: Volume) -> NDArray[np.uint8]:
    """Read labels as `labels.read` does."""
    from spleenseg.volumes.dicom.labels import read as read_map

    return read_map(path, like)
