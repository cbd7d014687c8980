"""TensorflowSharpUNet: a U-Net that sharpens what it passes across (Zunair & Ben Hamza 2021, arXiv:2107.12461)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from keras import layers, ops

from spleenseg.models.blocks import Level, Tensor, contracted, convolution_pair, expanded, shrunk

if TYPE_CHECKING:
    from spleenseg.config import ModelConfig

SHARPENING = ((-1, -1, -1), (-1, 8, -1), (-1, -1, -1))


def features(x: Tensor, config: ModelConfig) -> Tensor:
    """Contract, expand, joining each level's sharpened features on the way up.

    Args:
        x: [N, H, W, C], H and W divisible by 2 for each entry of `filters`.
        config: the model section.

    Returns:
        [N, H, W, filters[0]]
    """
    *upper, bottom = _levels(config)
    x, skips = contracted(x, upper, config, convolution_pair)
    x = convolution_pair(x, bottom, config, "bottom")
    return expanded(x, upper, skips, config, convolution_pair, across=_sharpened)


def _sharpened(skip: Tensor, below: Tensor, level: Level) -> Tensor:
    return Sharpen(name=f"down{level.index}_sharpen")(skip)


def _levels(config: ModelConfig) -> list[Level]:
    """Return the levels, finest first, with the widths the model section lists."""
    return [
        Level(index, filters, config.base_ksize, shrunk(config.dilation, index, 1), config.dropout_rate)
        for index, filters in enumerate([*config.filters, config.max_filter])
    ]


class Sharpen(layers.Layer):  # type: ignore[misc]
    """Filter each channel with a fixed kernel that answers to edges and gives zero where nothing changes."""

    def call(self, x: Tensor) -> Tensor:
        """Return [N, H, W, C] from [N, H, W, C]."""
        kernel = np.tile(np.array(SHARPENING, np.float32)[..., None, None], (1, 1, x.shape[-1], 1))
        return ops.depthwise_conv(x, ops.cast(ops.convert_to_tensor(kernel), x.dtype), padding="same")

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape unchanged."""
        return input_shape

    def multiply_adds(self) -> int:
        """Return how often an image makes it multiply."""
        _, height, width, channels = self.input.shape
        return int(9 * height * width * channels)
