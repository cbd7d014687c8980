"""The files that may hold DICOM: one file, a folder's own files, or the entries of a zip archive."""

from __future__ import annotations

import io
import lzma
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from spleenseg.errors import UserError

HEAD = 132
SUFFIX = ".dcm"
_MAGIC = b"DICM"
_OTHER_SUFFIXES = (
    ".png .jpg .jpeg .bmp .tif .tiff .gif .nii .gz .nrrd .mha .mhd .raw .npy .json .csv .txt .md .html .xml .log "
    ".config .ini .h5 .keras .onnx .py .pdf .exe .dll .inf"
)
_OTHER_KINDS = frozenset(_OTHER_SUFFIXES.split())
_DIRECTORY = "DICOMDIR"  # a table of contents: DICOM by its format, and no image
_DIGITS = re.compile(r"\d+")
_UNREADABLE = (
    OSError,
    RuntimeError,  # encrypted, or packed in a way zipfile does not know
    EOFError,
    ValueError,
    KeyError,
    IndexError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
)
_MOST_ENTRIES = 100_000
_MOST_BYTES = 16 << 30
_MOST_RATIO, _FREE_BYTES = 200, 512 << 20  # small archives may be as sparse as they like


@dataclass(frozen=True, eq=False)
class Member:
    """One file that may be DICOM: on disk, or an entry of an archive (read into memory, never unpacked)."""

    path: Path
    archive: zipfile.ZipFile | None = None
    entry: zipfile.ZipInfo | None = None

    @property
    def name(self) -> str:
        """What messages call it."""
        return str(self.path) if self.entry is None else f"{self.path}: {self.entry.filename!r}"

    @property
    def form(self) -> str:
        """Its file name in lower case, numbers apart: what the images of one export have in common."""
        name = self.path.name if self.entry is None else Path(self.entry.filename).name
        return _DIGITS.sub("0", name.lower())

    @property
    def size(self) -> int:
        """Bytes it holds."""
        return self.path.stat().st_size if self.entry is None else self.entry.file_size

    def open(self) -> BinaryIO:
        """Open it for reading.

        Raises:
            UserError: it cannot be read.
        """
        try:
            if self.archive is None or self.entry is None:
                return self.path.open("rb")
            return io.BytesIO(_bounded(self.archive, self.entry, self.entry.file_size))
        except _UNREADABLE as error:
            raise UserError(f"{self.name}: cannot be read ({type(error).__name__})") from None

    def head(self) -> bytes:
        """Return its first bytes, by which DICOM is known; none where it cannot be read."""
        try:
            if self.archive is None or self.entry is None:
                with self.path.open("rb") as file:
                    return file.read(HEAD)
            return _bounded(self.archive, self.entry, HEAD)
        except _UNREADABLE:
            return b""


def is_dicom_head(head: bytes) -> bool:
    """Say whether a file that begins so is DICOM, with the usual preamble or without."""
    if head[128:132] == _MAGIC:
        return True
    bare = len(head) >= 16 and head[:2] == b"\x08\x00" and head[3:4] == b"\x00"  # begins with group 0008
    return bare and (head[4:6].isupper() or int.from_bytes(head[4:8], "little") <= 64)


def holds_dicom(path: Path) -> bool:
    """Say whether a file, a folder's own files or a zip archive hold DICOM, from their first bytes."""
    try:
        return any(is_dicom_head(member.head()) for member in _candidates(path))
    except (UserError, OSError):
        return False


def holds_suffix(folder: Path) -> bool:
    """Say whether a folder's own files end in .dcm, or one of them."""
    try:
        return any(_is_named_image(file) for file in folder.iterdir())
    except OSError:
        return False


def _is_named_image(file: Path) -> bool:
    return _may_be_image(file) and file.suffix.lower() == SUFFIX and not file.is_dir()


def members(path: Path) -> list[Member]:
    """List the DICOM files at `path`, by name.

    Raises:
        UserError: none, one that should be an image and has no DICOM header, or an archive beyond the limits.
    """
    found: list[Member] = []
    others: list[Member] = []
    try:
        for member in _candidates(path):
            (found if is_dicom_head(member.head()) else others).append(member)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from error
    _refuse_headless(found, others)
    if not found:
        raise UserError(f"{path}: holds no DICOM")
    return found


def _refuse_headless(found: list[Member], others: list[Member]) -> None:
    """Refuse files that end in .dcm, or are named like the images beside them, and have no DICOM header.

    Left aside they would shorten the volume by a slice: at an end of the series nothing else tells.
    """
    forms = {member.form for member in found}
    broken = [member for member in others if member.form.endswith(SUFFIX) or member.form in forms]
    if broken:
        more = f" (and {len(broken) - 1} more)" if len(broken) > 1 else ""
        raise UserError(
            f"{broken[0].name}{more}: no DICOM header can be read: empty, cut off, or no DICOM; "
            "export it again, or take it out"
        )


def _candidates(path: Path) -> Iterator[Member]:
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if _may_be_image(file))
        yield from (Member(file) for file in files if file.is_file() or not file.exists())  # dead links too
    elif path.suffix.lower() == ".zip":
        yield from _entries(path)
    elif path.is_file() and path.name.upper() != _DIRECTORY:
        yield Member(path)


def _entries(path: Path) -> Iterator[Member]:
    try:
        archive = zipfile.ZipFile(path)
    except _UNREADABLE:
        raise UserError(f"{path}: not a zip archive that can be read; export it again") from None
    entries = [entry for entry in archive.infolist() if entry.filename and not entry.is_dir()]
    _require_modest(path, entries)
    for entry in sorted(entries, key=lambda entry: entry.filename):
        if _may_be_image(Path(entry.filename)):
            yield Member(path, archive, entry)


def _may_be_image(path: Path) -> bool:
    """Say, from a file's name, whether it may be an image; hidden ones are what file managers leave behind."""
    return path.name[:1] != "." and path.suffix.lower() not in _OTHER_KINDS and path.name.upper() != _DIRECTORY


def _require_modest(path: Path, entries: list[zipfile.ZipInfo]) -> None:
    """Refuse an archive that is made to fill memory."""
    total, packed = sum(entry.file_size for entry in entries), max(1, path.stat().st_size)
    if len(entries) > _MOST_ENTRIES:
        raise UserError(f"{path}: {len(entries)} entries; an archive may hold {_MOST_ENTRIES}")
    if total > _MOST_BYTES:
        raise UserError(f"{path}: {total >> 30} GiB when unpacked; an archive may hold {_MOST_BYTES >> 30} GiB")
    if total > _FREE_BYTES and total / packed > _MOST_RATIO:
        raise UserError(f"{path}: unpacks to {total // packed} times its size; no archive of scans does")


def _bounded(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, size: int) -> bytes:
    with archive.open(entry) as file:
        return file.read(size)
