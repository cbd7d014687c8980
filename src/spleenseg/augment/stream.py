"""Batches of augmented pairs, made by threads, the same whatever their number.

A sample is a pure function of (seed, epoch, index in the epoch): its source comes from a seeded shuffle, its
transform from a generator of its own. So neither threads nor an interruption change what a training sees.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from spleenseg.augment.policies import Policy
from spleenseg.augment.recycled import Recycled
from spleenseg.augment.warp import SHORT_STEPS, Image, Mask

_ORDER, _SAMPLE, _FOREGROUND = 0, 1, 2  # what a seed is used for
_MOST_THREADS = 4
_AHEAD = 2  # batches ready beyond those being made


class Named(Protocol):
    """Anything with a file name."""

    @property
    def name(self) -> str:
        """The file's name."""


class Slices(Protocol):
    """The pairs a stream draws from; read from several threads at once."""

    @property
    def files(self) -> Sequence[Named]:
        """One entry a slice."""

    def __len__(self) -> int: ...

    def image(self, index: int, /) -> Image:
        """Return uint8 [H, W, C]."""

    def labels(self, index: int, /) -> Mask:
        """Return uint8 [H, W]."""


@dataclass(frozen=True)
class Batch:
    """What one training step takes.

    Attributes:
        images: float32 [B, H, W, C], values 0..255.
        targets: float32 [B, H, W, K].
        names: for each pair the transform's prefix and the source's file name.
    """

    images: NDArray[np.float32]
    targets: NDArray[np.float32]
    names: tuple[str, ...]


class BatchStream:
    """Draws, augments and batches slices, a bounded number of batches ahead.

    The sources are taken in shuffled passes that run on from epoch to epoch, so that every slice is seen
    equally often however many steps an epoch has.
    """

    def __init__(
        self,
        slices: Slices,
        policy: Policy,
        batch_size: int,
        steps_per_epoch: int,
        seed: int,
        target: Callable[[Mask], NDArray[np.float32]],
        threads: int | None = None,
        foreground: float = 0.0,
    ) -> None:
        """Set up a stream; nothing is computed before `epoch` is iterated.

        Args:
            slices: at least one pair, all of one size.
            policy: draws the transform of each sample.
            batch_size: pairs in a batch.
            steps_per_epoch: batches in an epoch.
            seed: >= 0; everything random follows from it.
            target: turns labels uint8 [H, W] into what the loss compares with, float32 [H, W, K].
            threads: that augment at the same time; None: as many as there are cores, at most 4.
            foreground: share of the samples, 0..1, spread evenly over the batches, that are made from slices whose
                labels are not all 0, in passes of their own; without any such slice all are drawn alike.

        Raises:
            ValueError: no slices, or a count below 1.
        """
        if min(len(slices), batch_size, steps_per_epoch, 1 if threads is None else threads) < 1:
            raise ValueError("slices, batch_size, steps_per_epoch and threads must each be at least 1")
        self.slices, self.policy, self.target = slices, policy, target
        self.batch_size, self.steps_per_epoch, self.seed = batch_size, steps_per_epoch, seed
        self.threads = threads or min(_MOST_THREADS, os.cpu_count() or 1)
        self._everything = np.arange(len(slices))
        shows = (index for index in self._everything if foreground and slices.labels(int(index)).any())
        self._organ = np.fromiter(shows, dtype=np.int64)
        self._share = foreground if len(self._organ) else 0.0
        self._memory = Recycled()

    def epoch(self, epoch: int, first_step: int = 0) -> Generator[Batch, None, None]:
        """Yield the batches of an epoch from `first_step` on (counted from 0).

        Closing the iterator, or an exception in or around it, stops the threads; what goes wrong in one of
        them is raised here, at the batch it belongs to.
        """
        steps = iter(range(first_step, self.steps_per_epoch))
        with sequential_opencv(), ThreadPoolExecutor(self.threads, "augment") as pool:
            pending: deque[Future[Batch]] = deque()
            try:
                while True:
                    while len(pending) < self.threads + _AHEAD and (step := next(steps, None)) is not None:
                        pending.append(pool.submit(self.batch, epoch, step))
                    if not pending:
                        return
                    yield pending.popleft().result()
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

    def batch(self, epoch: int, step: int) -> Batch:
        """Compute one batch, whatever came before it."""
        first = step * self.batch_size
        image, target, name = self._sample(epoch, first)
        images = self._memory.empty((self.batch_size, *image.shape))
        targets = self._memory.empty((self.batch_size, *target.shape))
        images[0], targets[0], names = image, target, [name]
        for place in range(1, self.batch_size):
            images[place], targets[place], name = self._sample(epoch, first + place)
            names.append(name)
        return Batch(images, targets, tuple(names))

    def _sample(self, epoch: int, index: int) -> tuple[Image, NDArray[np.float32], str]:
        with SHORT_STEPS:
            source = self._source(epoch, index)
        labels = self.slices.labels(source)
        height, width = labels.shape
        with SHORT_STEPS:
            transform = self.policy.draw(self._generator(_SAMPLE, epoch, index), (height, width))
        image, labels = transform.apply(self.slices.image(source), labels)
        return image, self.target(labels), transform.name + self.slices.files[source].name

    def _source(self, epoch: int, index: int) -> int:
        """Return which slice a sample is made from."""
        position = epoch * self.steps_per_epoch * self.batch_size + index
        chosen = int(position * self._share)  # samples before this one that had to show the organ
        if int((position + 1) * self._share) > chosen:
            return self._in_passes(self._organ, chosen, _FOREGROUND)
        return self._in_passes(self._everything, position - chosen, _ORDER)

    def _in_passes(self, sources: NDArray[np.int64], position: int, use: int) -> int:
        """Return what comes at a position of shuffled passes through `sources`."""
        turn, place = divmod(position, len(sources))
        return int(self._generator(use, turn).permutation(sources)[place])

    def _generator(self, *key: int) -> np.random.Generator:
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=key))


class _OpenCVThreads:
    """OpenCV's own threads, one setting for the whole process: off while anyone asks for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._before = 0

    def hold(self) -> None:
        with self._lock:
            if self._users == 0:
                self._before = cv2.getNumThreads()
                cv2.setNumThreads(1)
            self._users += 1

    def release(self) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0:
                cv2.setNumThreads(self._before)


_OPENCV_THREADS = _OpenCVThreads()


@contextmanager
def sequential_opencv() -> Iterator[None]:
    """Keep OpenCV from starting threads inside ours; what was set before comes back with the last user."""
    _OPENCV_THREADS.hold()
    try:
        yield
    finally:
        _OPENCV_THREADS.release()
