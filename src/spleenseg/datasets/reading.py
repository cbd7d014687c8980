"""One labelled scan, read and checked, with what the manifest says of it."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spleenseg.datasets.manifest import CaseRecord, Request
from spleenseg.datasets.source import Scan, Source, content_sha256
from spleenseg.errors import UserError
from spleenseg.volumes import Volume, read_labels, read_volume
from spleenseg.volumes.nifti import SUFFIXES
from spleenseg.volumes.orientation import AxisMap

KEY_NAME = ".patient-key"
"""File in a dataset folder with the key of its patients' pseudonyms; keep it private."""

_LETTERS = ("LR", "PA", "SI")  # where an axis leads that runs with x, y, z, and one that runs against it


@dataclass(frozen=True, eq=False)
class LabelledScan:
    """A scan and its truth.

    Attributes:
        volume: the CT.
        labels: uint8 [z, y, x] on its grid; only values that were asked for, and 0.
        voxels: label name -> how many.
        patient: pseudonym, or the case where nothing is known.
    """

    volume: Volume
    labels: NDArray[np.uint8]
    voxels: dict[str, int]
    patient: str


def read_scan(
    scan: Scan,
    labels: Mapping[str, int],
    *,
    strict: bool,
    key: bytes | None = None,
    allow_gaps: bool = False,
    orientation: str | None = None,
) -> LabelledScan:
    """Read a CT and its labels.

    Args:
        scan: where they lie.
        labels: name -> value of the labels to keep.
        strict: refuse values that `labels` does not name; else they count as background.
        key: of the patients' pseudonyms.
        allow_gaps, orientation: see `volumes.read_volume`.

    Raises:
        UserError: unreadable, not CT, labels on another grid, or a label value nobody named.
    """
    volume = read_volume(scan.image, modality="CT", key=key, allow_gaps=allow_gaps, orientation=orientation)
    if volume.modality != "CT":
        raise UserError(f"{scan.image} is {volume.modality}, not CT")
    found = read_labels(scan.labels, like=volume)
    voxels = np.sum([np.bincount(plane.ravel(), minlength=256) for plane in found], axis=0)
    if strict:
        _refuse_unnamed(scan, np.flatnonzero(voxels), labels)
    kept = np.zeros(256, np.uint8)
    for value in labels.values():
        kept[value] = value
    counts = {name: int(voxels[value]) for name, value in labels.items()}
    patient = scan.case if volume.patient == volume.case else volume.patient
    return LabelledScan(volume, kept[found], counts, patient)


def record_of(scan: Scan, read: LabelledScan, source: Source, request: Request) -> CaseRecord:
    """Return what the manifest says of a case; it is in no split yet."""
    volume = read.volume
    z, y, x = volume.array.shape
    return CaseRecord(
        patient=read.patient,
        split=request.into or "",
        spacing=volume.spacing,
        voxel_ml=volume.voxel_ml,
        shape=(z, y, x),
        slices=z,
        organ_voxels=read.voxels,
        source=_shown(scan.image, source.folder),
        source_sha256=content_sha256(scan.image),
        labels_source=_shown(scan.labels, source.folder),
        labels_sha256=content_sha256(scan.labels),
        orientation=stored_orientation(volume.stored.axis_map),
        notes=tuple(volume.notes),
    )


def pseudonym_key(source: Source, dataset: Path) -> bytes | None:
    """Return the key of the patients' pseudonyms, made once and kept in the dataset folder, readable by its owner.

    Returns:
        None where no scan can name a patient (NIfTI).

    Raises:
        UserError: the key cannot be written or read.
    """
    if all(scan.image.name.lower().endswith(SUFFIXES) for scan in source.scans):
        return None
    path = dataset / KEY_NAME
    try:
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return bytes.fromhex(path.read_text(encoding="ascii"))
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(32))
        return bytes.fromhex(path.read_text(encoding="ascii"))
    except (OSError, ValueError) as error:
        raise UserError(f"cannot keep the key of the pseudonyms in {path}: {error}") from error


def stored_orientation(axis_map: AxisMap) -> str:
    """Return where the stored axes i, j, k lead, such as "RAS" (right, anterior, superior)."""
    letters = [""] * 3
    for world, (axis, flipped) in enumerate(zip(axis_map.axes, axis_map.flips, strict=True)):
        letters[axis] = _LETTERS[world][flipped]
    return "".join(letters)


def _refuse_unnamed(scan: Scan, found: NDArray[Any], labels: Mapping[str, int]) -> None:
    unnamed = sorted(set(found.tolist()) - {0, *labels.values()})
    if unnamed:
        known = ", ".join(f"{name}={value}" for name, value in labels.items())
        raise UserError(
            f"{scan.labels} holds the label value {unnamed[0]}, known are {known}; "
            "name the labels you want with --label NAME=VALUE, others then become background"
        )


def _shown(path: Path, folder: Path) -> str:
    """Return a path relative to the source; what lies elsewhere by its folder and name only."""
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else "/".join(path.parts[-2:])
