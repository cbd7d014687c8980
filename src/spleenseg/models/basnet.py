"""TensorflowBASNet: predict, then refine (Qin et al. 2019, BASNet, CVPR, 7479-7489; arXiv:2101.04704).

A ResNet-34 trunk that does not halve at first, a way up with three convolutions a level, and a second small U
that corrects the first logits; `deep_supervision` trains the logits of every level. With `num_layers` 6 and
`base_filters` 64 it is the paper's network. The trunk's convolutions are always normalised, the others if the
config says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from keras import layers

from spleenseg.models.blocks import Tensor, conv_norm, conv_norm_act, dropout, enlarged, every_second, widened
from spleenseg.models.supervision import Supervised, side_logits, side_name

if TYPE_CHECKING:
    from spleenseg.config import ModelConfig

BLOCKS = (3, 4, 6, 3)  # of ResNet-34; levels below have as many as the last
WIDEST = 8  # times as many filters as the finest level, at most
REFINING_LEVELS = 4


def features(x: Tensor, config: ModelConfig) -> Supervised:
    """Predict logits at every level, refine the finest.

    Args:
        x: [N, H, W, C], H and W divisible by 2 ** (num_layers - 1) and by 16.
        config: the model section.

    Returns:
        [N, H, W, base_filters], what the correction is made of; the sides are the first logits, finest first.
    """
    scales = _expanded(_contracted(x, config), config)
    supervised = scales if config.deep_supervision else scales[:1]
    sides = tuple(side_logits(y, config, side_name(i)) for i, y in enumerate(supervised, start=1))
    first = sides[0]
    return Supervised(
        main=_correction(first, config),
        sides=sides if config.deep_supervision else (),
        refine=lambda correction: layers.Add(dtype="float32", name="logits")([correction, first]),
    )


def _contracted(x: Tensor, config: ModelConfig) -> list[Tensor]:
    """Return the trunk's features, finest first: levels 1 to 3 halve by a stride, further ones by pooling."""
    x = conv_norm_act(x, config.base_filters, config, "entry")
    scales = []
    for level in range(config.num_layers):
        strided = 0 < level < len(BLOCKS)
        if level >= len(BLOCKS):
            x = layers.MaxPooling2D(2, name=f"down{level}_pool")(x)
        for block in range(BLOCKS[min(level, len(BLOCKS) - 1)]):
            stride = 2 if strided and block == 0 else 1
            x = _residual_block(x, widened(level, config, WIDEST), stride, config, f"down{level}_block{block}")
        scales.append(x)
    return scales


def _expanded(scales: list[Tensor], config: ModelConfig) -> list[Tensor]:
    """Return the bridge's features and those of the way up, finest first."""
    bottom = len(scales) - 1
    x = _three(scales[-1], [widened(bottom, config, WIDEST)] * 3, (2, 2, 2), config, "bridge")
    found = [x]
    for level, skip in reversed(list(enumerate(scales))):
        wide, narrow = widened(level, config, WIDEST), widened(level - 1, config, WIDEST)
        if level < bottom:
            x = enlarged(x, 2, f"up{level}_double")
        x = layers.Concatenate(name=f"up{level}_join")([x, skip])
        x = _three(x, [wide, wide, narrow], (1, 2, 2) if level == bottom else (1, 1, 1), config, f"up{level}")
        found.append(x)
    return found[::-1]


def _correction(logits: Tensor, config: ModelConfig) -> Tensor:
    """Return the features of what must be added to the first logits: a U of one convolution a level."""
    x = layers.Conv2D(config.base_filters, 3, padding="same", name="refine_entry")(logits)
    skips = []
    for level in range(REFINING_LEVELS):
        x = conv_norm_act(x, config.base_filters, config, f"refine_down{level}")
        skips.append(x)
        x = layers.MaxPooling2D(2, name=f"refine_down{level}_pool")(x)
    x = conv_norm_act(x, config.base_filters, config, "refine_bottom")
    for level, skip in reversed(list(enumerate(skips))):
        x = layers.Concatenate(name=f"refine_up{level}_join")([enlarged(x, 2, f"refine_up{level}_double"), skip])
        x = conv_norm_act(x, config.base_filters, config, f"refine_up{level}")
    return x


def _three(x: Tensor, filters: list[int], dilations: tuple[int, ...], config: ModelConfig, name: str) -> Tensor:
    for number, (width, dilation) in enumerate(zip(filters, dilations, strict=True), start=1):
        x = conv_norm_act(x, width, config, f"{name}_conv{number}", dilation=dilation)
        if number == 1:
            x = dropout(x, config.dropout_rate, config, f"{name}_dropout")
    return x


def _residual_block(x: Tensor, filters: int, stride: int, config: ModelConfig, name: str) -> Tensor:
    """Convolve twice and add the input, projected where the shape changes (He et al. 2015, ResNet)."""
    start = every_second(x, f"{name}_thin") if stride > 1 else x
    if stride > 1 or x.shape[-1] != filters:
        start = conv_norm(start, filters, f"{name}_project", kernel=1)
    x = conv_norm(x, filters, f"{name}_conv1", stride=stride)
    x = layers.Activation(config.activation, name=f"{name}_act1")(x)
    x = conv_norm(x, filters, f"{name}_conv2")
    return layers.Activation(config.activation, name=f"{name}_act2")(layers.Add(name=f"{name}_add")([x, start]))
