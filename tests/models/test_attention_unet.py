"""AttentionUNet: the contract, and its gates."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import keras
import numpy as np
from tests.models.contract import Contract

from spleenseg.config import Config
from spleenseg.models.attention_unet import gated
from spleenseg.models.build import build_model

MakeConfig = Callable[..., Config]


class TestTensorflowAttentionUNet(Contract):
    name = "TensorflowAttentionUNet"

    def parameters(self, config: Config) -> int:
        """A U-Net's, and of each gate W_x (2x2), W_g and b_g, psi and b_psi."""
        model = config.model
        widths = [model.base_filters * 2**level for level in range(model.num_layers)]
        norm = 4 if model.normalization else 1  # or a bias

        def pair(inputs: int, width: int) -> int:
            return 9 * (inputs + width) * width + 2 * norm * width

        total = sum(map(pair, [model.image_channels, *widths], widths))
        total += sum(4 * below * width + width + pair(2 * width, width) for width, below in pairwise(widths))
        total += sum(4 * width**2 + below * width + width + width + 1 for width, below in pairwise(widths[1:]))
        return total + (widths[0] + 1) * model.num_classes


def test_attention_has_one_channel_at_every_level_but_the_finest(make_config: MakeConfig) -> None:
    model = build_model(make_config(model="TensorflowAttentionUNet", num_layers=4).model)
    maps = {layer.name: layer.output.shape for layer in model.layers if layer.name.endswith("_map")}
    assert maps == {"gate1_map": (None, 16, 16, 1), "gate2_map": (None, 8, 8, 1)}


def test_a_gate_weighs_all_channels_of_a_place_alike_as_the_formula_says() -> None:
    rng = np.random.default_rng(2)
    skip, signal = keras.Input((4, 4, 3)), keras.Input((2, 2, 5))
    gate = keras.Model([skip, signal], gated(skip, signal, 2, "gate"))
    weights = [rng.normal(size=weight.shape).astype(np.float32) for weight in gate.get_weights()]
    gate.set_weights(weights)
    by_name = {weight.path: np.asarray(weight) for weight in gate.weights}
    x = rng.normal(size=(1, 4, 4, 3)).astype(np.float32)
    g = rng.normal(size=(1, 2, 2, 5)).astype(np.float32)
    output = np.asarray(gate([x, g]))
    ratio = output / x
    np.testing.assert_allclose(ratio, np.broadcast_to(ratio[..., :1], ratio.shape), rtol=1e-4)
    corner = np.einsum("ijc,ijcf->f", x[0, :2, :2], by_name["gate_x/kernel"])
    corner += g[0, 0, 0] @ by_name["gate_g/kernel"][0, 0] + by_name["gate_g/bias"]
    psi = np.maximum(corner, 0) @ by_name["gate_psi/kernel"][0, 0] + by_name["gate_psi/bias"]
    np.testing.assert_allclose(ratio[0, 0, 0], np.full(3, 1 / (1 + np.exp(-psi))), rtol=1e-4)
