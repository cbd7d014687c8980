"""A tar file into one new folder: only plain files, only inside, only so many."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from spleenseg.errors import UserError
from spleenseg.progress import SILENT, Reporter

MOST_ENTRIES = 10_000
MOST_BYTES = 64 << 30

_WAITING = ".unpacking"
_MACOS = "._"  # files that macOS adds


def unpack(archive: Path, folder: str, target: Path, reporter: Reporter = SILENT) -> Path:
    """Unpack the folder `folder` of an archive as ``TARGET/{folder}``.

    The folder appears under its name when it is complete. Files of macOS (``._*``) are passed over.

    Args:
        archive: an uncompressed tar file.
        folder: the one folder in it.
        target: where it goes.
        reporter: shows progress.

    Raises:
        UserError: the folder exists, the archive is damaged, holds anything but files and folders below
            `folder`, or more than the limits allow; nothing is left of it then.
    """
    final, waiting = target / folder, target / _WAITING
    if final.exists():
        raise UserError(f"{final} exists; move it away, or give another folder")
    shutil.rmtree(waiting, ignore_errors=True)  # ours: an earlier run was killed
    try:
        with tarfile.open(archive, "r:") as tar:
            members = list(_allowed(tar, archive, folder))
            with reporter.task(f"unpacking {archive.name}", len(members)) as task:
                for member in members:
                    _write(tar, member, waiting / member.name)
                    task.advance()
        (waiting / folder).rename(final)
    except tarfile.TarError as error:
        raise UserError(f"{archive} is damaged or no tar file: {error}") from error
    except OSError as error:
        raise UserError(f"cannot unpack {archive} into {target}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(waiting, ignore_errors=True)
    return final


def _allowed(tar: tarfile.TarFile, archive: Path, folder: str) -> Iterator[tarfile.TarInfo]:
    """Yield the files of an archive, in its order; see `unpack` for what is refused."""
    size = count = 0
    for member in tar:
        name = PurePosixPath(member.name)
        if name.name.startswith(_MACOS):
            continue
        count, size = count + 1, size + member.size
        if count > MOST_ENTRIES or size > MOST_BYTES:
            raise UserError(f"{archive} holds more than {MOST_ENTRIES} files or {MOST_BYTES >> 30} GB; not unpacked")
        if name.is_absolute() or ".." in name.parts or name.parts[:1] != (folder,) or "\\" in member.name:
            raise UserError(f"{archive} holds {member.name!r}, which lies outside its folder {folder}; not unpacked")
        if not (member.isdir() or member.isreg()):
            raise UserError(f"{archive} holds {member.name!r}, which is no plain file; not unpacked")
        if member.isreg():
            yield member
    if not count:
        raise UserError(f"{archive} is empty")


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    source = tar.extractfile(member)
    assert source is not None  # it is a regular file
    with source, path.open("xb") as file:
        shutil.copyfileobj(source, file, 1 << 20)
    if path.stat().st_size != member.size:
        raise tarfile.ReadError(f"{member.name} is cut short")
