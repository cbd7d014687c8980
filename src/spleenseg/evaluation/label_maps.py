"""Label maps in a folder: one file a case with a value a label, or one folder a case with a file a label."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from spleenseg.errors import UserError
from spleenseg.volumes import Volume, read_labels, read_volume

_SUFFIXES = (".nii.gz", ".nii")
_NOT_LABELS = "_prob"  # probabilities that `segment` wrote beside its label maps
DESCRIPTION = "dataset.json"


@dataclass(frozen=True)
class LabelMap:
    """The label map of one case.

    Attributes:
        case: its name.
        path: the file, or the folder of a file a label.
        files: the files it consists of.
    """

    case: str
    path: Path
    files: tuple[Path, ...]

    def grid(self) -> Volume:
        """Read the grid it lies on, with the first file's values as its array [z, y, x]."""
        return read_volume(self.files[0])

    def values(self) -> set[int]:
        """Return the labels that occur."""
        if self.path.is_dir():
            raise UserError(f"{self.path} holds a file a label; name the labels to compare with --label NAME=VALUE")
        return {int(value) for value in np.unique(self.grid().array)} - {0}

    def on(self, grid: Volume) -> LoadedMap:
        """Read it onto a grid.

        Raises:
            UserError: the file cannot be read or lies on another grid.
        """
        return LoadedMap(self, grid, None if self.path.is_dir() else read_labels(self.path, grid))


@dataclass(frozen=True, eq=False)
class LoadedMap:
    """A label map in memory; the files of a folder are read label by label.

    Attributes:
        source: where it comes from.
        grid: the grid it is read onto.
        array: uint8 [z, y, x]; None for a folder.
    """

    source: LabelMap
    grid: Volume
    array: npt.NDArray[np.uint8] | None

    def mask(self, label: str, value: int) -> npt.NDArray[np.bool_]:
        """Return one label, bool [z, y, x]; of a folder what is not 0 in the label's file.

        Raises:
            UserError: a file cannot be read, lies on another grid, or there is none of this label.
        """
        if self.array is not None:
            return np.asarray(self.array == value)
        file = next((file for file in self.source.files if _stem(file).lower() == label.lower()), None)
        if file is None:
            raise UserError(f"{self.source.path} holds no file {label}.nii.gz")
        return np.asarray(read_labels(file, self.grid) != 0)


def find_label_maps(folder: Path) -> dict[str, LabelMap]:
    """Return the label maps of a folder by case.

    A case is called as its file or folder; nnU-Net's channel number `_0000` at the end does not count.

    Raises:
        UserError: the folder is missing, holds no label map, or two of one case.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder; give a folder of label maps (.nii.gz)")
    found: dict[str, LabelMap] = {}
    for path in sorted(folder.iterdir()):
        files = _files(path)
        if not files or _stem(path).endswith(_NOT_LABELS) or path.name.startswith("."):
            continue
        case = _stem(path).removesuffix("_0000")
        if case in found:
            raise UserError(f"{folder} holds {case} twice: {found[case].path.name} and {path.name}; keep one")
        found[case] = LabelMap(case, path, files)
    if not found:
        raise UserError(f"{folder} holds no label map (.nii.gz, or folders of them)")
    return found


def _files(path: Path) -> tuple[Path, ...]:
    if path.is_dir():
        return tuple(sorted(file for file in path.iterdir() if file.name.lower().endswith(_SUFFIXES)))
    return (path,) if path.name.lower().endswith(_SUFFIXES) else ()


def _stem(path: Path) -> str:
    return next((path.name[: -len(end)] for end in _SUFFIXES if path.name.lower().endswith(end)), path.name)


def described_labels(*folders: Path) -> dict[str, int] | None:
    """Return name -> value from the first dataset.json in or right above the folders; None where there is none.

    Raises:
        UserError: it cannot be read, or names no labels.
    """
    places = [place for folder in folders for place in (folder, folder.resolve().parent)]
    path = next((place / DESCRIPTION for place in places if (place / DESCRIPTION).is_file()), None)
    return None if path is None else _described(path)


def _described(path: Path) -> dict[str, int]:
    try:
        labels = json.loads(path.read_bytes()).get("labels")
        pairs = [(str(b), int(a)) if str(a).isdigit() else (str(a), int(b)) for a, b in labels.items()]
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise UserError(f'{path} names no labels (such as {{"spleen": 1}}); give --label NAME=VALUE') from error
    return {name: value for name, value in pairs if value}
