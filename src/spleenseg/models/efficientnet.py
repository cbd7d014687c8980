"""The EfficientNet trunk of Tan & Le 2019 (arXiv:1905.11946): features at five scales, without the classifier.

Layers are called as in `keras.applications`, so that weights trained there fit by name. Left out is stochastic
depth, which has no weights.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from keras import initializers, layers

from spleenseg.models.blocks import Tensor, conv_norm, normalised

SCALES = {  # size: (times as wide, times as deep)
    "B0": (1.0, 1.0),
    "B1": (1.0, 1.1),
    "B2": (1.1, 1.2),
    "B3": (1.2, 1.4),
    "B4": (1.4, 1.8),
    "B5": (1.6, 2.2),
    "B6": (1.8, 2.6),
    "B7": (2.0, 3.1),
}
STEM = 32
SQUEEZE = 4  # the squeezed channels are a fourth of the block's input


@dataclass(frozen=True)
class Stage:
    """One row of the paper's table 1: `repeats` blocks, the first with the stride."""

    kernel: int
    repeats: int
    filters: int
    expansion: int
    stride: int


STAGES = (
    Stage(kernel=3, repeats=1, filters=16, expansion=1, stride=1),
    Stage(kernel=3, repeats=2, filters=24, expansion=6, stride=2),
    Stage(kernel=5, repeats=2, filters=40, expansion=6, stride=2),
    Stage(kernel=3, repeats=3, filters=80, expansion=6, stride=2),
    Stage(kernel=5, repeats=3, filters=112, expansion=6, stride=1),
    Stage(kernel=5, repeats=4, filters=192, expansion=6, stride=2),
    Stage(kernel=3, repeats=1, filters=320, expansion=6, stride=1),
)


def efficientnet(x: Tensor, size: str) -> list[Tensor]:
    """Return features at 1/2, 1/4, 1/8, 1/16 and 1/32 of the image, the last before each halving.

    Args:
        x: [N, H, W, C], H and W divisible by 32.
        size: "B0" to "B7".
    """
    wider, deeper = SCALES[size]
    x = _convolution(x, rounded(STEM * wider), 3, "stem", "stem_conv", stride=2)
    taps = []
    for number, stage in enumerate(STAGES, start=1):
        if stage.stride == 2:
            taps.append(x)
        for repeat in range(math.ceil(stage.repeats * deeper)):
            stride = stage.stride if repeat == 0 else 1
            x = _block(x, stage, rounded(stage.filters * wider), stride, f"block{number}{chr(ord('a') + repeat)}_")
    return [*taps, x]


def rounded(filters: float) -> int:
    """Return the multiple of 8 next to `filters`, never less than 90 % of it."""
    near = max(8, int(filters + 4) // 8 * 8)
    return near if near >= 0.9 * filters else near + 8


def _block(x: Tensor, stage: Stage, filters: int, stride: int, name: str) -> Tensor:
    """Widen, filter each channel, weigh the channels, narrow; add the input where the shape stays (MBConv)."""
    inputs, start = x.shape[-1], x
    if stage.expansion > 1:
        x = _convolution(x, inputs * stage.expansion, 1, f"{name}expand", f"{name}expand_conv")
    x = layers.DepthwiseConv2D(
        stage.kernel,
        strides=stride,
        padding="same",
        use_bias=False,
        depthwise_initializer=_initializer(),
        name=f"{name}dwconv",
    )(x)
    own = name.removesuffix("_")
    x = _activated(normalised(x, own, f"{own}_bn"), own)
    x = _weighed(x, max(1, inputs // SQUEEZE), name)
    x = _convolution(x, filters, 1, f"{name}project", f"{name}project_conv", activate=False)
    return layers.Add(name=f"{name}add")([x, start]) if stride == 1 and inputs == filters else x


def _weighed(x: Tensor, squeezed: int, name: str) -> Tensor:
    """Multiply each channel with a weight between 0 and 1 that follows from all channels' means."""
    channels = x.shape[-1]
    weight = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}se_squeeze")(x)
    weight = layers.Conv2D(squeezed, 1, activation="silu", kernel_initializer=_initializer(), name=f"{name}se_reduce")(
        weight
    )
    weight = layers.Conv2D(
        channels, 1, activation="sigmoid", kernel_initializer=_initializer(), name=f"{name}se_expand"
    )(weight)
    return layers.Multiply(name=f"{name}se_excite")([x, weight])


def _convolution(
    x: Tensor, filters: int, kernel: int, name: str, conv_name: str, stride: int = 1, activate: bool = True
) -> Tensor:
    x = conv_norm(
        x, filters, conv_name, kernel=kernel, stride=stride, initializer=_initializer(), norm_name=f"{name}_bn"
    )
    return _activated(x, name) if activate else x


def _activated(x: Tensor, name: str) -> Tensor:
    return layers.Activation("silu", name=f"{name}_activation")(x)


def _initializer() -> initializers.Initializer:
    return initializers.VarianceScaling(2.0, mode="fan_out", distribution="truncated_normal")
