"""TensorflowUNet: the U-Net of Ronneberger, Fischer & Brox 2015 (arXiv:1505.04597), every width a knob.

Against the paper: padded convolutions (the output has the input's size), dropout inside every level, optional
batch normalisation, and the reference's wider, dilated kernels at the finest levels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from keras import layers

from spleenseg.models.blocks import Tensor, convolution_pair, doubled, levels

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
    skips = []
    for level in upper:
        x = convolution_pair(x, level, config, f"down{level.index}")
        skips.append(x)
        x = layers.MaxPooling2D(2, name=f"down{level.index}_pool")(x)
    x = convolution_pair(x, bottom, config, "bottom")
    for level, skip in zip(reversed(upper), reversed(skips), strict=True):
        x = doubled(x, level.filters, f"up{level.index}_double")
        x = layers.Concatenate(name=f"up{level.index}_join")([x, skip])
        x = convolution_pair(x, level, config, f"up{level.index}")
    return x
