"""TransUNet: the contract, the size of ViT-Base, and that places matter."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import keras
import numpy as np
import pytest
from tests.models.contract import Contract

from spleenseg.config import Config, parse_config
from spleenseg.models.build import build_model
from spleenseg.models.trans_unet import Positions

MakeConfig = Callable[..., Config]


class TestTensorflowTransUNet(Contract):
    name = "TensorflowTransUNet"
    narrow: ClassVar[dict[str, object]] = {
        "filter_num": [2, 4],
        "embed_dim": 6,
        "num_mlp": 5,
        "num_heads": 3,
        "num_transformer": 2,
    }
    overfit: ClassVar[dict[str, object]] = {
        "filter_num": [8, 16, 32],
        "embed_dim": 32,
        "num_mlp": 64,
        "num_heads": 4,
        "num_transformer": 2,
        "normalization": True,
    }

    def parameters(self, config: Config) -> int:
        model = config.model
        extra = 4 if model.normalization else 1
        widths, size = list(model.filter_num), model.embed_dim
        kernels = [max(model.base_kernels[0] - 2 * level, 3) ** 2 for level in range(len(widths))]
        total, last = 0, model.image_channels
        for width, kernel in zip(widths, kernels, strict=True):
            total += kernel * (last * width + width * width) + 2 * extra * width
            last = width
        total += last * size + size + 14 * 14 * size
        total += model.num_transformer * self.block(size, int(model.num_mlp or 3072)) + 2 * size
        total += 9 * size * last + extra * last
        for width, skip, kernel in zip(widths[::-1], widths[::-1], kernels[::-1], strict=True):
            total += kernel * ((last + skip) * width + width * width) + 2 * extra * width
            last = width
        return total + last * model.num_classes + model.num_classes

    @staticmethod
    def block(size: int, nodes: int) -> int:
        """Two normalisations, queries, keys, values and output, two dense layers."""
        return 2 * 2 * size + 4 * (size * size + size) + 2 * size * nodes + nodes + size


def test_twelve_blocks_have_the_size_of_vit_base() -> None:
    embedding = 16 * 16 * 3 * 768 + 768 + 197 * 768 + 768
    blocks = 12 * TestTensorflowTransUNet.block(768, 3072)
    assert embedding + blocks + 2 * 768 + 768 * 1000 + 1000 == 86_567_656  # ViT-B/16


@pytest.mark.full
def test_the_usual_settings_build_with_a_token_for_16_pixels() -> None:
    text = "[model]\nimage_width=512\nimage_height=256\nimage_channels=3\nnum_classes=1\nbase_filters=16\nnum_layers=6"
    config = parse_config(text + "\nmodel='TransUNet'", Path("usual.config"))
    model = build_model(config.model)
    assert model.get_layer("tokens_flat").output.shape == (None, 16 * 32, 768)
    assert model.count_params() == TestTensorflowTransUNet().parameters(config)


def test_a_list_of_one_number_is_that_number(make_config: MakeConfig) -> None:
    listed = {"filter_num": [2], "embed_dim": 8, "num_mlp": [5], "num_heads": [4], "num_transformer": 1}
    model = build_model(make_config(model="TransUNet", **listed).model)
    assert model.get_layer("transformer0_attention").num_heads == 4
    assert model.get_layer("transformer0_dense1").units == 5


def test_positions_are_learned_on_a_grid_and_stretched_over_any_number_of_tokens() -> None:
    layer = Positions()
    np.testing.assert_array_equal(np.asarray(layer(np.zeros((1, 14, 14, 2), np.float32)))[0], layer.get_weights()[0][0])
    layer.set_weights([np.indices((14, 14)).transpose(1, 2, 0)[None].astype(np.float32)])
    wide = np.asarray(layer(np.zeros((3, 28, 7, 2), np.float32)))
    assert wide.shape == (3, 28, 7, 2)
    np.testing.assert_allclose(wide[2, 1:-1, 3, 0], np.arange(1, 27) / 2 - 0.25, atol=1e-5)
    np.testing.assert_allclose(wide[0, 5, :, 1], np.arange(7) * 2 + 0.5, atol=1e-5)


def test_every_place_attends_to_every_other(make_config: MakeConfig) -> None:
    keras.utils.set_random_seed(6)
    narrow = TestTensorflowTransUNet.narrow
    model = build_model(make_config(model="TransUNet", image_width=64, image_height=64, **narrow).model)
    image = np.full((1, 64, 64, 1), 100, np.float32)
    other = image.copy()
    other[0, 60:, 60:] = 200
    change = np.abs(np.asarray(model(image)) - np.asarray(model(other)))[0, :4, :4]
    assert change.max() > 0
