"""Which scans `segment` was asked for, and that their outputs harm nothing."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from spleenseg.errors import UserError
from spleenseg.inference.ledger import LEDGER_NAME
from spleenseg.progress import SILENT, Reporter
from spleenseg.volumes import case_name, is_scan

TABLES = ("volumes.csv", "run.log.csv")
FORMATS = {"nifti": ".nii.gz", "dicom-seg": ".seg.dcm", "nrrd": ".seg.nrrd"}
_KINDS = "NIfTI, DICOM (a folder, .zip or .dcm), NRRD or MetaImage"
_WHOLE = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd", ".zip")


@dataclass(frozen=True)
class Scan:
    """One scan to segment: its file or folder, and the name its outputs carry."""

    path: Path
    case: str

    def maps(self, formats: Sequence[str]) -> dict[str, str]:
        """Return the name of the label map in each format."""
        return {form: self.case + FORMATS[form] for form in formats}

    def outputs(self, probabilities: bool, formats: Sequence[str] = ("nifti",)) -> tuple[str, ...]:
        """Return the names of the files to be made of it."""
        kinds = ("_overlay.png", *(("_prob.nii.gz",) if probabilities else ()))
        return (*self.maps(formats).values(), *(self.case + kind for kind in kinds))


def find_scans(inputs: Sequence[Path], reporter: Reporter = SILENT) -> list[Scan]:
    """List the scans among files, folders and patterns with ``*`` or ``?``.

    Of a folder these are: the folder itself if it directly holds DICOM, the other scans that lie in it, and every
    folder of DICOM below it, except what `segment` wrote. Files of other kinds in the folders below are not taken, for
    they may be label maps; a warning says how many. A scan given twice counts once.

    Raises:
        UserError: nothing of that name, a folder without a scan, a file that is no scan, or two scans that
            share a name.
    """
    found = {path.resolve(): path for given in inputs for path in _scans_at(Path(given))}
    if not found:
        raise UserError(f"nothing to segment: give scans ({_KINDS}) or folders of them")
    for given in inputs:
        if left := len({path.resolve() for path in _files_below(Path(given))} - found.keys()):
            what = "1 scan below was" if left == 1 else f"{left} scans below were"
            reporter.warn(f"{given}: {what} not taken; give the folder that holds what is to be segmented")
    scans = [Scan(path, case_name(path)) for path in found.values()]
    _refuse_pairs({scan.path: [scan.case] for scan in scans}, "are both called", "rename one")
    return sorted(scans, key=lambda scan: scan.case)


def require_safe(scans: Sequence[Scan], out: Path, probabilities: bool, formats: Sequence[str] = ("nifti",)) -> None:
    """Check that outputs neither land among the inputs nor on one another.

    Raises:
        UserError: `out` holds an input, or two outputs would share a name.
    """
    where = out.resolve()
    for scan in scans:
        if where in (scan.path.resolve(), scan.path.resolve().parent, scan.path.absolute().parent):
            raise UserError(f"output folder {out} holds the input {scan.path.name}; give another folder")
    planned: dict[Path, Iterable[str]] = {scan.path: scan.outputs(probabilities, formats) for scan in scans}
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
        files = [path for path in sorted(folder.iterdir()) if path.is_file() and path.name[0] != "." and is_scan(path)]
        if is_scan(folder):
            found = [folder, *(path for path in files if not _is_slice(path)), *_dicom_below(folder)]
        else:
            found = [*files, *_dicom_below(folder)]
    except OSError as error:
        raise UserError(f"cannot read folder {folder}: {error.strerror or error}") from error
    if not found:
        below = next((path.parent for path in _files_below(folder)), None)
        hint = f" itself, but {below} does: give that folder, or a pattern" if below else f" ({_KINDS})"
        raise UserError(f"folder {folder} holds no scan{hint}")
    return found


def _dicom_below(folder: Path) -> Iterator[Path]:
    return (below for below, _ in _folders_below(folder) if is_scan(below))


def _files_below(given: Path) -> Iterator[Path]:
    """Yield the scans in the folders below one, or those of a pattern, that are files and no images of a series."""
    folders = [given] if given.exists() else map(Path, glob.glob(str(given)))  # noqa: PTH207 - absolute patterns too
    for folder in folders:
        for below, names in _folders_below(folder):
            whole = (below / name for name in names if name[0] != "." and name.lower().endswith(_WHOLE))
            yield from (path for path in whole if is_scan(path))


def _folders_below(folder: Path) -> Iterator[tuple[Path, list[str]]]:
    """Yield the folders below one and the names of their files, without hidden folders and what `segment` wrote."""
    for name, below, files in os.walk(folder):
        below[:] = sorted(inner for inner in below if inner[0] != ".")
        if LEDGER_NAME in files:
            below.clear()
        elif Path(name) != folder:
            yield Path(name), files


def _is_slice(path: Path) -> bool:
    """Say whether a scan in a folder of DICOM is one of its images."""
    return not path.name.lower().endswith(_WHOLE)


def _require_scan(path: Path) -> Path:
    if not is_scan(path):
        raise UserError(f"{path}: not a scan of a kind that can be read; give {_KINDS}")
    return path


def _refuse_pairs(names: Mapping[Path, Iterable[str]], verb: str, advice: str) -> None:
    """Refuse two paths with one name; names that differ only in case are one file on many disks."""
    owners: dict[str, Path] = {}
    for path, own in names.items():
        for name in own:
            first = owners.setdefault(name.casefold(), path)
            if first != path:
                raise UserError(f"{first} and {path} {verb} {name}; {advice}")
