"""Prepared cases of a volume dataset: CT and labels as arrays on disk, read slice by slice through a memory map.

``DATASET/cases/{case}.npy`` is int16 HU [z, y, x] (x -> patient's left, y -> back, z -> up),
``DATASET/cases/{case}.json`` its geometry, ``DATASET/labels/{case}.npy`` uint8 labels on the same grid.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spleenseg.datasets.folders import SliceFile, slice_name
from spleenseg.datasets.manifest import Manifest, find_dataset
from spleenseg.datasets.split import SPLITS
from spleenseg.errors import UserError
from spleenseg.files import atomic, write_json

if TYPE_CHECKING:
    from spleenseg.volumes import Volume

SUFFIX = ".npy"


@dataclass(frozen=True)
class CasePaths:
    """The files of one prepared case."""

    hu: Path
    labels: Path
    geometry: Path

    @classmethod
    def of(cls, dataset: Path, case: str) -> CasePaths:
        """Return where the files of `case` lie in a volume dataset."""
        cases = dataset / "cases"
        return cls(cases / f"{case}{SUFFIX}", dataset / "labels" / f"{case}{SUFFIX}", cases / f"{case}.json")


def write_case(dataset: Path, volume: Volume, labels: NDArray[np.uint8], case: str) -> None:
    """Write a scan and its labels [z, y, x] into a volume dataset.

    Raises:
        UserError: the folder cannot be written to.
    """
    paths = CasePaths.of(dataset, case)
    _save(paths.hu, volume.array)
    _save(paths.labels, labels)
    write_json(paths.geometry, _geometry(volume, case))


def split_slices(folder: Path) -> tuple[Manifest, tuple[SliceFile, ...]] | None:
    """Return the slices of the split of a volume dataset that `folder` names.

    Args:
        folder: ``DATASET/train`` or, as in a dataset of pictures, ``DATASET/train/images``; such a folder
            need not exist, the manifest says which cases are in the split.

    Returns:
        The manifest and the slices, sorted by case and from the lowest up; None where `folder` belongs to no
        volume dataset.

    Raises:
        UserError: it names no split, or one without cases, or the manifest is damaged.
    """
    found = find_dataset(folder)
    if found is None or found[1].layout != "volumes":
        return None
    dataset, manifest = found
    split = _split_of(folder, dataset)
    cases = sorted(case for case, record in manifest.cases.items() if record.split == split)
    if not cases:
        raise UserError(f"the volume dataset {dataset} has no case in its split '{split}'")
    return manifest, tuple(file for case in cases for file in _slices(dataset, manifest, case))


def case_slices(dataset: Path, manifest: Manifest, case: str) -> tuple[SliceFile, ...]:
    """Return the slices of a case of a volume dataset, from the lowest up."""
    return tuple(_slices(dataset, manifest, case))


def is_prepared(file: SliceFile) -> bool:
    """Say whether a slice is part of a prepared case, not a picture of its own."""
    return file.image.suffix == SUFFIX


def read_hu(file: SliceFile) -> NDArray[np.int16]:
    """Return a slice of a prepared case, int16 HU [H, W].

    Raises:
        UserError: the file is missing, damaged, or no such array.
    """
    return _plane(file.image, file, np.int16)


def read_truth(file: SliceFile) -> NDArray[np.uint8]:
    """Return the labels of a slice of a prepared case, uint8 [H, W].

    Raises:
        UserError: as `read_hu`.
    """
    if file.mask is None:
        raise UserError(f"{file.image} has no labels")
    return _plane(file.mask, file, np.uint8)


def open_array(path: Path, kind: type[np.generic] | None = None) -> NDArray[Any]:
    """Map a prepared array [z, y, x] of type `kind` (None: any) into memory, read-only.

    Raises:
        UserError: the file is missing, damaged, or of another type or shape.
    """
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing; prepare the dataset again") from error
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path} is damaged or cut short; prepare the dataset again") from error
    if not isinstance(array, np.ndarray) or array.ndim != 3 or kind not in (None, array.dtype.type) or not array.size:
        raise UserError(f"{path} is no array of a prepared case; prepare the dataset again")
    return array


def _plane(path: Path, file: SliceFile, kind: type[np.generic]) -> NDArray[Any]:
    array = open_array(path, kind)
    if file.index is None or not 0 <= file.index < len(array):
        raise UserError(f"{path} has {len(array)} slices, not the one the manifest counts on; prepare it again")
    return np.asarray(array[file.index])


def _slices(dataset: Path, manifest: Manifest, case: str) -> Iterator[SliceFile]:
    paths, record = CasePaths.of(dataset, case), manifest.cases[case]
    for z in range(record.shape[0]):
        yield SliceFile(slice_name(case, z), paths.hu, paths.labels, case, record.patient, z)


def _split_of(folder: Path, dataset: Path) -> str:
    for place in (Path(folder).absolute(), Path(folder).resolve()):
        for root in (dataset, dataset.resolve()):
            parts = place.relative_to(root).parts if place.is_relative_to(root) else ()
            if parts and parts[0] in SPLITS:
                return parts[0]
    choices = " or ".join(str(dataset / split) for split in SPLITS)
    raise UserError(f"{folder} names no split of the volume dataset {dataset}; give {choices}")


def _save(path: Path, array: NDArray[Any]) -> None:
    with atomic(path) as temporary, temporary.open("wb") as file:
        np.save(file, np.ascontiguousarray(array), allow_pickle=False)


def _geometry(volume: Volume, case: str) -> dict[str, Any]:
    return {
        "case": case,
        "axes": "[z, y, x]; x -> patient's left, y -> posterior, z -> superior",
        "shape": list(volume.array.shape),
        "spacing": list(volume.spacing),
        "affine": volume.affine.tolist(),
        "stored_shape": list(volume.stored.shape),
        "stored_affine": volume.stored.affine.tolist(),
    }
