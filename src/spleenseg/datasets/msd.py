"""The folder layout of the Medical Segmentation Decathlon: dataset.json, imagesTr, labelsTr, imagesTs."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spleenseg.errors import UserError
from spleenseg.volumes.nifti import SUFFIXES, stem

DESCRIPTION = "dataset.json"


@dataclass(frozen=True)
class Scan:
    """A labelled scan: its case (the file stem), the CT and the label map."""

    case: str
    image: Path
    labels: Path


@dataclass(frozen=True)
class MsdSource:
    """An MSD folder.

    Attributes:
        folder: where it lies.
        name: what dataset.json calls it, else the folder's name.
        labels: name -> value of every label but the background; None where no dataset.json says so.
        scans: labelled scans, sorted by case.
        unlabelled: scans without truth (imagesTs), sorted.
    """

    folder: Path
    name: str
    labels: dict[str, int] | None
    scans: tuple[Scan, ...]
    unlabelled: tuple[Path, ...]


def read_msd(folder: Path) -> MsdSource:
    """List an MSD folder, by its dataset.json or, without one, by the files of imagesTr and labelsTr.

    Raises:
        UserError: no such folder or layout, a damaged dataset.json, a listed file that is missing or lies
            outside, an image without labels or labels without image, two scans of one name, or no CT.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"source folder {folder} does not exist")
    description = folder / DESCRIPTION
    source = _described(folder, description) if description.is_file() else _listed(folder)
    if not source.scans:
        raise UserError(f"{folder} holds no labelled scan")
    _refuse_twins(source)
    return source


def _described(folder: Path, description: Path) -> MsdSource:
    data = _json_object(description)
    _require_ct(data, description)
    training = data.get("training")
    if not isinstance(training, list):
        raise UserError(f'{description} has no list "training" of image and label files')
    scans = [_scan(folder, description, entry) for entry in training]
    test = data.get("test", [])
    unlabelled = [_inside(folder, description, entry) for entry in test] if isinstance(test, list) else []
    return MsdSource(
        folder=folder,
        name=str(data.get("name", folder.resolve().name)),
        labels=_labels(data.get("labels"), description),
        scans=tuple(sorted(scans, key=lambda scan: scan.case)),
        unlabelled=tuple(sorted(unlabelled)),
    )


def _json_object(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_bytes())
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"{path} is damaged: no JSON ({error})") from error
    if not isinstance(data, dict):
        raise UserError(f"{path} does not describe a dataset")
    return data


def _require_ct(data: dict[str, Any], path: Path) -> None:
    channels = data.get("modality", data.get("channel_names"))
    if isinstance(channels, dict) and [str(name).upper() for name in channels.values()] != ["CT"]:
        raise UserError(f"{path} describes {', '.join(map(str, channels.values()))}, not one channel of CT")


def _scan(folder: Path, description: Path, entry: Any) -> Scan:
    if not isinstance(entry, dict) or not {"image", "label"} <= entry.keys():
        raise UserError(f'{description}: every entry of "training" needs an "image" and a "label"')
    image, labels = (_inside(folder, description, entry[key]) for key in ("image", "label"))
    return Scan(stem(image), image, labels)


def _inside(folder: Path, description: Path, entry: Any) -> Path:
    """Resolve a file named in dataset.json; names that lead out of the folder are refused."""
    if not isinstance(entry, str):
        raise UserError(f"{description} lists {entry!r}, which is no file name")
    written = Path(os.path.normpath(entry))  # links to another disk are the user's own and followed
    if written.is_absolute() or ".." in written.parts:
        raise UserError(f"{description} lists {entry}, which lies outside {folder}")
    if not (folder / written).is_file():
        raise UserError(f"{description} lists {entry}, which is missing")
    return folder / written


def _labels(data: Any, path: Path) -> dict[str, int]:
    """Return name -> value from ``{"1": "spleen"}`` (MSD) or ``{"spleen": 1}`` (nnU-Net)."""
    if not isinstance(data, dict) or not data:
        raise UserError(f'{path} has no "labels", such as {{"0": "background", "1": "spleen"}}')
    try:
        pairs = [(str(b), int(a)) if str(a).isdigit() else (str(a), int(b)) for a, b in data.items()]
    except (TypeError, ValueError):
        raise UserError(f'{path}: "labels" must give each name one whole number') from None
    labels = {name: value for name, value in pairs if value != 0}
    if not labels or not all(0 < value < 256 for value in labels.values()):
        raise UserError(f'{path}: "labels" must name a label other than the background, with values up to 255')
    return labels


def _listed(folder: Path) -> MsdSource:
    images, labels = _scans_in(folder / "imagesTr"), _scans_in(folder / "labelsTr")
    if not images and not labels:
        raise UserError(f"{folder} has no {DESCRIPTION} and no scans (.nii, .nii.gz) in imagesTr and labelsTr")
    for case in sorted(images.keys() ^ labels.keys()):
        there, missing = ("imagesTr", "labelsTr") if case in images else ("labelsTr", "imagesTr")
        raise UserError(f"{folder}: {case} is in {there} but not in {missing}")
    scans = tuple(Scan(case, images[case], labels[case]) for case in sorted(images))
    unlabelled = tuple(path for _, path in sorted(_scans_in(folder / "imagesTs").items()))
    return MsdSource(folder, folder.resolve().name, None, scans, unlabelled)


def _scans_in(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        return {}
    files = [path for path in folder.iterdir() if path.name.lower().endswith(SUFFIXES)]
    visible = [path for path in files if not path.name.startswith(".") and path.is_file()]
    stems = {stem(path): path for path in visible}
    if len(stems) < len(visible):
        raise UserError(f"{folder} holds a scan twice, as .nii and as .nii.gz; keep one of each")
    return stems


def _refuse_twins(source: MsdSource) -> None:
    seen: set[str] = set()
    for scan in source.scans:
        name = scan.case.lower()  # names that differ only in case are one file on some systems
        if name in seen:
            raise UserError(f"{source.folder}: two scans are called {scan.case}; names must differ")
        seen.add(name)
