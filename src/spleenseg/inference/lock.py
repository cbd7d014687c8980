"""One run at a time in an output folder: two would lose each other's rows, and sweep away what the other writes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from spleenseg.errors import UserError

LOCK_NAME = ".spleenseg.lock"


@contextmanager
def only_run_in(folder: Path) -> Iterator[None]:
    """Keep other runs out of an output folder while the block runs; the folder is made if need be.

    The system frees the lock when the process ends, however it ends: a file that was left behind locks nobody out.
    A folder that was made here and is empty at the end goes again.

    Raises:
        UserError: another run is in the folder, it is a file, or it cannot be written to.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(f"output folder {folder} is a file; give a folder")
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        handle = _held(folder)
        try:
            yield
        finally:
            _free(handle, folder / LOCK_NAME)
    finally:
        for path in made:
            with suppress(OSError):  # it is not empty
                path.rmdir()


def _held(folder: Path) -> int:
    path = folder / LOCK_NAME
    try:
        while True:  # until no run that ends has removed file or folder in between
            folder.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):
                handle = _opened(path)
                _require_free(handle, folder)
                if _is_at(handle, path):
                    return handle
                os.close(handle)
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {error.strerror or error}") from error


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except PermissionError:
        if not path.exists():
            raise
        return os.open(path, os.O_RDONLY)  # another user's: it can be locked all the same


def _require_free(handle: int, folder: Path) -> None:
    """Lock an open file.

    Raises:
        UserError: another run has it.
    """
    try:
        _lock(handle)
    except (BlockingIOError, PermissionError):
        os.close(handle)
        raise UserError(f"another run is writing to {folder}; wait for it to end, or give another folder") from None
    except OSError:
        pass  # a file system without locks: nothing can be told, and a run alone must not be kept from it


def _is_at(handle: int, path: Path) -> bool:
    """Say whether an open file is still the one of that name."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


if sys.platform == "win32":
    import msvcrt

    def _lock(handle: int) -> None:
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)

    def _free(handle: int, path: Path) -> None:
        os.close(handle)
        with suppress(OSError):  # the next run has it open
            path.unlink(missing_ok=True)
else:
    import fcntl

    def _lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _free(handle: int, path: Path) -> None:
        with suppress(OSError):
            path.unlink(missing_ok=True)  # while it is held: afterwards it may be another run's
        os.close(handle)
