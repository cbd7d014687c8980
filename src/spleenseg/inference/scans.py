"""Which scans `segment` was asked for, and that their outputs harm nothing."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from spleenseg.errors import UserError
from spleenseg.volumes.nifti import SUFFIXES, stem

TABLES = ("volumes.csv", "run.log.csv")


@dataclass(frozen=True)
class Scan:
    """One scan to segment: its file and the name its outputs carry."""

    path: Path
    case: str

    def outputs(self, probabilities: bool) -> tuple[str, ...]:
        """Return the names of the files to be made of it."""
        kinds = (".nii.gz", "_overlay.png", *(("_prob.nii.gz",) if probabilities else ()))
        return tuple(self.case + kind for kind in kinds)


def find_scans(inputs: Sequence[Path]) -> list[Scan]:
    """List the scans among files, folders (not their subfolders) and patterns with ``*`` or ``?``.

    A file given twice counts once.

    Raises:
        UserError: nothing of that name, a folder without a scan, a file that is no scan, or two scans that
            share a name.
    """
    found = {path.resolve(): path for given in inputs for path in _scans_at(Path(given))}
    if not found:
        raise UserError("nothing to segment: give NIfTI files (.nii, .nii.gz) or folders of them")
    scans = [Scan(path, stem(path)) for path in found.values()]
    _refuse_pairs({scan.path: [scan.case] for scan in scans}, "are both called", "rename one")
    return sorted(scans, key=lambda scan: scan.case)


def require_safe(scans: Sequence[Scan], out: Path, probabilities: bool) -> None:
    """Check that outputs neither land among the inputs nor on one another.

    Raises:
        UserError: `out` holds an input, or two outputs would share a name.
    """
    where = out.resolve()
    for scan in scans:
        if where in (scan.path.resolve().parent, scan.path.absolute().parent):
            raise UserError(f"output folder {out} holds the input {scan.path.name}; give another folder")
    planned: dict[Path, Iterable[str]] = {scan.path: scan.outputs(probabilities) for scan in scans}
    planned[out] = TABLES
    _refuse_pairs(planned, "would both write", "rename one")


def _scans_at(given: Path) -> Iterator[Path]:
    if given.is_dir():
        yield from _scans_in(given)
    elif given.exists():
        yield _require_scan(given)
    elif glob.has_magic(str(given)):
        matches = sorted(glob.glob(str(given)))  # noqa: PTH207 - absolute patterns too
        if not matches:
            raise UserError(f"nothing matches {given}")
        for match in matches:
            yield from _scans_at(Path(match))
    else:
        raise UserError(f"{given}: no such file or folder")


def _scans_in(folder: Path) -> list[Path]:
    try:
        names = sorted(path for path in folder.iterdir() if _is_scan(path) and path.name[0] != ".")
    except OSError as error:
        raise UserError(f"cannot read folder {folder}: {error.strerror or error}") from error
    if not names:
        raise UserError(f"folder {folder} holds no scan (.nii, .nii.gz)")
    return names


def _require_scan(path: Path) -> Path:
    if not _is_scan(path):
        raise UserError(f"{path}: not a scan of a kind that can be read; give NIfTI (.nii, .nii.gz)")
    return path


def _is_scan(path: Path) -> bool:
    return path.name.lower().endswith(SUFFIXES) and path.is_file()


def _refuse_pairs(names: Mapping[Path, Iterable[str]], verb: str, advice: str) -> None:
    """Refuse two paths with one name; names that differ only in case are one file on many disks."""
    owners: dict[str, Path] = {}
    for path, own in names.items():
        for name in own:
            first = owners.setdefault(name.casefold(), path)
            if first != path:
                raise UserError(f"{first} and {path} {verb} {name}; {advice}")
