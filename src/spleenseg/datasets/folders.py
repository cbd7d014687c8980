"""Image and mask folders: which picture belongs to which mask, case and patient."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from spleenseg.errors import UserError

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff")
FIRST_SLICE = 10000
"""The number in the file name of slice 0: names then sort by slice."""

UNSPLIT = "all"
"""What stands for the split of a dataset that is not split."""

_SLICE_NAME = re.compile(r"([1-9]\d{4,})_(.+)")
_AUGMENTED_NAME = re.compile(
    r"(?:h|v|hv)?(?:flip{1,2}ed|rotated|shrinked|sheared|deformed|distorted|barrdistorted|pincdistorted"
    r"|sharpened|brightened|composed|strong)_(?:alpha_[\d.]+_sigmoid_[\d.]+_)?(?:.*?_)??[1-9]\d{4,}_(.+)"
)


@dataclass(frozen=True)
class SliceFile:
    """One picture on disk, its mask, and what its name tells.

    Attributes:
        name: file name of the image.
        image: the image file.
        mask: the mask file, or None where there is no truth (inference).
        case: the scan it was cut from.
        patient: whose scan; several cases may share a patient (then a manifest says so).
        index: slice number z, or None when the name does not tell.
    """

    name: str
    image: Path
    mask: Path | None
    case: str
    patient: str
    index: int | None

    @property
    def is_original(self) -> bool:
        """Whether this is a slice itself, not an augmented copy of one: such a copy is named after its slice."""
        return self.index is not None or not self.names_case

    @property
    def names_case(self) -> bool:
        """Whether the name tells which scan the picture is of; else it counts as one of its own."""
        return self.case != self.image.stem


def slice_name(case: str, index: int, suffix: str = ".png") -> str:
    """Return the file name ``{10000+z}_{case}`` of slice `index`."""
    return f"{FIRST_SLICE + index}_{case}{suffix}"


def parse_name(stem: str) -> tuple[str, int | None]:
    """Return (case, slice number) of a file stem; a stem of another form is its own case, without number.

    An augmented slice (``rotated_5_10030_spleen_2``) belongs to the case it was made from, but is none of its
    slices: it has no number.
    """
    match = _SLICE_NAME.fullmatch(stem)
    if match:
        return match[2], int(match[1]) - FIRST_SLICE
    augmented = _AUGMENTED_NAME.fullmatch(stem)
    return (augmented[1] if augmented else stem), None


def list_images(folder: Path) -> tuple[SliceFile, ...]:
    """List the pictures of a folder (not of its subfolders), sorted by name, without masks.

    Raises:
        UserError: the folder does not exist, is a file, cannot be read, or holds no picture.
    """
    return tuple(_slice_file(path) for path in _pictures(folder))


def list_pairs(images: Path, masks: Path) -> tuple[SliceFile, ...]:
    """List the pictures of `images` with the masks of the same name in `masks`, sorted by name.

    Raises:
        UserError: a folder is missing or empty, or an image or a mask is alone.
    """
    return attach_masks(list_images(images), masks)


def attach_masks(files: Sequence[SliceFile], masks: Path) -> tuple[SliceFile, ...]:
    """Give every picture its mask: the file of the same name, else the only one with the same stem.

    Raises:
        UserError: the folder is missing, empty or that of the images, or an image or a mask is alone.
    """
    if any(file.image.parent.resolve() == Path(masks).resolve() for file in files):
        raise UserError(f"images and masks are the same folder {masks}; each needs its own")
    available = _pictures(masks)
    by_name = {path.name: path for path in available}
    by_stem = defaultdict(list)
    for path in available:
        by_stem[path.stem].append(path)
    paired = tuple(replace(file, mask=_mask_of(file, by_name, by_stem, masks)) for file in files)
    _refuse_lone_masks(available, paired)
    return paired


def assign_patients(files: Iterable[SliceFile], patients: Mapping[str, str]) -> tuple[SliceFile, ...]:
    """Replace each file's patient by what `patients` (case -> patient) knows; other cases keep theirs."""
    return tuple(replace(file, patient=patients.get(file.case, file.patient)) for file in files)


def places_by_case(files: Sequence[SliceFile]) -> dict[str, list[int]]:
    """Return the places of each case's slices in `files`, from the lowest slice up."""
    places: dict[str, list[int]] = defaultdict(list)
    for place, file in enumerate(files):
        places[file.case].append(place)
    return {case: sorted(own, key=lambda place: files[place].index or 0) for case, own in places.items()}


def split_folders(dataset: Path) -> dict[str, Path]:
    """Return the folders of a dataset that hold images, by split: train, valid, test first; ``{}`` for none.

    A dataset that holds images itself is one folder, "all".
    """
    if (dataset / "images").is_dir():
        return {UNSPLIT: dataset}
    found = {path.name: path for path in dataset.iterdir() if (path / "images").is_dir()}
    rank = {name: place for place, name in enumerate(("train", "valid", "test"))}
    return dict(sorted(found.items(), key=lambda item: (rank.get(item[0], len(rank)), item[0])))


def _pictures(folder: Path) -> list[Path]:
    """Pictures of `folder` sorted by name; hidden files (unfinished or ``._*`` of macOS) are passed over."""
    folder = Path(folder)
    if not folder.exists():
        raise UserError(f"folder {folder} does not exist")
    if not folder.is_dir():
        raise UserError(f"{folder} is a file; give a folder of images")
    try:
        entries = [path for path in folder.iterdir() if _is_picture(path)]
    except OSError as error:
        raise UserError(f"cannot read folder {folder}: {error.strerror}") from error
    if not entries:
        raise UserError(f"folder {folder} holds no image ({', '.join(SUFFIXES)})")
    return sorted(entries, key=lambda path: path.name)


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()


def _slice_file(path: Path) -> SliceFile:
    case, index = parse_name(path.stem)
    return SliceFile(path.name, path, None, case, case, index)


def _mask_of(file: SliceFile, by_name: Mapping[str, Path], by_stem: Mapping[str, list[Path]], masks: Path) -> Path:
    if file.name in by_name:
        return by_name[file.name]
    candidates = by_stem.get(file.image.stem, [])
    if len(candidates) > 1:
        names = ", ".join(path.name for path in candidates)
        raise UserError(f"image {file.image} has several masks in {masks}: {names}; keep one")
    if not candidates:
        raise UserError(f"image {file.image} has no mask of the same name in {masks}")
    return candidates[0]


def _refuse_lone_masks(available: Iterable[Path], paired: Iterable[SliceFile]) -> None:
    used = {file.mask for file in paired}
    lone = [path for path in available if path not in used]
    if lone:
        more = f" (and {len(lone) - 1} more)" if len(lone) > 1 else ""
        raise UserError(f"mask {lone[0]}{more} has no image of the same name; add the image or remove the mask")
