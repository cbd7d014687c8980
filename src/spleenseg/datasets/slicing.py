"""One scan into pictures: windowed slices and their masks, lossless, in the display that was asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from spleenseg.datasets.folders import slice_name
from spleenseg.datasets.manifest import CaseRecord, Display, Request
from spleenseg.datasets.msd import Scan
from spleenseg.errors import UserError
from spleenseg.files import atomic, sha256
from spleenseg.volumes import Volume, apply_window, read_labels, read_volume
from spleenseg.volumes.orientation import AxisMap

_PNG = (cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE)
_LETTERS = ("LR", "PA", "SI")  # where an axis leads that runs with x, y, z, and one that runs against it


def slice_scan(scan: Scan, source: Path, split: str, dataset: Path, request: Request, strict: bool) -> CaseRecord:
    """Write every slice of a scan, those without organ too, as image and mask into its split.

    Args:
        scan: the CT and its labels.
        source: the folder they lie in, for the record.
        split: "train", "valid" or "test".
        dataset: the folder that holds the splits.
        request: window, display and labels.
        strict: refuse label values that `request` does not name; else they count as background.

    Returns:
        What manifest.json says of the case.

    Raises:
        UserError: unreadable, not CT, labels on another grid, or a label value nobody named.
    """
    volume = read_volume(scan.image, modality="CT")
    if volume.modality != "CT":
        raise UserError(f"{scan.image} is {volume.modality}, not CT")
    labels = read_labels(scan.labels, like=volume)
    voxels = np.sum([np.bincount(plane.ravel(), minlength=256) for plane in labels], axis=0)
    if strict:
        _refuse_unnamed(scan, np.flatnonzero(voxels), request)
    grey_of_label = _mask_values(request)
    shown = apply_window(volume.array, request.window_hu)
    for z, (grey, truth) in enumerate(zip(shown, labels, strict=True)):
        name = slice_name(scan.case, z)
        _write_png(dataset / split / "images" / name, grey, request.display)
        _write_png(dataset / split / "masks" / name, grey_of_label[truth], request.display)
    counts = {name: int(voxels[value]) for name, value in request.labels.items()}
    return _record(scan, volume, source, split, counts)


def _refuse_unnamed(scan: Scan, found: NDArray[Any], request: Request) -> None:
    unnamed = sorted(set(found.tolist()) - {0, *request.labels.values()})
    if unnamed:
        known = ", ".join(f"{name}={value}" for name, value in request.labels.items())
        raise UserError(
            f"{scan.labels} holds the label value {unnamed[0]}, known are {known}; "
            "name the labels you want with --label NAME=VALUE, others then become background"
        )


def _mask_values(request: Request) -> NDArray[np.uint8]:
    """Return what each label value becomes in the mask: 255 for a single label, itself for one of several."""
    values = np.zeros(256, np.uint8)
    for value in request.labels.values():
        values[value] = value if len(request.labels) > 1 else 255
    return values


def _write_png(path: Path, radiological: NDArray[np.uint8], display: Display) -> None:
    shown = radiological[:, ::-1] if display == "reference" else radiological
    _, data = cv2.imencode(".png", np.ascontiguousarray(shown), _PNG)
    with atomic(path) as temporary:
        temporary.write_bytes(data.tobytes())


def _record(scan: Scan, volume: Volume, source: Path, split: str, organ_voxels: dict[str, int]) -> CaseRecord:
    z, y, x = volume.array.shape
    return CaseRecord(
        patient=volume.patient,
        split=split,
        spacing=volume.spacing,
        voxel_ml=volume.voxel_ml,
        shape=(z, y, x),
        slices=z,
        organ_voxels=organ_voxels,
        source=scan.image.relative_to(source).as_posix(),
        source_sha256=sha256(scan.image),
        labels_source=scan.labels.relative_to(source).as_posix(),
        labels_sha256=sha256(scan.labels),
        orientation=stored_orientation(volume.stored.axis_map),
    )


def stored_orientation(axis_map: AxisMap) -> str:
    """Return where the stored axes i, j, k lead, such as "RAS" (right, anterior, superior)."""
    letters = [""] * 3
    for world, (axis, flipped) in enumerate(zip(axis_map.axes, axis_map.flips, strict=True)):
        letters[axis] = _LETTERS[world][flipped]
    return "".join(letters)
