"""Decoded slices kept for as long as they are needed: in memory up to a budget, the rest in a mapped file."""

from __future__ import annotations

import math
import mmap
import os
import tempfile
from dataclasses import dataclass
from enum import Enum
from threading import Lock
from typing import IO

import numpy as np
from numpy.typing import NDArray

_SHARE_OF_RAM = 0.25
_RAM_IF_UNKNOWN = 8 << 30

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Decoded:
    """One slice at the model's size.

    Attributes:
        image: uint8 [h, w] where all channels are the same, else RGB [h, w, 3].
        labels: uint8 [h, w].
        brightest: the highest value of the mask as it is in the file.
    """

    image: Pixels
    labels: Pixels
    brightest: int

    @property
    def nbytes(self) -> int:
        """Memory it takes."""
        return self.image.nbytes + self.labels.nbytes


class Kept(Enum):
    """Where a slice is kept."""

    IN_MEMORY = "in memory"
    ON_DISK = "in a memory-mapped file"
    NOWHERE = "nowhere: decoded again each time"


class Store:
    """Keeps decoded slices: in memory up to a budget, then in a file that goes away with the program.

    The file is in the system's folder for temporary files and is read through a memory map, so the system keeps
    as much of it in memory as is free. Several threads may use a store at once.
    """

    def __init__(self, budget: int) -> None:
        """Prepare an empty store of `budget` bytes of memory."""
        self._left = budget
        self._kept: dict[int, Decoded] = {}
        self._places: dict[int, _Place] = {}
        self._overflow = _MappedFile()
        self._lock = Lock()

    def get(self, index: int) -> Decoded | None:
        """Return slice `index` if it was kept; its arrays cannot be written to."""
        if index not in self._places:
            return self._kept.get(index)
        place = self._places[index]
        image, labels = (self._overflow.read(start, shape) for start, shape in (place.image, place.labels))
        return Decoded(image, labels, place.brightest)

    def offer(self, index: int, decoded: Decoded) -> Kept:
        """Keep slice `index` and say where."""
        with self._lock:
            if decoded.nbytes <= self._left:
                self._left -= decoded.nbytes
                self._kept[index] = decoded
                return Kept.IN_MEMORY
            try:
                image, labels = (self._overflow.append(pixels) for pixels in (decoded.image, decoded.labels))
            except OSError:  # no room there, or no right to write
                return Kept.NOWHERE
            self._places[index] = _Place(
                (image, decoded.image.shape), (labels, decoded.labels.shape), decoded.brightest
            )
            return Kept.ON_DISK


@dataclass(frozen=True)
class _Place:
    """Where in the file a slice lies: for image and labels where they begin, and their shape."""

    image: tuple[int, tuple[int, ...]]
    labels: tuple[int, tuple[int, ...]]
    brightest: int


class _MappedFile:
    """A temporary file that is appended to and read through a map; the system removes it when it is closed."""

    def __init__(self) -> None:
        self._file: IO[bytes] | None = None
        self._map: mmap.mmap | None = None
        self._end = 0
        self._lock = Lock()

    def append(self, pixels: Pixels) -> int:
        """Write an array behind the others and return where it begins."""
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="spleenseg-slices-")  # noqa: SIM115  # lives with the store
        start = self._end
        self._file.seek(start)
        self._file.write(np.ascontiguousarray(pixels).data)
        self._file.flush()
        self._end += pixels.nbytes
        return start

    def read(self, start: int, shape: tuple[int, ...]) -> Pixels:
        """Return an array that was appended, without copying it."""
        size = math.prod(shape)
        with self._lock:
            if self._map is None or len(self._map) < start + size:
                assert self._file is not None
                self._map = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
            pixels = np.frombuffer(self._map, np.uint8, size, start)
        return pixels.reshape(shape)


def default_budget() -> int:
    """Return a quarter of the machine's memory, in bytes."""
    return int((machine_memory() or _RAM_IF_UNKNOWN) * _SHARE_OF_RAM)


def machine_memory() -> int | None:
    """Return the machine's memory in bytes, None where the system does not tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return None
