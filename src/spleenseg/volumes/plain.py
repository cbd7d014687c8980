"""Volumes and labels from NRRD and MetaImage: numbers to HU or labels as for NIfTI."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spleenseg.volumes import metaimage, nifti, nrrd
from spleenseg.volumes.blocks import Block
from spleenseg.volumes.grids import onto
from spleenseg.volumes.nifti import StoredImage
from spleenseg.volumes.options import ReadOptions
from spleenseg.volumes.volume import Volume

_READERS: dict[str, Callable[[Path, ReadOptions], Block]] = {
    **dict.fromkeys(nrrd.SUFFIXES, nrrd.read),
    **dict.fromkeys(metaimage.SUFFIXES, metaimage.read),
}


def accepts(path: Path) -> bool:
    """Say whether a path is a file of these kinds, by its name."""
    return means(path) and path.is_file()


def means(path: Path) -> bool:
    """Say whether a path, if it is no folder, has the name of a file of these kinds."""
    return path.suffix.lower() in _READERS and not path.is_dir()


def read(path: Path, options: ReadOptions) -> Volume:
    """Read a scan; the files say nothing of modality or patient.

    Raises:
        UserError: as the readers say, or values that are no int16 HU.
    """
    image = _image(path, options)
    values, affine = nifti.as_int16(image, path), image.affine
    return Volume.from_stored(
        values, affine, case=nrrd.stem(path), modality=options.modality, orientation=options.orientation
    )


def labels(path: Path, like: Volume) -> NDArray[np.uint8]:
    """Read labels onto the grid of `like`.

    Raises:
        UserError: as the readers say, values that are no labels, or another grid.
    """
    image = _image(path)
    return onto(nifti.as_labels(image, path), image.affine, like, path)


def _image(path: Path, options: ReadOptions = ReadOptions()) -> StoredImage:
    block = _READERS[path.suffix.lower()](path, options)
    return StoredImage.of(block.values, 1.0, 0.0, block.affine)
