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
from spleenseg.volumes import case_name, is_scan, means_scan

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
    folder of DICOM below it, except what `segment` wrote. What is a scan by its name counts also if it is broken, so
    that it fails under its name. Files of other kinds in the folders below are not taken, for they may be label maps;
    a warning says how many. A scan given twice counts once.

    Raises:
        UserError: nothing of that name, a folder without a scan, a file that is no scan by its name and content, or
            two scans that share a name.
    """
    found = {_real(path): path for given in inputs for path in _scans_at(Path(given))}
    if not found:
        raise UserError(f"nothing to segment: give scans ({_KINDS}) or folders of them")
    for given in inputs:
        if left := len({_real(path) for path in _files_below(Path(given))} - found.keys()):
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
    where = _real(out)
    for scan in scans:
        if where in (_real(scan.path), _real(scan.path).parent, scan.path.absolute().parent):
            name = scan.path.absolute().name
            raise UserError(f"output folder {out} holds the input {name}; give another folder")
    planned: dict[Path, Iterable[str]] = {scan.path: scan.outputs(probabilities, formats) for scan in scans}
    planned[out] = TABLES
    _refuse_pairs(planned, "would both write", "rename one")


def _scans_at(given: Path) -> Iterator[Path]:
    if given.is_dir():
        yield from _scans_in(given)
    elif given.exists() or (given.is_symlink() and means_scan(given)):
        yield _require_scan(given)
    elif glob.has_magic(str(given)):
        yield from _scans_matching(given)
    else:
        raise UserError(f"{given}: no such file or folder")


def _scans_matching(pattern: Path) -> Iterator[Path]:
    """Yield the scans that match a pattern or lie in folders that do; what is none is passed over."""
    matches = _matches(pattern)
    if not matches:
        raise UserError(f"nothing matches {pattern}")
    folders = {match for match in matches if match.is_dir()}
    found = [scan for folder in sorted(folders) for scan in _found_in(folder)]
    files = (match for match in matches if match not in folders and _is_meant(match))
    found += [file for file in files if not (_is_slice(file) and file.parent in folders)]
    if not found:
        raise UserError(f"nothing that matches {pattern} is a scan ({_KINDS})")
    yield from found


def _matches(pattern: Path) -> list[Path]:
    """Return what matches a pattern, sorted; one with ``**`` passes over what `segment` wrote."""
    found = [Path(name) for name in sorted(glob.glob(str(pattern), recursive=True))]  # noqa: PTH207 - absolute too
    if "**" not in pattern.parts:
        return found
    return [path for path in found if not any((folder / LEDGER_NAME).exists() for folder in (path, path.parent))]


def _scans_in(folder: Path) -> list[Path]:
    found = _found_in(folder)
    if not found:
        below = next((path.parent for path in _files_below(folder)), None)
        hint = f" itself, but {below} does: give that folder, or a pattern" if below else f" ({_KINDS})"
        raise UserError(f"folder {folder} holds no scan{hint}")
    return found


def _found_in(folder: Path) -> list[Path]:
    try:
        files = [path for path in sorted(folder.iterdir()) if _is_visible_file(path) and _is_meant(path)]
        slices = [path for path in files if _is_slice(path)]
        own = [folder] if is_scan(folder) or _is_broken_series(slices) else slices
        return [*own, *(path for path in files if not _is_slice(path)), *_dicom_below(folder)]
    except OSError as error:
        raise UserError(f"cannot read folder {folder}: {error.strerror or error}") from error


def _dicom_below(folder: Path) -> Iterator[Path]:
    return (below for below, _ in _folders_below(folder) if _is_meant(below))


def _files_below(given: Path) -> Iterator[Path]:
    """Yield the scans in the folders below one, or those of a pattern, that are files and no images of a series."""
    folders = [given] if given.exists() else _matches(given)
    for folder in folders:
        for below, names in _folders_below(folder):
            yield from (below / name for name in names if name[0] != "." and name.lower().endswith(_WHOLE))


def _folders_below(folder: Path) -> Iterator[tuple[Path, list[str]]]:
    """Yield the folders below one and the names of their files, without hidden folders and what `segment` wrote.

    Links are followed, to each folder once, and to none that holds the folder itself.
    """
    start = _real(folder)
    seen = {start}
    for name, below, files in os.walk(folder, followlinks=True):
        inner = [] if LEDGER_NAME in files else [Path(name, each) for each in below if each[0] != "."]
        below[:] = [path.name for path in sorted(inner, key=_links_last) if _is_new(_real(path), start, seen)]
        if LEDGER_NAME not in files and Path(name) != folder:
            yield Path(name), files


def _links_last(path: Path) -> tuple[bool, Path]:
    """Order paths so that a folder that a link leads to goes by its own name where both are found."""
    return path.is_symlink(), path


def _is_new(real: Path, start: Path, seen: set[Path]) -> bool:
    """Say whether a folder is not yet walked, nor a way out of `start`'s own parents; note it."""
    if real in seen or start.is_relative_to(real):
        return False
    seen.add(real)
    return True


def _real(path: Path) -> Path:
    """Return where a path leads, also if that is nowhere, or round in a circle."""
    return Path(os.path.realpath(path))


def _is_visible_file(path: Path) -> bool:
    """Say whether a path is a file, or a link that leads nowhere, and not hidden."""
    return path.name[0] != "." and (path.is_file() or not path.exists())


def _is_meant(path: Path) -> bool:
    """Say whether a path is a scan, or should be one by its name."""
    return means_scan(path) or is_scan(path)


def _is_broken_series(slices: Sequence[Path]) -> bool:
    """Say whether images that lie in one folder are several broken ones, which are one series."""
    return sum(not is_scan(path) for path in slices) > 1


def _is_slice(path: Path) -> bool:
    """Say whether a scan in a folder of DICOM is one of its images."""
    return not path.name.lower().endswith(_WHOLE)


def _require_scan(path: Path) -> Path:
    if not _is_meant(path):
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
