"""Who and what is in a set of slices: its patients, and a hash of its content."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path

from spleenseg.datasets.folders import SliceFile
from spleenseg.datasets.parallel import in_threads
from spleenseg.errors import UserError
from spleenseg.files import sha256


def patients(files: Iterable[SliceFile]) -> tuple[str, ...]:
    """Return the patients of `files`, sorted, each once."""
    return tuple(sorted({file.patient for file in files}))


def patient_overlap(a: Iterable[SliceFile], b: Iterable[SliceFile]) -> tuple[str, ...]:
    """Return the patients that are in both, sorted: between two splits there should be none."""
    return tuple(sorted(set(patients(a)) & set(patients(b))))


def data_hash(files: Sequence[SliceFile]) -> str:
    """Return 64 hex digits that change with the name or content of any image or mask, and with nothing else.

    Where the folders lie and the order of `files` do not count.

    Raises:
        UserError: a file cannot be read.
    """
    return data_and_case_hashes(files)[0]


def case_hashes(files: Sequence[SliceFile]) -> dict[str, str]:
    """Return such a hash for each case, by its name.

    Raises:
        UserError: a file cannot be read.
    """
    return data_and_case_hashes(files)[1]


def data_and_case_hashes(files: Sequence[SliceFile]) -> tuple[str, dict[str, str]]:
    """Return `data_hash` and `case_hashes`, reading each file once."""
    lines = _lines(files)
    return _hash_of([*chain.from_iterable(lines.values())]), {
        case: _hash_of(own) for case, own in sorted(lines.items())
    }


def _lines(files: Sequence[SliceFile]) -> dict[str, list[str]]:
    """Return by case what is hashed of each file: the hashes of image and mask, and the name."""
    paths = list({path: None for file in files for path in (file.image, file.mask) if path})  # cases hold many slices
    hashes = dict(zip(paths, in_threads(_hash, paths, "hashing"), strict=True))
    lines: dict[str, list[str]] = {}
    for file in files:
        mask = hashes[file.mask] if file.mask else "-"
        lines.setdefault(file.case, []).append(f"{hashes[file.image]} {mask} {file.name}")
    return lines


def _hash_of(lines: list[str]) -> str:
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def _hash(path: Path) -> str:
    try:
        return sha256(path)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
