"""Building blocks that several architectures share."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from keras import initializers, layers

from spleenseg.models.batch_norm import BatchNormalization

if TYPE_CHECKING:
    from spleenseg.config import ModelConfig

Tensor = Any  # keras.KerasTensor, float [N, H, W, C]
Block = Callable[[Tensor, "Level", "ModelConfig", str], Tensor]
Across = Callable[[Tensor, Tensor, "Level"], Tensor]
SEED = 137
NORM_MOMENTUM = 0.9  # what is predicted with follows within tens of steps; Keras's 0.99 needs hundreds


@dataclass(frozen=True)
class Level:
    """One resolution of an encoder-decoder; level 0 is the finest.

    Attributes:
        index: how often the image has been halved.
        filters: channels, `base_filters` doubled at each level.
        kernel: (height, width), `base_kernels` minus 2 a level, at least 3.
        dilation: (height, width), `dilation` minus 1 a level, at least 1.
        dropout: `dropout_rate`; in the plain U-Net, times the level.
    """

    index: int
    filters: int
    kernel: tuple[int, int]
    dilation: tuple[int, int]
    dropout: float


def levels(config: ModelConfig, count: int | None = None, even_dropout: bool = False) -> list[Level]:
    """Return the levels a model section describes, finest first.

    Args:
        config: the model section.
        count: how many; None: `num_layers`.
        even_dropout: `dropout_rate` at every level, as all but the plain U-Net have it.
    """
    return [
        Level(
            index=index,
            filters=config.base_filters * 2**index,
            kernel=shrunk(config.base_kernels, 2 * index, 3),
            dilation=shrunk(config.dilation, index, 1),
            dropout=config.dropout_rate * (1 if even_dropout else index),
        )
        for index in range(config.num_layers if count is None else count)
    ]


def shrunk(pair: tuple[int, int], by: int, least: int) -> tuple[int, int]:
    """Return both numbers less `by`, but no less than `least`."""
    first, second = pair
    return max(first - by, least), max(second - by, least)


def widened(level: int, config: ModelConfig, widest: int) -> int:
    """Return `base_filters` doubled at each level, at most `widest` times as many."""
    return int(config.base_filters * min(2 ** max(level, 0), widest))


def contracted(x: Tensor, upper: Sequence[Level], config: ModelConfig, block: Block) -> tuple[Tensor, list[Tensor]]:
    """Go down: a block at each level, and a halving after it.

    Returns:
        what is left for the level below, and each level's features, finest first.
    """
    skips = []
    for level in upper:
        x = block(x, level, config, f"down{level.index}")
        skips.append(x)
        x = layers.MaxPooling2D(2, name=f"down{level.index}_pool")(x)
    return x, skips


def expanded(
    x: Tensor,
    upper: Sequence[Level],
    skips: Sequence[Tensor],
    config: ModelConfig,
    block: Block,
    across: Across = lambda skip, x, level: skip,
) -> Tensor:
    """Go up: double, join the features of the way down, a block at each level.

    Args:
        x: features of the level below the coarsest of `upper`.
        upper: the levels, finest first.
        skips: their features on the way down, finest first.
        config: the model section.
        block: what follows the joining.
        across: what becomes of a level's features on their way across, given those from below too.
    """
    for level, skip in zip(reversed(upper), reversed(skips), strict=True):
        passed = across(skip, x, level)
        x = doubled(x, level.filters, f"up{level.index}_double")
        x = layers.Concatenate(name=f"up{level.index}_join")([x, passed])
        x = block(x, level, config, f"up{level.index}")
    return x


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
    return normalised(x, name) if config.normalization else x


def conv_norm_act(
    x: Tensor,
    filters: int,
    config: ModelConfig,
    name: str,
    *,
    kernel: int | tuple[int, int] = 3,
    dilation: int | tuple[int, int] = 1,
    activate: bool = True,
) -> Tensor:
    """Convolve, normalise if the config says so, activate: the order of most papers since 2015."""
    x = layers.Conv2D(
        filters,
        kernel,
        dilation_rate=dilation,
        padding="same",
        use_bias=not config.normalization,
        kernel_initializer="he_normal",
        name=name,
    )(x)
    return norm_act(x, config, name, activate)


def conv_norm(
    x: Tensor,
    filters: int,
    name: str,
    *,
    kernel: int = 3,
    stride: int = 1,
    initializer: str | initializers.Initializer = "he_normal",
    norm_name: str | None = None,
) -> Tensor:
    """Convolve and normalise whatever the config says, as the residual networks and EfficientNet do.

    The normalisation is called `norm_name`; None: `name` and "_norm".
    """
    x = layers.Conv2D(
        filters,
        kernel,
        strides=stride,
        padding="same",
        use_bias=False,
        kernel_initializer=initializer,
        name=name,
    )(x)
    return normalised(x, name, norm_name)


def normalised(x: Tensor, name: str, norm_name: str | None = None) -> Tensor:
    """Normalise by the batch."""
    return BatchNormalization(momentum=NORM_MOMENTUM, name=norm_name or f"{name}_norm")(x)


def norm_act(x: Tensor, config: ModelConfig, name: str, activate: bool = True) -> Tensor:
    """Normalise if the config says so, then activate."""
    if config.normalization:
        x = normalised(x, name)
    return layers.Activation(config.activation, name=f"{name}_act")(x) if activate else x


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


def conv_norm_act_pair(x: Tensor, level: Level, config: ModelConfig, name: str) -> Tensor:
    """Apply convolution, normalisation, activation twice at one level, dropout between."""
    shape: dict[str, Any] = {"kernel": level.kernel, "dilation": level.dilation}
    x = conv_norm_act(x, level.filters, config, f"{name}_conv1", **shape)
    x = dropout(x, level.dropout, config, f"{name}_dropout")
    return conv_norm_act(x, level.filters, config, f"{name}_conv2", **shape)


def doubled(x: Tensor, filters: int, name: str) -> Tensor:
    """Double height and width with a learned 2x2 transposed convolution."""
    return layers.Conv2DTranspose(filters, 2, strides=2, padding="same", name=name)(x)


def every_second(x: Tensor, name: str) -> Tensor:
    """Keep every second pixel down and across.

    A 1x1 convolution after it is one with stride 2, which TensorFlow 2.21 must not be given: training one of few
    channels on a CPU, it writes beyond its memory.
    """
    return layers.MaxPooling2D(1, strides=2, name=name)(x)


def enlarged(x: Tensor, factor: int, name: str, dtype: str | None = None) -> Tensor:
    """Enlarge height and width `factor` times, bilinearly; nothing to learn."""
    if factor == 1:
        return x
    return layers.UpSampling2D(factor, interpolation="bilinear", dtype=dtype, name=name)(x)
