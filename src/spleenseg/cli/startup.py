"""What makes the program start sooner. Only the program does this: a process of its own, which is ours to arrange."""

from __future__ import annotations

import atexit
import gc
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import NoReturn

_MALLOPT = {-3: 1 << 30, -1: (1 << 31) - 1, -8: 1}  # M_MMAP_THRESHOLD, M_TRIM_THRESHOLD, M_ARENA_MAX of malloc.h
_FEW_SLICES = 2_200_000  # bytes of files: four slices of 512 x 512 that nobody has compressed, and their header
_NO_SCANS = ("--model", "--out", "-o")
_NEW_OBJECTS = 50_000  # between two looks for garbage; Python's own 700 cost a twentieth of the imports


def load_nibabel_alone() -> None:
    """Import nibabel without pydicom, which it would load for DICOM extensions that nothing here reads.

    That is half a second before the first mask of a scan that is no DICOM. Afterwards pydicom can be imported as
    ever. Where either is loaded already, nothing happens.
    """
    if "pydicom" in sys.modules or "nibabel" in sys.modules:
        return
    sys.modules["pydicom"] = None  # type: ignore[assignment] # importing it now says that it is missing
    try:
        import nibabel  # noqa: F401
    finally:
        del sys.modules["pydicom"]


@contextmanager
def ahead_of(arguments: Sequence[str]) -> Iterator[None]:
    """Begin to load the model that `segment` is asked for, before the libraries that read its command line.

    The engine comes first: its own work then goes on while Python loads all else. What is wrong with the words
    is found later, by who reads them.

    Args:
        arguments: the command line, of which nothing is known yet.
    """
    from spleenseg.inference.engine_choice import EXACT
    from spleenseg.inference.head_start import Asked, head_start

    model, threads = _value(arguments, "--model"), _value(arguments, "--threads")
    if "--help" in arguments or (threads and not threads.isdecimal()):
        yield
        return
    asked = Asked(
        engine=_value(arguments, "--engine"),
        precision=_value(arguments, "--precision") or EXACT,
        threads=int(threads) if threads else None,
        few=_shows_few_slices(arguments),
    )
    with head_start(Path(model) if model else None, asked):
        yield


def tidy_less() -> None:
    """Have Python look for garbage less often, and the C library use freed memory again rather than return it.

    A network's weights pass through memory several times until they lie as the processor wants them, and the system
    clears every page of new memory. Only glibc knows these settings; elsewhere that part does nothing.
    """
    gc.set_threshold(_NEW_OBJECTS, *gc.get_threshold()[1:])
    if sys.platform != "linux":
        return
    import ctypes

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for option, value in _MALLOPT.items():
            mallopt(option, value)


def leave(status: int) -> NoReturn:
    """End the process with an exit status, at once: nothing is taken apart, which would take a tenth of a second."""
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # nobody reads any more
            stream.flush()
    os._exit(status)


def _shows_few_slices(arguments: Sequence[str]) -> bool:
    """Guess by their size whether the scans among the words have few slices; a wrong guess costs time, no more."""
    words = pairwise(arguments)  # the first is the command
    try:
        scans = [path for before, word in words if before not in _NO_SCANS and (path := Path(word)).exists()]
        few = all(path.is_file() for path in scans) and sum(path.stat().st_size for path in scans) <= _FEW_SLICES
    except (OSError, ValueError):  # a word that no file can be called, or one gone in between
        return False
    return few and bool(scans)


def _value(arguments: Sequence[str], option: str) -> str | None:
    """Return what follows an option, first; None where it is not given."""
    for word, following in zip(arguments, [*arguments[1:], ""], strict=True):
        if word == option and following:
            return following
        if word.startswith(f"{option}="):
            return word.partition("=")[2]
    return None
