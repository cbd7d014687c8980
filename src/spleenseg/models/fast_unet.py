"""FastUNet: a U-Net for processors without accelerator, our own.

What costs time there is memory touched at full resolution, and multiplications; what organs need is a wide view and
a sharp edge. So two strided convolutions bring the image to a quarter of its size before the work begins; the work
is done by inverted residuals (Sandler et al. 2018, MobileNetV2, arXiv:1801.04381) with 5x5 filters, which see far
for little; the way up adds instead of joining, and ends at half the size, where the first convolution's features
sharpen the edge. Logits are enlarged from there. Every convolution is normalised: at inference that costs nothing,
for it folds into the convolution.

With `base_filters` 16 and `num_layers` 6 an image of 512x512 takes 2.3 GFLOP, a nineteenth of the reference's U-Net.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from keras import layers

from spleenseg.models.blocks import Tensor, conv_norm, dropout, enlarged, normalised
from spleenseg.models.supervision import Supervised, side_logits, side_name

if TYPE_CHECKING:
    from spleenseg.config import ModelConfig

WIDEST = 16  # times as many filters as at half the size, at most
EXPANSION = 2
KERNEL = 5  # of the filters of single channels


def features(x: Tensor, config: ModelConfig) -> Supervised:
    """Contract fast, look around at the coarse levels, expand to half the size.

    Every level of the way up but the finest is supervised if the config says so.

    Args:
        x: [N, H, W, C], H and W divisible by 2 ** (num_layers - 1).
        config: the model section.

    Returns:
        [N, H / 2, W / 2, base_filters]; the sides count half as much at each coarser level.
    """
    half, *skips = _contracted(x, config)
    x = skips.pop() if skips else half
    coarser: list[Tensor] = []
    for level, skip in reversed(list(enumerate(skips, start=2))):
        x = _added(x, skip, config, f"up{level}")
        x = _inverted_residual(x, config, f"up{level}_block")
        coarser.insert(0, x)
    if x is not half:
        x = _added(x, half, config, "up1")
    finest = _convolution(x, config.base_filters, 3, config, "up1_conv")
    if not config.deep_supervision:
        return Supervised(finest)
    sides = [side_logits(y, config, side_name(number), kernel=1) for number, y in enumerate(coarser, start=1)]
    return Supervised(finest, tuple(sides), tuple(0.5**number for number in range(1, len(sides) + 1)))


def _contracted(x: Tensor, config: ModelConfig) -> list[Tensor]:
    """Return the features at 1/2, 1/4 and so on; from a quarter on, two blocks follow each halving (one at first)."""
    scales = []
    for level in range(1, config.num_layers):
        filters = config.base_filters * min(2 ** (level - 1), WIDEST)
        x = _convolution(x, filters, 3 if level <= 2 else 2, config, f"down{level}_halve", stride=2)
        for block in range(min(level - 1, 2)):
            x = _inverted_residual(x, config, f"down{level}_block{block}")
        scales.append(x)
    return scales


def _added(x: Tensor, skip: Tensor, config: ModelConfig, name: str) -> Tensor:
    """Bring features of half the size to the shape of `skip`, and add it."""
    x = _convolution(x, skip.shape[-1], 1, config, f"{name}_narrow")
    return layers.Add(name=f"{name}_add")([enlarged(x, 2, f"{name}_double"), skip])


def _inverted_residual(x: Tensor, config: ModelConfig, name: str) -> Tensor:
    """Widen, filter each channel by itself, narrow, add the input."""
    filters = x.shape[-1]
    y = _convolution(x, EXPANSION * filters, 1, config, f"{name}_widen")
    y = layers.DepthwiseConv2D(KERNEL, padding="same", use_bias=False, name=f"{name}_filter")(y)
    y = layers.Activation(config.activation, name=f"{name}_filter_act")(normalised(y, f"{name}_filter"))
    y = dropout(y, config.dropout_rate, config, f"{name}_dropout")
    y = _convolution(y, filters, 1, config, f"{name}_narrow", activate=False)
    return layers.Add(name=f"{name}_add")([x, y])


def _convolution(
    x: Tensor, filters: int, kernel: int, config: ModelConfig, name: str, *, stride: int = 1, activate: bool = True
) -> Tensor:
    x = conv_norm(x, filters, name, kernel=kernel, stride=stride)
    return layers.Activation(config.activation, name=f"{name}_act")(x) if activate else x
