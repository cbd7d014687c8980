"""The moving average of weights."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from spleenseg.config import load_config
from spleenseg.models.run_folder import RunFolder, load_trained
from spleenseg.training.ema import EVERY, WeightAverage
from spleenseg.training.train import train

from .conftest import Project


def numbers(variable: keras.Variable) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(variable.value))


def test_the_average_begins_as_the_weights_and_then_follows_them_slowly() -> None:
    weight = keras.Variable([0.0, 10.0])
    average = WeightAverage([weight], 0.9)
    weight.assign([1.0, 10.0])
    average.update(1)
    assert numbers(average.averages[0]).tolist() == [1.0, 10.0]
    expected = 1.0
    for step in range(2, 400):
        weight.assign([2.0, 10.0])
        average.update(step)
        if step < EVERY:
            expected = 2.0
        elif step % EVERY == 0:
            expected += (2.0 - expected) * (1 - min(0.9, (1 + step) / (10 + step)) ** EVERY)
    assert numbers(average.averages[0]) == pytest.approx([expected, 10.0])
    weight.assign([3.0, 10.0])
    average.update(400)
    assert numbers(average.averages[0])[0] == pytest.approx(2 + (1 - 0.9**EVERY), rel=1e-5)


def test_the_network_has_the_average_for_a_while_and_its_own_weights_again_whatever_happens() -> None:
    weight, seed = keras.Variable([1 / 3]), keras.Variable(7, dtype="int32")
    average = WeightAverage([weight, seed], 0.5)
    assert len(average.averages) == 1
    weight.assign([0.1])
    own = numbers(weight).tobytes()

    def use() -> None:
        with average.in_use():
            assert numbers(weight) == pytest.approx([1 / 3])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        use()
    assert numbers(weight).tobytes() == own


def test_without_a_decay_nothing_is_kept() -> None:
    average = WeightAverage([keras.Variable([1.0])], 0.0)
    average.update(8)
    with average.in_use():
        assert average.averages == []


def test_between_the_start_and_the_average_lies_what_is_used() -> None:
    weight = keras.Variable([5.0])
    average = WeightAverage([weight], 0.5, start_share=0.75)
    weight.assign([1.0])
    average.remember_start()
    weight.assign([3.0])
    average.update(1)
    weight.assign([7.0])
    with average.in_use():
        assert numbers(weight) == pytest.approx([0.75 * 1 + 0.25 * 3])
    assert numbers(weight).tolist() == [7.0]
    alone = WeightAverage([weight], 0.0, start_share=0.5)
    weight.assign([9.0])
    with alone.in_use():
        assert numbers(weight) == pytest.approx([8.0])


def test_a_training_keeps_the_average_as_its_best_and_goes_on_with_its_own_weights(project: Project) -> None:
    config = load_config(
        project(), ["train.ema=0.9", "train.epochs=1", "train.steps_per_epoch=6", "model.dropout_rate=0"]
    )
    run = RunFolder.of(config)
    train(config)
    kept = load_trained(run.root).model.weights
    with np.load(run.last_state) as saved:
        last = [saved[f"v{index}"] for index in range(len(saved.files) - 1)]
    averages = last[-len(kept) :]
    for variable, average, own in zip(kept, averages, last, strict=False):
        np.testing.assert_array_equal(numbers(variable), average)
        assert not np.array_equal(average, own)
