"""Writing files so that nothing is ever half there, and nothing of the user's is lost."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import re
import tempfile
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from spleenseg.errors import UserError

_FORMULA_START = ("=", "+", "-", "@", "\t", "\r")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*([eE][+-]?\d+)?|\.\d+|nan|inf)")


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary sibling of `path` to write to; it takes `path`'s name only if the block succeeds.

    The temporary name keeps `path`'s suffixes, because libraries choose the format by them.

    Raises:
        UserError: the folder cannot be written to, or the disk is full.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        suffix = "".join(path.suffixes[-2:])
        handle, name = tempfile.mkstemp(prefix=".writing-", suffix=suffix, dir=path.parent)
        os.close(handle)
        os.chmod(name, 0o666 & ~_UMASK)  # noqa: PTH101
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}") from error
    temporary = Path(name)
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):  # a disk that can be written to no more keeps it, and must not hide why
            temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


_UMASK = _umask()  # read once: asking means setting it for a moment, for every thread


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically, with the newlines as given."""
    with atomic(path) as temporary:
        temporary.write_bytes(text.encode())


def write_json(path: Path, data: Any) -> None:
    """Write `data` as indented JSON atomically (NaN is refused: undefined values are null)."""
    write_text(path, json.dumps(data, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a CSV atomically; `None` is an empty cell, text that a spreadsheet would run is defused."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    for row in rows:
        writer.writerow(["" if cell is None else defuse(cell) for cell in row])
    write_text(path, buffer.getvalue())


def defuse(cell: object) -> object:
    """Prefix text that a spreadsheet would take for a formula with an apostrophe; leave numbers alone."""
    if isinstance(cell, str) and cell.startswith(_FORMULA_START) and not _NUMBER.fullmatch(cell):
        return "'" + cell
    return cell


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file as hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def require_free_folder(
    path: Path,
    what: str,
    advice: str = "give a new folder, or --resume to continue",
    beside: Collection[str] = (),
) -> None:
    """Refuse a target that exists and holds anything.

    Args:
        path: the folder.
        what: it is, for the error.
        advice: what to do about a folder that holds something.
        beside: names of files that it may hold.

    Raises:
        UserError: `path` is a file, or a folder that is not empty.
    """
    if path.is_file():
        raise UserError(f"{what} {path} is a file; give a folder")
    if path.is_dir() and any(entry.name not in beside for entry in path.iterdir()):
        raise UserError(f"{what} {path} exists and is not empty; {advice}")
