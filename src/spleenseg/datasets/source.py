"""Labelled scans somewhere on disk: what every source layout is read into."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from spleenseg.errors import UserError
from spleenseg.files import sha256
from spleenseg.volumes import case_name, is_scan

KINDS = ".nii, .nii.gz, DICOM folders or zips, .nrrd"


@dataclass(frozen=True)
class Scan:
    """A labelled scan: its case, the CT and the label map, each a file or a DICOM folder."""

    case: str
    image: Path
    labels: Path


@dataclass(frozen=True)
class Source:
    """The labelled scans of a folder, whatever its layout.

    Attributes:
        folder: where they lie.
        name: what dataset.json calls it, else the folder's name.
        labels: name -> value of every label but the background; None where no dataset.json says so.
        scans: labelled scans, sorted by case.
        unlabelled: scans without truth (imagesTs), sorted.
    """

    folder: Path
    name: str
    labels: dict[str, int] | None
    scans: tuple[Scan, ...]
    unlabelled: tuple[Path, ...] = ()


def scans_in(folder: Path) -> dict[str, Path]:
    """Return case -> path of every scan that lies directly in `folder`; hidden entries are passed over.

    Raises:
        UserError: two of one name, or the folder cannot be read.
    """
    if not folder.is_dir():
        return {}
    try:
        found = sorted(path for path in folder.iterdir() if not path.name.startswith(".") and is_scan(path))
    except OSError as error:
        raise UserError(f"cannot read folder {folder}: {error.strerror}") from error
    scans: dict[str, Path] = {}
    for path in found:
        case = path.name if path.is_dir() else case_name(path)  # a link to a folder is named by the link
        if not case.isprintable():
            raise UserError(f"{folder} holds a file whose name is no text: {path.name!a}; rename it")
        if case in scans:
            both = f"{scans[case].name} and {path.name}"
            raise UserError(f"{folder} holds a scan twice, as {both}; keep one of each")
        scans[case] = path
    return scans


def paired(folder: Path, images: dict[str, Path], labels: dict[str, Path], names: tuple[str, str]) -> tuple[Scan, ...]:
    """Return each scan with the label map of its name.

    Raises:
        UserError: one is alone; `names` tell the folders of images and of labels.
    """
    for case in sorted(images.keys() ^ labels.keys()):
        there, missing = names if case in images else names[::-1]
        raise UserError(f"{folder}: {case} is in {there} but not in {missing}")
    return tuple(Scan(case, images[case], labels[case]) for case in sorted(images))


def refuse_twins(folder: Path, scans: Iterable[Scan]) -> None:
    """Refuse names that differ only in upper and lower case: they are one file on some systems.

    Raises:
        UserError: two scans share a name.
    """
    seen: set[str] = set()
    for scan in scans:
        name = scan.case.lower()
        if name in seen:
            raise UserError(f"{folder}: two scans are called {scan.case}; names must differ")
        seen.add(name)


def content_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, or of a folder: of the names and contents of all its files.

    Raises:
        UserError: it cannot be read.
    """
    try:
        if not path.is_dir():
            return sha256(path)
        files = sorted(file for file in path.rglob("*") if file.is_file())
        lines = (f"{sha256(file)} {file.relative_to(path).as_posix()}" for file in files)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
