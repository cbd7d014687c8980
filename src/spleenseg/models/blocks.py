"""Building blocks that several architectures share."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from keras import layers

if TYPE_CHECKING:
    from spleenseg.config import ModelConfig

Tensor = Any  # keras.KerasTensor, float [N, H, W, C]
SEED = 137


@dataclass(frozen=True)
class Level:
    """One resolution of an encoder-decoder; level 0 is the finest.

    Attributes:
        index: how often the image has been halved.
        filters: channels, `base_filters` doubled at each level.
        kernel: (height, width), `base_kernels` minus 2 a level, at least 3.
        dilation: (height, width), `dilation` minus 1 a level, at least 1.
        dropout: `dropout_rate` times the level.
    """

    index: int
    filters: int
    kernel: tuple[int, int]
    dilation: tuple[int, int]
    dropout: float


def levels(config: ModelConfig) -> list[Level]:
    """Return the levels a model section describes, finest first."""
    return [
        Level(
            index=index,
            filters=config.base_filters * 2**index,
            kernel=_shrunk(config.base_kernels, 2 * index, 3),
            dilation=_shrunk(config.dilation, index, 1),
            dropout=config.dropout_rate * index,
        )
        for index in range(config.num_layers)
    ]


def _shrunk(pair: tuple[int, int], by: int, least: int) -> tuple[int, int]:
    first, second = pair
    return max(first - by, least), max(second - by, least)


def convolution(x: Tensor, level: Level, config: ModelConfig, name: str) -> Tensor:
    """Convolve with the level's kernel and dilation, activate, then normalise if the config says so."""
    x = layers.Conv2D(
        level.filters,
        level.kernel,
        dilation_rate=level.dilation,
        padding="same",
        activation=config.activation,
        kernel_initializer="he_normal",
        name=name,
    )(x)
    return layers.BatchNormalization(name=f"{name}_norm")(x) if config.normalization else x


def dropout(x: Tensor, rate: float, config: ModelConfig, name: str) -> Tensor:
    """Drop single values at `rate`; with `dropout_seed_fixing` from a seed that depends on the name only."""
    if rate <= 0:
        return x
    seed = zlib.crc32(name.encode(), SEED) if config.dropout_seed_fixing else None
    return layers.Dropout(rate, seed=seed, name=name)(x)


def convolution_pair(x: Tensor, level: Level, config: ModelConfig, name: str) -> Tensor:
    """Apply convolution, dropout, convolution at one level."""
    x = convolution(x, level, config, f"{name}_conv1")
    x = dropout(x, level.dropout, config, f"{name}_dropout")
    return convolution(x, level, config, f"{name}_conv2")


def doubled(x: Tensor, filters: int, name: str) -> Tensor:
    """Double height and width with a learned 2x2 transposed convolution."""
    return layers.Conv2DTranspose(filters, 2, strides=2, padding="same", name=name)(x)
