from __future__ import annotations

import numpy as np
import pytest

from spleenseg.inference.keras_engine import KerasEngine

keras = pytest.importorskip("keras")


@pytest.fixture(scope="module")
def blurring_model():
    keras.utils.set_random_seed(1)
    inputs = keras.Input((8, 12, 3))
    hidden = keras.layers.Rescaling(1 / 255)(inputs)
    return keras.Model(inputs, keras.layers.Conv2D(2, 3, padding="same", activation="sigmoid")(hidden))


@pytest.mark.parametrize("count", [1, 4, 6])
def test_any_number_of_images_gives_what_each_gives_alone(blurring_model, count):
    batch = np.random.default_rng(0).uniform(0, 255, (count, 8, 12, 3)).astype(np.float32)
    probabilities = KerasEngine(blurring_model, batch_size=4).probabilities(batch)
    alone = [np.asarray(blurring_model(image[None], training=False))[0] for image in batch]
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities, alone, atol=1e-6)


def test_no_image_gives_no_probabilities(blurring_model):
    assert KerasEngine(blurring_model).probabilities(np.zeros((0, 8, 12, 3), np.float32)).shape == (
        0,
        8,
        12,
        2,
    )


def test_every_step_has_the_same_shape_so_that_the_model_is_traced_once(blurring_model):
    seen = []
    steps = blurring_model.predict_on_batch
    engine = KerasEngine(blurring_model, batch_size=3)
    blurring_model.predict_on_batch = lambda batch: seen.append(batch.shape) or steps(batch)
    for count in (3, 1, 2, 5):
        assert len(engine.probabilities(np.zeros((count, 8, 12, 3), np.float32))) == count
    blurring_model.predict_on_batch = steps
    assert set(seen) == {(3, 8, 12, 3)}


def test_a_batch_of_nothing_is_refused(blurring_model):
    with pytest.raises(ValueError, match="batch_size"):
        KerasEngine(blurring_model, batch_size=0)
