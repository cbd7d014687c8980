"""The folder layout of the Medical Segmentation Decathlon: dataset.json, imagesTr, labelsTr, imagesTs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from spleenseg.datasets.description import DESCRIPTION, described_labels, inside, read_description
from spleenseg.datasets.source import KINDS, Scan, Source, paired, refuse_twins, scans_in
from spleenseg.errors import UserError
from spleenseg.volumes import case_name


def read_msd(folder: Path) -> Source:
    """List an MSD folder, by its dataset.json or, without one, by what lies in imagesTr and labelsTr.

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
    refuse_twins(folder, source.scans)
    return source


def _described(folder: Path, description: Path) -> Source:
    data = read_description(description)
    training = data.get("training")
    if not isinstance(training, list):
        raise UserError(f'{description} has no list "training" of image and label files')
    scans = [_scan(folder, description, entry) for entry in training]
    test = data.get("test", [])
    unlabelled = [inside(folder, description, entry) for entry in test] if isinstance(test, list) else []
    return Source(
        folder=folder,
        name=str(data.get("name", folder.resolve().name)),
        labels=described_labels(data.get("labels"), description),
        scans=tuple(sorted(scans, key=lambda scan: scan.case)),
        unlabelled=tuple(sorted(unlabelled)),
    )


def _scan(folder: Path, description: Path, entry: Any) -> Scan:
    if not isinstance(entry, dict) or not {"image", "label"} <= entry.keys():
        raise UserError(f'{description}: every entry of "training" needs an "image" and a "label"')
    image, labels = (inside(folder, description, entry[key]) for key in ("image", "label"))
    return Scan(case_name(image), image, labels)


def _listed(folder: Path) -> Source:
    images, labels = scans_in(folder / "imagesTr"), scans_in(folder / "labelsTr")
    if not images and not labels:
        raise UserError(f"{folder} has no {DESCRIPTION} and no scans ({KINDS}) in imagesTr and labelsTr")
    scans = paired(folder, images, labels, ("imagesTr", "labelsTr"))
    unlabelled = tuple(path for _, path in sorted(scans_in(folder / "imagesTs").items()))
    return Source(folder, folder.resolve().name, None, scans, unlabelled)
