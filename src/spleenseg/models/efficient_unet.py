"""TensorflowEfficientUNet: an EfficientNet B0-B7 (Tan & Le 2019, arXiv:1905.11946) contracts, a U-Net expands.

The trunk is as in its paper at every setting; `base_filters`, kernels, dilation, dropout, normalisation and
activation shape the way up, whose five levels start at a sixteenth of the image's size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from keras import layers

from spleenseg.models.blocks import Tensor, conv_norm_act_pair, doubled, levels
from spleenseg.models.efficientnet import efficientnet

if TYPE_CHECKING:
    from spleenseg.config import ModelConfig


def features(x: Tensor, config: ModelConfig) -> Tensor:
    """Contract to 1/32, expand back, joining the trunk's features and at last the image itself.

    Args:
        x: [N, H, W, C], H and W divisible by 32.
        config: the model section.

    Returns:
        [N, H, W, base_filters]
    """
    return expanded([x, *efficientnet(x, config.efficientnet)], config)


def expanded(scales: list[Tensor], config: ModelConfig) -> Tensor:
    """Double from the last of `scales` (finest first) to the first, joining each on the way."""
    *skips, x = scales
    for level, skip in zip(reversed(levels(config, len(skips), even_dropout=True)), reversed(skips), strict=True):
        x = doubled(x, level.filters, f"up{level.index}_double")
        x = layers.Concatenate(name=f"up{level.index}_join")([x, skip])
        x = conv_norm_act_pair(x, level, config, f"up{level.index}")
    return x
