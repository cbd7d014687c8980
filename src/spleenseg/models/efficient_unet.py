"""TensorflowEfficientUNet: an EfficientNet B0-B7 (Tan & Le 2019, arXiv:1905.11946) contracts, a U-Net expands.

The trunk is as in its paper at every setting; `base_filters`, kernels, dilation, dropout, normalisation and
activation shape the way up, whose five levels start at a sixteenth of the image's size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from spleenseg.models.blocks import Tensor, conv_norm_act_pair, expanded, levels
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
    return with_trunk(x, config.efficientnet, config)


def with_trunk(x: Tensor, size: str, config: ModelConfig) -> Tensor:
    """Contract with an EfficientNet of a size, "B0" to "B7", and expand."""
    *skips, bottom = [x, *efficientnet(x, size)]
    return expanded(bottom, levels(config, len(skips), even_dropout=True), skips, config, conv_norm_act_pair)
