"""Memory that is used again, but never while anyone still looks at it."""

from __future__ import annotations

import gc

import numpy as np

from spleenseg.augment.recycled import Recycled


def _address(array: np.ndarray) -> int:
    return int(array.__array_interface__["data"][0])


def test_memory_comes_back_once_the_array_is_gone() -> None:
    memory = Recycled()
    array = memory.empty((3, 5, 2))
    first = _address(array)
    assert (array.shape, array.dtype, array.flags.c_contiguous, array.flags.writeable) == ((3, 5, 2), "f4", True, True)
    del array
    gc.collect()
    assert _address(memory.empty((30,))) == first


def test_two_arrays_in_use_never_share_memory() -> None:
    memory = Recycled()
    arrays = [memory.empty((4, 4)) for _ in range(8)]
    for value, array in enumerate(arrays):
        array[...] = value
    assert [float(array.mean()) for array in arrays] == list(range(8))


def test_a_view_of_a_view_keeps_its_memory() -> None:
    memory = Recycled()
    array = memory.empty((6, 4))
    array[...] = 7
    view = array[2:4][:, 1].reshape(-1)
    del array
    gc.collect()
    memory.empty((6, 4))[...] = 0
    assert view.tolist() == [7, 7]


def test_what_the_network_still_reads_is_not_overwritten() -> None:
    from spleenseg.models.backend import load_backend

    load_backend()
    import keras

    memory = Recycled()
    array = memory.empty((64, 64))
    array[...] = 3
    tensor = keras.ops.convert_to_tensor(array)
    del array
    gc.collect()
    memory.empty((64, 64))[...] = 0
    assert float(keras.ops.mean(tensor)) == 3
