"""What networks that are supervised in more than one place must do besides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from tests.models.contract import Contract, some_image, unchanged

from spleenseg.config import Config
from spleenseg.models.build import logits_model, side_weights
from spleenseg.training.losses import build_loss

MakeConfig = Callable[..., Config]


class DeeplySupervised(Contract):
    """Inherit instead of `Contract`, give `sides` too, and the logits for training are tested as well.

    Attributes:
        sides: how many there are besides the network's own at the narrow settings.
    """

    sides: int

    def learner(self, make_config: MakeConfig, **model: object) -> tuple[Config, Any, Any]:
        config, network = self.build(make_config, deep_supervision=True, **model)
        return config, network, logits_model(network, deep_supervision=True)

    @pytest.mark.parametrize("classes", [1, 3])
    def test_training_sees_all_logits_at_the_size_of_thesome_image(self, make_config: MakeConfig, classes: int) -> None:
        config, network, learner = self.learner(make_config, image_height=64, num_classes=classes)
        outputs = learner(some_image(config))
        assert [output.shape for output in outputs] == [(1, 64, 32, classes)] * (1 + self.sides)
        assert {keras.backend.standardize_dtype(output.dtype) for output in outputs} == {"float32"}
        assert len(side_weights(network)) == 1 + self.sides
        np.testing.assert_array_equal(np.asarray(outputs[0]), np.asarray(logits_model(network)(some_image(config))))

    def test_inference_never_sees_what_only_training_needs(self, make_config: MakeConfig) -> None:
        _, network, learner = self.learner(make_config)
        _, plain = self.usual(make_config)
        assert network.output.shape == plain.output.shape
        assert network.count_params() == plain.count_params() <= learner.count_params()

    def test_without_the_option_there_is_one_output(self, make_config: MakeConfig) -> None:
        _, plain = self.usual(make_config)
        assert len(logits_model(plain, deep_supervision=True).outputs) == len(side_weights(plain)) == 1

    def test_gradient_reaches_every_side(self, make_config: MakeConfig) -> None:
        config, network, learner = self.learner(make_config, activation="mish")
        loss, weights = build_loss("bce_dice_loss"), list(side_weights(network))
        learner.compile(
            optimizer=keras.optimizers.SGD(1.0), loss=[loss] * len(weights), loss_weights=weights, run_eagerly=True
        )
        before = [keras.ops.convert_to_numpy(weight).copy() for weight in learner.trainable_weights]
        image = some_image(config, 2)
        learner.train_on_batch(image, [(image > 128).astype(np.float32)] * len(weights))
        assert unchanged(learner.trainable_weights, before) == []
