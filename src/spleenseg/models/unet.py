"""TensorflowUNet: the U-Net of Ronneberger, Fischer & Brox 2015 (arXiv:1505.04597), every width a knob.

Against the paper: padded convolutions (the output has the input's size), dropout inside every level, optional
batch normalisation, and the reference's wider, dilated kernels at the finest levels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from spleenseg.models.blocks import Tensor, contracted, convolution_pair, expanded, levels

if TYPE_CHECKING:
    from spleenseg.config import ModelConfig


def features(x: Tensor, config: ModelConfig) -> Tensor:
    """Contract to the coarsest level, expand back, joining each level's features on the way up.

    Args:
        x: [N, H, W, C], H and W divisible by 2 ** (num_layers - 1).
        config: the model section.

    Returns:
        [N, H, W, base_filters]
    """
    *upper, bottom = levels(config)
    x, skips = contracted(x, upper, config, convolution_pair)
    x = convolution_pair(x, bottom, config, "bottom")
    return expanded(x, upper, skips, config, convolution_pair)
