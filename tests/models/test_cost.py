"""What an image costs a network: by hand, and for every network there is."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import pytest
from keras import layers
from tests.models.test_unet import SPLEEN

from spleenseg.config import Config
from spleenseg.models.build import build_model
from spleenseg.models.cost import gflop, multiply_adds, of_operation
from spleenseg.models.window_attention import WindowAttention

MakeConfig = Callable[..., Config]


def _cost(layer: layers.Layer, *shape: int) -> int:
    x = keras.Input(shape)
    return multiply_adds(keras.Model(x, layer(x)))


def test_the_reference_network_takes_44_7_gflop(make_config: MakeConfig) -> None:
    assert gflop(build_model(make_config(**SPLEEN).model)) == pytest.approx(44.66, abs=0.005)


@pytest.mark.parametrize(
    ("layer", "shape", "wanted"),
    [
        (layers.Conv2D(5, 3, padding="same"), (8, 6, 4), 8 * 6 * 9 * 4 * 5),
        (layers.Conv2D(5, 3, strides=2, padding="same"), (8, 6, 4), 4 * 3 * 9 * 4 * 5),
        (layers.Conv2D(6, 3, padding="same", groups=2), (8, 6, 4), 8 * 6 * 9 * 2 * 6),
        (layers.Conv2D(5, 3, padding="same", dilation_rate=2), (8, 6, 4), 8 * 6 * 9 * 4 * 5),
        (layers.DepthwiseConv2D(5, padding="same"), (8, 6, 4), 8 * 6 * 25 * 4),
        (layers.SeparableConv2D(7, 3, padding="same"), (8, 6, 4), 8 * 6 * (9 * 4 + 4 * 7)),
        (layers.Conv2DTranspose(5, 2, strides=2), (8, 6, 4), 8 * 6 * 4 * 4 * 5),
        (layers.Conv3D(2, 3, padding="same"), (4, 8, 6, 1), 4 * 8 * 6 * 27 * 2),
        (layers.Dense(7), (10, 4), 10 * 4 * 7),
        (layers.BatchNormalization(), (8, 6, 4), 0),
        (layers.MaxPooling2D(2), (8, 6, 4), 0),
        (WindowAttention(2, 4, shifted=False), (8, 8, 6), 64 * (4 * 36 + 2 * 16 * 6)),
    ],
)
def test_each_kind_of_layer_is_counted_as_by_hand(layer: layers.Layer, shape: tuple[int, ...], wanted: int) -> None:
    assert _cost(layer, *shape) == wanted


def test_attention_counts_projections_and_both_products() -> None:
    x = keras.Input((16, 8))
    model = keras.Model(x, layers.MultiHeadAttention(2, 4, value_dim=6)(x, x))
    assert multiply_adds(model) == 16 * (8 * 8 + 8 * 8 + 8 * 12 + 12 * 8) + 16 * 16 * 2 * (4 + 6)


def test_a_product_of_matrices_is_counted() -> None:
    x = keras.Input((16, 8))
    assert multiply_adds(keras.Model(x, keras.ops.matmul(x, keras.ops.transpose(x, (0, 2, 1))))) == 16 * 16 * 8


def test_a_layer_without_formula_is_refused_rather_than_left_out() -> None:
    layer = layers.LSTM(3)
    layer(np.zeros((1, 4, 2), np.float32))
    with pytest.raises(TypeError, match="no formula for the multiplications of LSTM"):
        of_operation(layer)
