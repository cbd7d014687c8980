"""The audit of a dataset of pictures: slices and masks in folders, split or not, with a manifest or without."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spleenseg.audit.display import judge_display
from spleenseg.audit.findings import AxisVerdict, Finding
from spleenseg.audit.masks import check_mask, check_places
from spleenseg.datasets.decode import read_image, read_mask
from spleenseg.datasets.folders import SliceFile, assign_patients, attach_masks, list_images
from spleenseg.datasets.likeness import Print, look_alikes, print_of
from spleenseg.datasets.manifest import Manifest
from spleenseg.datasets.parallel import in_threads
from spleenseg.datasets.split import SPLITS
from spleenseg.errors import UserError
from spleenseg.progress import Reporter

_UNSPLIT = "all"
_THUMB = 96
_MOST_SLICES = 24  # of a case, for its print
_BLANK = 2.0  # deviation of grey below which a picture shows nothing

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Picture:
    """One slice of a dataset and the split it is in."""

    file: SliceFile
    split: str


@dataclass(frozen=True, eq=False)
class PictureFacts:
    """What was found in one slice.

    Attributes:
        picture: where it comes from.
        findings: of the slice itself.
        digest: of the pixels; None for a slice that shows nothing or cannot be read.
        thumb: uint8 [96, 96]; None where it cannot be read.
        organ: pixels of its mask that are organ.
    """

    picture: Picture
    findings: tuple[Finding, ...]
    digest: bytes | None = None
    thumb: Pixels | None = None
    organ: int = 0


def picture_folders(dataset: Path) -> dict[str, Path]:
    """Return the folders of a dataset that hold images: train, valid and test first; empty if there are none."""
    if (dataset / "images").is_dir():
        return {_UNSPLIT: dataset}
    found = {path.name: path for path in sorted(dataset.iterdir()) if (path / "images").is_dir()}
    return dict(sorted(found.items(), key=lambda item: (SPLITS.index(item[0]) if item[0] in SPLITS else 9, item[0])))


def audit_pictures(
    folders: Mapping[str, Path], manifest: Manifest | None, quick: bool, threads: int | None, reporter: Reporter
) -> tuple[int, list[Finding], tuple[AxisVerdict, ...]]:
    """Audit every slice, then compare them.

    Returns:
        How many slices there are, what was found, and how the slices are displayed.
    """
    pictures, findings = _list(folders, manifest)
    look = partial(_look, manifest=manifest)
    facts = in_threads(look, pictures, "checking slices", threads, reporter)
    findings += [finding for one in facts for finding in one.findings]
    findings += [*_empty_splits(facts), *_leaks(facts), *_copies(facts)]
    verdicts: tuple[AxisVerdict, ...] = ()
    if not quick:
        readable = [one for one in facts if one.thumb is not None]
        findings += _alike(readable)
        organs = [one.picture.file for one in readable if one.organ]
        findings += check_places(organs, manifest, threads, reporter)
        about_display, verdicts = judge_display([one.picture.file for one in readable], manifest)
        findings += about_display
    return len(pictures), findings, verdicts


def _list(folders: Mapping[str, Path], manifest: Manifest | None) -> tuple[list[Picture], list[Finding]]:
    known = manifest.patients if manifest else {}
    pictures, findings = [], []
    for split, folder in folders.items():
        try:
            files = list_images(folder / "images")
        except UserError as error:
            findings.append(Finding(split, "layout", "error", str(error)))
            continue
        masks = _mask_folder(folder)
        if masks is None:
            findings.append(Finding(split, "layout", "note", f"{folder.name} has no folder of masks"))
        else:
            files, problems = _pair(files, masks, split)
            findings += problems
        pictures += [Picture(file, split) for file in assign_patients(files, known)]
    return pictures, findings


def _mask_folder(folder: Path) -> Path | None:
    """Return `masks`, else the only other folder whose name ends so."""
    named = [path for path in sorted(folder.iterdir()) if path.is_dir() and path.name.lower().endswith("masks")]
    return next((path for path in named if path.name == "masks"), named[0] if len(named) == 1 else None)


def _pair(files: Sequence[SliceFile], masks: Path, split: str) -> tuple[tuple[SliceFile, ...], list[Finding]]:
    """Attach masks; where some are alone, say so once and pair the rest."""
    try:
        return attach_masks(files, masks), []
    except UserError as error:
        try:
            found = {file.image.stem: file.image for file in list_images(masks)}
        except UserError:
            found = {}
        paired = tuple(replace(file, mask=found.get(file.image.stem)) for file in files)
        return paired, [Finding(split, "layout", "error", str(error))]


def _look(picture: Picture, manifest: Manifest | None) -> PictureFacts:
    """Read a slice and its mask, and check both."""
    import cv2

    file = picture.file
    try:
        image = read_image(file.image)
        mask = read_mask(file.mask) if file.mask is not None else None
    except UserError as error:
        return PictureFacts(picture, (Finding(file.name, "unreadable", "error", str(error)),))
    grey = image.max(axis=2)
    findings: list[Finding] = []
    organ = 0
    if mask is not None and mask.shape != grey.shape:
        sizes = f"{mask.shape[1]}x{mask.shape[0]}, its image {grey.shape[1]}x{grey.shape[0]}"
        findings.append(Finding(file.name, "grid", "error", f"the mask is {sizes} pixels; they must be the same size"))
    elif mask is not None:
        findings, organ = check_mask(file, mask, manifest)
    blank = float(grey.std()) < _BLANK
    thumb = cv2.resize(grey, (_THUMB, _THUMB), interpolation=cv2.INTER_AREA)
    digest = None if blank else hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=12).digest()
    return PictureFacts(picture, tuple(findings), digest, thumb, organ)


def _empty_splits(facts: Sequence[PictureFacts]) -> list[Finding]:
    found = []
    for split in dict.fromkeys(one.picture.split for one in facts):
        theirs = [one for one in facts if one.picture.split == split]
        if all(one.picture.file.mask is not None for one in theirs) and not any(one.organ for one in theirs):
            found.append(Finding(split, "empty", "error", f"no mask of the {len(theirs)} slices shows any organ"))
    return found


def _leaks(facts: Sequence[PictureFacts]) -> list[Finding]:
    """Find patients, as the names or the manifest tell them, in several splits."""
    splits: dict[str, set[str]] = defaultdict(set)
    for one in facts:
        splits[one.picture.file.patient].add(one.picture.split)
    return [
        Finding(patient, "leak", "error", f"the patient {patient} is in {' and '.join(sorted(theirs))}")
        for patient, theirs in sorted(splits.items())
        if len(theirs) > 1
    ]


def _copies(facts: Sequence[PictureFacts]) -> list[Finding]:
    """Find identical images under different patients: once for each pair of cases."""
    first: dict[bytes, Picture] = {}
    pairs: dict[tuple[str, str], list[tuple[Picture, Picture]]] = defaultdict(list)
    for one in facts:
        if one.digest is None:
            continue
        earlier = first.setdefault(one.digest, one.picture)
        if earlier.file.patient != one.picture.file.patient:
            pairs[earlier.file.case, one.picture.file.case].append((earlier, one.picture))
    found = []
    for (case, other), same in sorted(pairs.items()):
        (a, b), count = same[0], len(same)
        text = f"{count} image{'s' if count > 1 else ''} of {other} {'are those' if count > 1 else 'is one'} of {case}"
        if a.split != b.split:
            found.append(Finding(other, "leak", "error", f"{text}: one patient in {a.split} and {b.split}"))
        else:
            found.append(Finding(other, "duplicate", "error", f"{text}: one patient under two names"))
    return found


def _alike(facts: Sequence[PictureFacts]) -> list[Finding]:
    """Find cases of different patients that show nearly the same images, though none is identical."""
    cases: dict[str, list[PictureFacts]] = defaultdict(list)
    for one in facts:
        if one.picture.file.index is not None:  # names that tell no case would make each slice one
            cases[one.picture.file.case].append(one)
    found = []
    for pair in look_alikes({case: _print(theirs) for case, theirs in cases.items()}):
        finding = _alike_finding(cases[pair.first], cases[pair.second], pair.correlation)
        found += [finding] if finding else []
    return found


def _alike_finding(one: Sequence[PictureFacts], other: Sequence[PictureFacts], correlation: float) -> Finding | None:
    """Word that two cases look alike; None where that is known from identical images, or of one patient."""
    here, there = one[0].picture, other[0].picture
    same = {fact.digest for fact in one} & {fact.digest for fact in other} - {None}
    if here.file.patient == there.file.patient or same:
        return None
    case = there.file.case
    text = f"{case} shows nearly the same images as {here.file.case} (correlation {correlation:.2f})"
    if here.split != there.split:
        return Finding(case, "leak", "error", f"{text}: one patient in {here.split} and {there.split}")
    return Finding(case, "duplicate", "error", f"{text}: one patient under two names")


def _print(theirs: Sequence[PictureFacts]) -> Print:
    """Return the print of a case from at most 24 of its slices, from one end to the other."""
    ordered = sorted(theirs, key=lambda one: (one.picture.file.index or 0, one.picture.file.name))
    chosen = np.linspace(0, len(ordered) - 1, min(_MOST_SLICES, len(ordered))).round().astype(int)
    thumbs = [ordered[place].thumb for place in chosen]
    return print_of(np.stack([thumb for thumb in thumbs if thumb is not None]))
