"""TensorflowU2Net: a U of residual U-blocks (Qin et al. 2020, U^2-Net, arXiv:2005.09007).

With `num_layers` 6 and `base_filters` 64 it is the paper's network. Its logits are a weighted sum of the logits of
all levels, which `deep_supervision` trains as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from keras import layers

from spleenseg.models.blocks import Tensor, conv_norm_act, dropout, enlarged, widened
from spleenseg.models.supervision import Supervised, side_logits, side_name

if TYPE_CHECKING:
    from spleenseg.config import ModelConfig

WIDEST = 8  # times as many filters as the finest level, at most
FLAT = 2  # this many levels at the bottom dilate instead of halving within the block
FLAT_DILATIONS = (1, 2, 4, 8)
LEAST_HEIGHT = 4


@dataclass(frozen=True)
class Block:
    """A residual U-block.

    Attributes:
        inside: channels within.
        outputs: channels of its result.
        height: convolutions on its way down; at each but the first two and the last the size is halved.
        flat: dilate instead, at one size.
    """

    inside: int
    outputs: int
    height: int
    flat: bool


def features(x: Tensor, config: ModelConfig) -> Supervised:
    """Contract and expand with a block at each level, and join the logits of all levels.

    Args:
        x: [N, H, W, C], H and W divisible by 2 ** (num_layers - 1).
        config: the model section.

    Returns:
        [N, H, W, num_layers * num_classes]; the sides are the logits of the levels, finest first.
    """
    skips: list[Tensor] = []
    for level in range(config.num_layers):
        if level > 0:
            x = layers.MaxPooling2D(2, name=f"down{level}_halve")(x)
        x = _block(x, _on_the_way_down(level, config), config, f"down{level}")
        skips.append(x)
    scales = [skips.pop()]
    for level, skip in reversed(list(enumerate(skips))):
        x = layers.Concatenate(name=f"up{level}_join")([enlarged(x, 2, f"up{level}_double"), skip])
        x = _block(x, _on_the_way_up(level, config), config, f"up{level}")
        scales.append(x)
    sides = tuple(side_logits(y, config, side_name(i)) for i, y in enumerate(reversed(scales), start=1))
    joined = layers.Concatenate(dtype="float32", name="sides_join")(sides) if sides[1:] else sides[0]
    return Supervised(joined, sides if config.deep_supervision else ())


def _on_the_way_down(level: int, config: ModelConfig) -> Block:
    wide, flat = widened(level, config, WIDEST), level >= config.num_layers - FLAT
    return Block(max(wide // (2 if flat or level == 0 else 4), 1), wide, _height(level, config), flat)


def _on_the_way_up(level: int, config: ModelConfig) -> Block:
    wide, flat = widened(level, config, WIDEST), level >= config.num_layers - FLAT
    return Block(max(wide // (2 if flat else 4), 1), widened(level - 1, config, WIDEST), _height(level, config), flat)


def _height(level: int, config: ModelConfig) -> int:
    return max(config.num_layers + 1 - level, LEAST_HEIGHT)


def _block(x: Tensor, block: Block, config: ModelConfig, name: str) -> Tensor:
    start = conv_norm_act(x, block.outputs, config, f"{name}_in")
    inner = _flat_u(start, block, config, name) if block.flat else _u(start, block, config, name)
    inner = dropout(inner, config.dropout_rate, config, f"{name}_dropout")
    return layers.Add(name=f"{name}_add")([inner, start])


def _u(x: Tensor, block: Block, config: ModelConfig, name: str) -> Tensor:
    """Halve `height - 2` times, dilate at the bottom, double back."""
    skips: list[Tensor] = []
    for depth in range(1, block.height):
        if depth > 1:
            x = layers.MaxPooling2D(2, padding="same", name=f"{name}_pool{depth}")(x)
        x = conv_norm_act(x, block.inside, config, f"{name}_narrow{depth}")
        skips.append(x)
    x = conv_norm_act(x, block.inside, config, f"{name}_bottom", dilation=2)
    for depth, skip in reversed(list(enumerate(skips, start=1))):
        if depth < block.height - 1:
            x = enlarged(x, 2, f"{name}_double{depth}")
        x = layers.Concatenate(name=f"{name}_join{depth}")([x, skip])
        x = conv_norm_act(x, block.outputs if depth == 1 else block.inside, config, f"{name}_wide{depth}")
    return x


def _flat_u(x: Tensor, block: Block, config: ModelConfig, name: str) -> Tensor:
    """Dilate by 1, 2, 4, 8 and back, at one size."""
    *dilations, last = FLAT_DILATIONS
    skips: list[Tensor] = []
    for dilation in dilations:
        x = conv_norm_act(x, block.inside, config, f"{name}_narrow{dilation}", dilation=dilation)
        skips.append(x)
    x = conv_norm_act(x, block.inside, config, f"{name}_bottom", dilation=last)
    for dilation, skip in zip(reversed(dilations), reversed(skips), strict=True):
        x = layers.Concatenate(name=f"{name}_join{dilation}")([x, skip])
        filters = block.outputs if dilation == 1 else block.inside
        x = conv_norm_act(x, filters, config, f"{name}_wide{dilation}", dilation=dilation)
    return x
