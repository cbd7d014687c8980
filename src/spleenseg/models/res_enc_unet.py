"""ResEncUNet: the residual encoder U-Net of "nnU-Net Revisited" (Isensee et al. 2024, arXiv:2404.09556).

Most of the work is done on the way down, in residual blocks; one convolution a level suffices on the way up.
Instance normalisation and leaky ReLU follow every convolution. The blocks work on slices and on volumes alike:
`contracted` and `expanded` take the number of axes from their input.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from keras import layers

from spleenseg.models.blocks import Tensor, dropout
from spleenseg.models.supervision import Supervised, side_logits, side_name

if TYPE_CHECKING:
    from spleenseg.config import ModelConfig

MOST_FILTERS = {2: 512, 3: 320}  # of any level, by the number of axes
BLOCKS = (1, 3, 4, 6)  # of each level, from the finest; further ones have as many as the last
SLOPE = 0.01  # of the leaky ReLU


def features(x: Tensor, config: ModelConfig) -> Supervised:
    """Contract, expand, and supervise every level of the way up but the coarsest if the config says so.

    Args:
        x: [N, H, W, C], H and W divisible by 2 ** (num_layers - 1).
        config: the model section.

    Returns:
        [N, H, W, base_filters]; the sides count half as much at each coarser level.
    """
    finest, *coarser = expanded(contracted(x, config))
    if not config.deep_supervision:
        return Supervised(finest)
    sides = [side_logits(y, config, side_name(i), kernel=1) for i, y in enumerate(coarser[:-1], start=1)]
    return Supervised(finest, tuple(sides), tuple(0.5**i for i in range(1, len(sides) + 1)))


def contracted(x: Tensor, config: ModelConfig) -> list[Tensor]:
    """Return the features of all levels, finest first, from [N, *sides, C]."""
    x = _convolution(x, config.base_filters, "stem")
    scales = []
    for level in range(config.num_layers):
        filters = min(config.base_filters * 2**level, MOST_FILTERS[_axes(x)])
        for block in range(BLOCKS[min(level, len(BLOCKS) - 1)]):
            stride = 2 if level > 0 and block == 0 else 1
            x = _residual_block(x, filters, stride, config, f"down{level}_block{block}")
        scales.append(x)
    return scales


def expanded(scales: list[Tensor]) -> list[Tensor]:
    """Return the features of the way up, finest first, from those of the way down, finest first."""
    *skips, x = scales
    found = [x]
    for level, skip in reversed(list(enumerate(skips))):
        x = _doubled(x, skip.shape[-1], f"up{level}_double")
        x = layers.Concatenate(name=f"up{level}_join")([x, skip])
        x = _convolution(x, skip.shape[-1], f"up{level}_conv")
        found.append(x)
    return found[::-1]


def _residual_block(x: Tensor, filters: int, stride: int, config: ModelConfig, name: str) -> Tensor:
    """Convolve twice and add the input, averaged and projected where the shape changes (ResNet-D)."""
    start = x
    if stride > 1:
        start = _pooling(x)(stride, name=f"{name}_pool")(start)
    if x.shape[-1] != filters:
        start = _convolution(start, filters, f"{name}_project", kernel=1, activate=False)
    x = _convolution(x, filters, f"{name}_conv1", stride=stride)
    x = dropout(x, config.dropout_rate, config, f"{name}_dropout")
    x = _convolution(x, filters, f"{name}_conv2", activate=False)
    return layers.LeakyReLU(SLOPE, name=f"{name}_act")(layers.Add(name=f"{name}_add")([x, start]))


def _convolution(
    x: Tensor, filters: int, name: str, *, kernel: int = 3, stride: int = 1, activate: bool = True
) -> Tensor:
    convolve = layers.Conv2D if _axes(x) == 2 else layers.Conv3D
    x = convolve(
        filters,
        kernel,
        strides=stride,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=name,
    )(x)
    x = layers.GroupNormalization(groups=-1, epsilon=1e-5, name=f"{name}_norm")(x)
    return layers.LeakyReLU(SLOPE, name=f"{name}_act")(x) if activate else x


def _doubled(x: Tensor, filters: int, name: str) -> Tensor:
    double = layers.Conv2DTranspose if _axes(x) == 2 else layers.Conv3DTranspose
    return double(filters, 2, strides=2, padding="same", name=name)(x)


def _pooling(x: Tensor) -> Any:
    return layers.AveragePooling2D if _axes(x) == 2 else layers.AveragePooling3D


def _axes(x: Tensor) -> int:
    return len(x.shape) - 2
