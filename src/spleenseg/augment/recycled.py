"""Large arrays whose memory is used again once nobody looks at them any more.

Fresh megabytes are cleared page by page by the operating system, under a lock that all threads of a process share:
two threads that each fill a batch spend more time waiting there than one alone.
"""

from __future__ import annotations

import math
import weakref
from collections import deque

import numpy as np
from numpy.typing import NDArray

_WAITING = 16  # blocks of a size that are kept for their next use, at most


class Recycled:
    """Gives arrays of float32; safe to use from several threads.

    The memory of an array returns here when the array, and with it every view of it, is gone.
    """

    def __init__(self) -> None:
        self._free: dict[int, deque[NDArray[np.float32]]] = {}

    def empty(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Return a C-contiguous array of `shape`, its content undefined."""
        size = math.prod(shape)
        free = self._free.setdefault(size, deque(maxlen=_WAITING))
        try:
            block = free.pop()
        except IndexError:
            block = np.empty(size, np.float32)
        array = np.frombuffer(block.data, np.float32)  # views keep this array, not the block, alive
        weakref.finalize(array, free.append, block).atexit = False
        return array.reshape(shape)
