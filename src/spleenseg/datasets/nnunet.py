"""nnU-Net's layout of raw data (version 2): ``Dataset009_Spleen/imagesTr/x_0000.nii.gz``, ``labelsTr/x.nii.gz``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spleenseg.datasets.description import DESCRIPTION, described_labels, inside, read_description
from spleenseg.datasets.source import Scan, Source, refuse_twins
from spleenseg.errors import UserError
from spleenseg.files import write_json

ENDING = ".nii.gz"
_CHANNEL = "_0000"
_NAME = re.compile(r"Dataset\d{3}_.+")


def is_nnunet(folder: Path) -> bool:
    """Say whether a folder's dataset.json is one of nnU-Net's."""
    path = folder / DESCRIPTION
    return path.is_file() and {"channel_names", "file_ending"} <= read_description(path).keys()


def read_nnunet(folder: Path) -> Source:
    """List a raw dataset of nnU-Net, by its dataset.json and the files of imagesTr and labelsTr.

    Raises:
        UserError: a damaged dataset.json, no CT, several channels, or an image or label map alone.
    """
    description = folder / DESCRIPTION
    data = read_description(description)
    ending = str(data["file_ending"])
    listed = data.get("dataset")
    scans = _given(folder, description, listed) if isinstance(listed, dict) else _found(folder, ending)
    if not scans:
        raise UserError(f"{folder} holds no labelled scan imagesTr/*{_CHANNEL}{ending}")
    refuse_twins(folder, scans)
    others = sorted(folder.glob(f"imagesTs/[!.]*{_CHANNEL}{ending}"))
    name = str(data.get("name", folder.resolve().name))
    return Source(folder, name, described_labels(data.get("labels"), description), scans, tuple(others))


def require_name(folder: Path) -> None:
    """Refuse a folder whose name nnU-Net would not find.

    Raises:
        UserError: it is not called DatasetXXX_Name.
    """
    name = folder.resolve().name
    if not _NAME.fullmatch(name):
        raise UserError(f"nnU-Net knows a dataset by a name such as Dataset009_Spleen, not {name}; name it so")


def paths_of(dataset: Path, case: str) -> tuple[Path, Path]:
    """Return where the image and the label map of a case lie."""
    return dataset / "imagesTr" / f"{case}{_CHANNEL}{ENDING}", dataset / "labelsTr" / f"{case}{ENDING}"


def consecutive(labels: Mapping[str, int]) -> dict[str, int]:
    """Return the labels numbered 1, 2, ... in the order of their values: nnU-Net takes no others."""
    ordered = sorted(labels, key=lambda name: labels[name])
    return {name: place for place, name in enumerate(ordered, start=1)}


def write_description(dataset: Path, labels: Mapping[str, int], cases: int) -> None:
    """Write the dataset.json of a raw dataset."""
    content = {
        "channel_names": {"0": "CT"},
        "labels": {"background": 0, **consecutive(labels)},
        "numTraining": cases,
        "file_ending": ENDING,
    }
    write_json(dataset / DESCRIPTION, content)


def _given(folder: Path, description: Path, listed: Mapping[str, Any]) -> tuple[Scan, ...]:
    """Read the entries of "dataset": case -> its images and its label map."""
    scans = []
    for case, entry in sorted(listed.items()):
        if not case or case.startswith(".") or set(case) & set("/\\:"):
            raise UserError(f'{description} calls a case "{case}": a name without folders is expected')
        images = entry.get("images") if isinstance(entry, dict) else None
        if not isinstance(images, list) or len(images) != 1 or "label" not in entry:
            raise UserError(f'{description}: "{case}" needs one image and a label')
        scans.append(Scan(case, *(inside(folder, description, name) for name in (images[0], entry["label"]))))
    return tuple(scans)


def _found(folder: Path, ending: str) -> tuple[Scan, ...]:
    images, labels = sorted(folder.glob(f"imagesTr/[!.]*{ending}")), sorted(folder.glob(f"labelsTr/[!.]*{ending}"))
    known = {path.name.removesuffix(ending): path for path in labels}
    scans = []
    for path in images:
        case = path.name.removesuffix(ending).removesuffix(_CHANNEL)
        if not path.name.endswith(_CHANNEL + ending):
            raise UserError(f"{path}: nnU-Net calls the CT of a case {case}{_CHANNEL}{ending}")
        if case not in known:
            raise UserError(f"{folder}: {case} is in imagesTr but not in labelsTr")
        scans.append(Scan(case, path, known.pop(case)))
    for case in known:
        raise UserError(f"{folder}: {case} is in labelsTr but not in imagesTr")
    return tuple(scans)
