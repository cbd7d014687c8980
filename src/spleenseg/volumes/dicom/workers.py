"""The processes that decode compressed frames: started when first needed, used again, and gone with the program."""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SCRIPT = Path(__file__).with_name("decoder.py")
MOST_WORKERS = 4
_SECONDS, _SECONDS_A_MEGAPIXEL = 3.0, 10.0


class DecodingError(Exception):
    """A frame could not be decoded."""


class _Worker:
    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(_SCRIPT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def decode(self, pixels: bytes, asked: Mapping[str, Any], frames: int) -> Iterator[NDArray[np.generic]]:
        """Yield frames; a worker whose answers were not all taken must be closed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps({**asked, "bytes": len(pixels)}).encode() + b"\n")
            self._process.stdin.write(pixels)
            self._process.stdin.flush()
            for _ in range(frames):
                line = self._process.stdout.readline()
                if not line:
                    self._process.wait()
                    raise DecodingError("decoder ended")
                answer = json.loads(line)
                if "error" in answer:
                    raise DecodingError(answer["error"])
                data = self._process.stdout.read(answer["bytes"])
                yield np.frombuffer(data, np.dtype(answer["dtype"])).reshape(answer["shape"])
        except (OSError, ValueError) as error:
            self.close()
            raise DecodingError(type(error).__name__) from None

    def close(self) -> None:
        with suppress(OSError):
            self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()


_idle: list[_Worker] = []
_lock = threading.Lock()


def decode(pixels: bytes, description: Mapping[str, Any], indices: Sequence[int]) -> Iterator[NDArray[np.generic]]:
    """Yield decoded frames, [rows, columns] integers as stored.

    Args:
        pixels: encapsulated, of one file.
        description: transfer syntax and what pydicom's decoders are told of the pixels.
        indices: numbers of the frames, from 0.

    Raises:
        DecodingError: a frame is damaged, or its decoder crashed, or took far longer than any image needs.
    """
    size = description["rows"] * description["columns"] / 1e6
    asked = {**description, "indices": list(indices), "seconds": _SECONDS + _SECONDS_A_MEGAPIXEL * size}
    with _worker() as worker:
        yield from worker.decode(pixels, asked, len(indices))


def pool() -> ThreadPoolExecutor:
    """Return threads, each of which may wait for a worker."""
    return ThreadPoolExecutor(min(MOST_WORKERS, os.cpu_count() or 1), thread_name_prefix="decode")


@contextmanager
def _worker() -> Iterator[_Worker]:
    with _lock:
        worker = _idle.pop() if _idle else None
    if worker is None or not worker.is_alive:
        worker = _Worker()
    try:
        yield worker
    except DecodingError:
        _give_back(worker)
        raise
    except BaseException:  # interrupted amid an answer
        worker.close()
        raise
    else:
        _give_back(worker)


def _give_back(worker: _Worker) -> None:
    if worker.is_alive:
        with _lock:
            _idle.append(worker)
    else:
        worker.close()


@atexit.register
def _close_all() -> None:
    while _idle:
        _idle.pop().close()
