"""The scans of a dataset that is to be audited, in whatever layout; what is missing becomes a finding, not an error."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spleenseg.audit.findings import Finding
from spleenseg.datasets.cases import CasePaths, open_array
from spleenseg.datasets.description import DESCRIPTION
from spleenseg.datasets.manifest import Manifest
from spleenseg.datasets.source import Source, scans_in
from spleenseg.datasets.sources import read_source
from spleenseg.errors import UserError
from spleenseg.volumes import Volume, read_labels, read_volume

_LABEL_WORDS = frozenset(("label", "labels", "seg", "segmentation", "mask", "masks", "truth", "gt"))
_IMAGE_WORDS = frozenset(("ct", "image", "images", "img", "scan", "volume"))

Labels = NDArray[np.uint8]


@dataclass(frozen=True)
class Case:
    """One scan of a dataset.

    Attributes:
        name: what it is called.
        image: a file or folder, or the array of a prepared case.
        labels: its label map; None where there is none.
        split: where the dataset puts it, or None.
        patient: whose scan, if the dataset says so.
        prepared: whether image and labels are arrays that `prepare` wrote.
    """

    name: str
    image: Path
    labels: Path | None
    split: str | None = None
    patient: str | None = None
    prepared: bool = False

    def read(self, orientation: str | None, key: bytes) -> Volume:
        """Read the scan.

        Raises:
            UserError: it cannot be read.
        """
        if not self.prepared:
            return read_volume(self.image, modality="CT", orientation=orientation, key=key)
        affine = _prepared_affine(self.image.with_suffix(".json"))
        array = np.asarray(open_array(self.image, np.int16))
        return Volume.from_stored(array.transpose(2, 1, 0), affine, case=self.name, modality="CT")

    def read_labels(self, volume: Volume) -> Labels:
        """Read the label map onto the grid of the scan.

        Raises:
            UserError: it cannot be read, or lies on another grid.
        """
        assert self.labels is not None
        if not self.prepared:
            return read_labels(self.labels, like=volume)
        labels = np.asarray(open_array(self.labels, np.uint8))
        if labels.shape != volume.array.shape:
            raise UserError(f"{self.labels}: lies on another grid than {self.name}")
        return labels


@dataclass(frozen=True)
class CaseList:
    """The scans of a dataset, what its labels are called (None: nobody says), and what is wrong with the list."""

    cases: tuple[Case, ...]
    labels: dict[str, int] | None
    findings: tuple[Finding, ...] = ()


def list_prepared(dataset: Path, manifest: Manifest) -> CaseList:
    """List the cases of a volume dataset that `prepare` wrote."""
    cases = []
    for name, record in sorted(manifest.cases.items()):
        paths = CasePaths.of(dataset, name)
        cases.append(Case(name, paths.hu, paths.labels, record.split, record.patient, prepared=True))
    return CaseList(tuple(cases), dict(manifest.labels))


def list_cases(folder: Path, labels_from: Path | None = None) -> CaseList:
    """List the scans of a source folder: MSD or nnU-Net layout, scans with a folder of labels, or scans alone.

    Raises:
        UserError: there is no scan at all.
    """
    has_layout = (folder / DESCRIPTION).is_file() or (folder / "imagesTr").is_dir()
    if labels_from is None and not has_layout:
        return _plain(folder)
    try:
        return CaseList(*_of_source(read_source(folder, labels_from)))
    except UserError as error:
        found = _what_there_is(folder, labels_from)
        if not found.cases:
            raise
        problem = Finding(folder.resolve().name, "layout", "error", str(error))
        return CaseList(found.cases, found.labels, (problem, *found.findings))


def _of_source(source: Source) -> tuple[tuple[Case, ...], dict[str, int] | None]:
    cases = [Case(scan.case, scan.image, scan.labels) for scan in source.scans]
    return tuple(cases), source.labels


def _what_there_is(folder: Path, labels_from: Path | None) -> CaseList:
    """Pair what can be paired in a folder whose layout is damaged."""
    images = scans_in(folder if labels_from else folder / "imagesTr")
    labels = scans_in(labels_from or folder / "labelsTr")
    return CaseList(tuple(Case(name, path, labels.get(name)) for name, path in images.items()), None)


def _plain(folder: Path) -> CaseList:
    """List the scans directly in a folder; label maps are paired by name: `a_ct` with `a_seg`, `ct` with `labels`."""
    scans = scans_in(folder)
    maps = {name: path for name, path in scans.items() if _words(name) & _LABEL_WORDS}
    images = {name: path for name, path in scans.items() if name not in maps}
    if not images:
        raise UserError(f"{folder} holds no CT, no imagesTr, and no images of slices; give the folder of a dataset")
    owners = {_key(name, _IMAGE_WORDS): name for name in sorted(images, reverse=True)}
    keys = {name: _key(name, _LABEL_WORDS) for name in maps}
    pairs = {owners[key]: maps[name] for name, key in keys.items() if key in owners}
    lone = [
        Finding(name, "layout", "note", f"label map {path.name} belongs to no scan of this folder by its name")
        for name, path in maps.items()
        if path not in pairs.values()
    ]
    return CaseList(tuple(Case(name, path, pairs.get(name)) for name, path in images.items()), None, tuple(lone))


def _words(name: str) -> set[str]:
    return set(re.split(r"[^a-z0-9]+", name.lower()))


def _key(name: str, without: frozenset[str]) -> str:
    return "_".join(word for word in re.split(r"[^a-z0-9]+", name.lower()) if word and word not in without)


def _prepared_affine(geometry: Path) -> NDArray[np.float64]:
    try:
        data: Mapping[str, object] = json.loads(geometry.read_bytes())
        affine = np.array(data["affine"], dtype=np.float64)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{geometry} is missing or damaged; prepare the dataset again") from error
    if affine.shape != (4, 4):
        raise UserError(f"{geometry} holds no 4x4 affine; prepare the dataset again")
    return affine
