"""The batch stream: the same samples whatever the threads, from any step, and a clean end."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from spleenseg.augment import Batch, BatchStream, Policy, Transform
from spleenseg.augment.policies import Unchanged
from spleenseg.augment.reference import reference_policy
from spleenseg.augment.stream import sequential_opencv

from .pairs import MemorySlices, config_with, soft


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Policy:
    everything = {
        "shears": [0.1],
        "deformation": True,
        "distortion": True,
        "sharpening": True,
        "barrdistortion": True,
    }
    return reference_policy(config_with(tmp_path_factory.mktemp("config"), augmentor=everything))


def stream_of(policy: Policy, slices: MemorySlices | None = None, **options: Any) -> BatchStream:
    settings = {"batch_size": 3, "steps_per_epoch": 5, "seed": 137, "target": soft, "threads": 2, **options}
    return BatchStream(MemorySlices(7) if slices is None else slices, policy, **settings)


def same(one: list[Batch], other: list[Batch]) -> bool:
    return [batch.names for batch in one] == [batch.names for batch in other] and all(
        np.array_equal(a.images, b.images) and np.array_equal(a.targets, b.targets)
        for a, b in zip(one, other, strict=True)
    )


def augmenting_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("augment")]


def test_a_batch_is_what_a_training_step_takes(policy: Policy) -> None:
    (batch, *others) = list(stream_of(policy).epoch(0))
    assert len(others) == 4
    assert batch.images.shape == (3, 48, 64, 3)
    assert batch.targets.shape == (3, 48, 64, 1)
    assert batch.images.dtype == batch.targets.dtype == np.float32
    assert batch.images.max() > 200
    assert set(np.unique(batch.targets)) == {0.0, 1.0}
    assert all(name.endswith(".jpg") for name in batch.names)


def test_threads_change_nothing(policy: Policy) -> None:
    one, four, again = (list(stream_of(policy, threads=n).epoch(2)) for n in (1, 4, 4))
    assert same(one, four)
    assert same(four, again)


def test_a_start_in_the_middle_gives_the_rest_of_the_epoch(policy: Policy) -> None:
    whole = list(stream_of(policy).epoch(1))
    assert same(whole[3:], list(stream_of(policy, threads=1).epoch(1, first_step=3)))
    assert list(stream_of(policy).epoch(1, first_step=5)) == []


def test_epochs_and_seeds_differ(policy: Policy) -> None:
    first = list(stream_of(policy).epoch(0))
    assert not same(first, list(stream_of(policy).epoch(1)))
    assert not same(first, list(stream_of(policy, seed=138).epoch(0)))
    assert same(first, list(stream_of(policy).epoch(0)))


def test_every_slice_is_seen_equally_often_across_epochs() -> None:
    stream = stream_of(Unchanged(), batch_size=2, steps_per_epoch=7)  # 14 samples an epoch of 7 slices
    orders = [[name for batch in stream.epoch(epoch) for name in batch.names] for epoch in range(3)]
    assert set(Counter(orders[0]).values()) == {2}
    assert orders[0] != orders[1] != orders[2]
    assert orders[0][:7] != orders[0][7:]
    uneven = stream_of(Unchanged(), batch_size=2, steps_per_epoch=5)  # 10 samples an epoch
    names = [name for epoch in range(7) for batch in uneven.epoch(epoch) for name in batch.names]
    assert set(Counter(names).values()) == {10}


def test_unchanged_slices_come_as_they_are() -> None:
    slices = MemorySlices(4)
    names = [source.name for source in slices.files]
    for batch in stream_of(Unchanged(), slices).epoch(0):
        for image, target, name in zip(batch.images, batch.targets, batch.names, strict=True):
            index = names.index(name)
            np.testing.assert_array_equal(image, slices.image(index))
            np.testing.assert_array_equal(target[..., 0], slices.labels(index))


def test_several_classes_and_one_channel_pass_through() -> None:
    def one_hot(labels: np.ndarray) -> np.ndarray:
        return np.eye(3, dtype=np.float32)[labels]

    stream = stream_of(Unchanged(), MemorySlices(2, channels=1), target=one_hot)
    batch = next(iter(stream.epoch(0)))
    assert batch.images.shape == (3, 48, 64, 1)
    assert batch.targets.shape == (3, 48, 64, 3)


class Counting(MemorySlices):
    """Counts reads, and fails at a slice if asked."""

    reads = 0
    bad = -1

    def image(self, index: int, /) -> np.ndarray:
        self.reads += 1
        if index == self.bad:
            raise RuntimeError(f"slice {index} is broken")
        return super().image(index)


def test_only_a_bounded_number_of_batches_is_made_ahead() -> None:
    slices = Counting(50)
    with closing(stream_of(Unchanged(), slices, steps_per_epoch=1000).epoch(0)) as batches:
        next(batches)
        time.sleep(0.3)
        assert slices.reads <= 3 * (1 + 2 + 2)


def test_closing_early_stops_the_threads(policy: Policy) -> None:
    before = cv2.getNumThreads()
    batches = stream_of(policy, steps_per_epoch=1000).epoch(0)
    next(batches)
    assert augmenting_threads()
    batches.close()
    assert not augmenting_threads()
    assert cv2.getNumThreads() == before


def test_an_exception_around_the_stream_stops_the_threads(policy: Policy) -> None:
    def interrupted() -> Iterator[Batch]:
        with closing(stream_of(policy, steps_per_epoch=1000).epoch(0)) as batches:
            yield next(batches)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(interrupted())
    assert not augmenting_threads()


@pytest.mark.parametrize("threads", [1, 4])
def test_what_goes_wrong_in_a_thread_is_raised_at_its_batch(threads: int) -> None:
    slices = Counting(7)
    slices.bad = 3
    good = list(stream_of(Unchanged(), MemorySlices(7)).epoch(0))
    broken = next(step for step, batch in enumerate(good) if slices.files[3].name in batch.names)
    received: list[Batch] = []
    with pytest.raises(RuntimeError, match="slice 3 is broken"):
        received.extend(stream_of(Unchanged(), slices, threads=threads).epoch(0))
    assert len(received) == broken
    assert not augmenting_threads()


def test_opencv_is_given_its_threads_back_when_the_last_user_leaves() -> None:
    before = cv2.getNumThreads()
    outer, inner = sequential_opencv(), sequential_opencv()
    outer.__enter__()
    inner.__enter__()
    assert cv2.getNumThreads() == 1
    outer.__exit__(None, None, None)
    assert cv2.getNumThreads() == 1
    inner.__exit__(None, None, None)
    assert cv2.getNumThreads() == before


@pytest.mark.parametrize("wrong", [{"batch_size": 0}, {"steps_per_epoch": 0}, {"threads": 0}])
def test_counts_below_one_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        stream_of(Unchanged(), **wrong)
    with pytest.raises(ValueError, match="at least 1"):
        stream_of(Unchanged(), MemorySlices(0))


def test_policies_are_asked_with_the_size_of_the_slice() -> None:
    seen = []

    class Asking:
        def draw(self, rng: np.random.Generator, shape: tuple[int, int]) -> Transform:
            seen.append(shape)
            return Transform(name=f"{rng.integers(2**62)}_")

    names = [name for batch in stream_of(Asking()).epoch(0) for name in batch.names]
    assert set(seen) == {(48, 64)}
    assert len({name.split("_")[0] for name in names}) == 15


def test_real_slices_come_out_the_same_with_any_threads(real_data: Path, policy: Policy) -> None:
    folder = real_data / "msd-spleen-slices"
    paths = sorted((folder / "images").glob("*.jpg"))[:4]

    class Files(MemorySlices):
        def image(self, index: int, /) -> np.ndarray:
            return cv2.imread(str(paths[index]))

        def labels(self, index: int, /) -> np.ndarray:
            mask = cv2.imread(str(folder / "masks" / paths[index].name), cv2.IMREAD_GRAYSCALE)
            return (mask >= 128).astype(np.uint8)

    runs = [list(stream_of(policy, Files(4), threads=n, steps_per_epoch=3).epoch(0)) for n in (1, 4)]
    assert same(*runs)


class _FewOrgans(MemorySlices):
    """Slices of which only two show the organ."""

    def labels(self, index: int, /) -> np.ndarray:
        found = super().labels(index)
        return found if index in (2, 5) else np.zeros_like(found)


@pytest.mark.parametrize("share", [0.25, 0.5, 1.0])
def test_a_share_of_every_batch_is_drawn_from_slices_with_the_organ(share: float) -> None:
    slices = _FewOrgans(40)
    stream = stream_of(Unchanged(), slices, batch_size=4, steps_per_epoch=10, foreground=share)
    shown = [[slices.labels(stream._source(0, step * 4 + k)).any() for k in range(4)] for step in range(10)]
    assert all(sum(batch) >= 4 * share for batch in shown)
    assert sum(map(sum, shown)) <= 40 * share + 2  # the rest comes from all slices, each once in 40
    counts = Counter(stream._source(0, index) for index in range(40))
    assert abs(counts[2] - counts[5]) <= 2


def test_without_the_organ_anywhere_a_share_of_it_changes_nothing() -> None:
    class Empty(MemorySlices):
        def labels(self, index: int, /) -> np.ndarray:
            return np.zeros_like(super().labels(index))

    plain = stream_of(Unchanged(), Empty(7))
    wanting = stream_of(Unchanged(), Empty(7), foreground=0.5)
    assert [plain._source(1, i) for i in range(15)] == [wanting._source(1, i) for i in range(15)]
