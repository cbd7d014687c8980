"""TensorflowSwinUNet: the Swin-Unet of Cao et al. 2021 (arXiv:2105.05537).

A U-Net of transformers: patches are tokens, whose grid is merged on the way down and expanded on the way up; at
every level blocks attend within windows. The paper's tiny network has filter_num_begin 96, num_heads [3,6,12,24],
window_size 7 and num_mlp [384,768,1536,3072].
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from keras import layers

from spleenseg.models.blocks import Tensor, dropout
from spleenseg.models.swin_levels import SwinLevel, patch, swin_levels
from spleenseg.models.window_attention import WindowAttention

if TYPE_CHECKING:
    from spleenseg.config import ModelConfig

EPSILON = 1e-5


def features(x: Tensor, config: ModelConfig) -> Tensor:
    """Cut into patches, merge to the coarsest grid, expand back, joining each level's tokens on the way up.

    Args:
        x: [N, H, W, C], H and W divisible by the patch's sides times 2 ** (depth - 1).
        config: the model section.

    Returns:
        [N, H, W, filter_num_begin]
    """
    *upper, bottom = swin_levels(config)
    size = patch(config)
    x = _normalised(layers.Conv2D(config.filter_num_begin, size, strides=size, name="embed")(x), "embed_norm")
    skips = []
    for level in upper:
        x = stack(x, level, config.stack_num_down, config, f"down{level.index}")
        skips.append(x)
        x = merged(x, 2 * level.filters, f"down{level.index}_merge")
    x = stack(x, bottom, config.stack_num_down, config, "bottom")
    x = _normalised(x, "bottom_norm")
    for level, skip in zip(reversed(upper), reversed(skips), strict=True):
        x = expanded(x, (2, 2), level.filters, f"up{level.index}_expand")
        x = layers.Concatenate(name=f"up{level.index}_join")([x, skip])
        x = layers.Dense(level.filters, name=f"up{level.index}_mix")(x)
        x = stack(x, level, config.stack_num_up, config, f"up{level.index}")
    return expanded(_normalised(x, "up_norm"), size, config.filter_num_begin, "pixels")


def stack(x: Tensor, level: SwinLevel, count: int, config: ModelConfig, name: str) -> Tensor:
    """Apply `count` blocks, the windows of every second one shifted."""
    for number in range(1, count + 1):
        shifted = config.shift_window and number % 2 == 0
        x = block(x, level, shifted, config, f"{name}_block{number}")
    return x


def block(x: Tensor, level: SwinLevel, shifted: bool, config: ModelConfig, name: str) -> Tensor:
    """Add what attention finds within windows, then what a perceptron makes of each token (the paper's figure 2)."""
    found = _normalised(x, f"{name}_norm1")
    found = WindowAttention(level.heads, level.window, shifted, name=f"{name}_attention")(found)
    found = dropout(found, config.dropout_rate, config, f"{name}_dropout1")
    x = layers.Add(name=f"{name}_attended")([x, found])
    found = _normalised(x, f"{name}_norm2")
    found = layers.Dense(level.nodes, activation="gelu", name=f"{name}_mlp1")(found)
    found = layers.Dense(level.filters, name=f"{name}_mlp2")(found)
    found = dropout(found, config.dropout_rate, config, f"{name}_dropout2")
    return layers.Add(name=f"{name}_out")([x, found])


def merged(x: Tensor, filters: int, name: str) -> Tensor:
    """Make one token of each 2x2."""
    _, height, width, channels = x.shape
    x = layers.Reshape((height // 2, 2, width // 2, 2, channels), name=f"{name}_cut")(x)
    x = layers.Permute((1, 3, 2, 4, 5), name=f"{name}_turn")(x)
    x = layers.Reshape((height // 2, width // 2, 4 * channels), name=f"{name}_flat")(x)
    return layers.Dense(filters, use_bias=False, name=name)(_normalised(x, f"{name}_norm"))


def expanded(x: Tensor, factors: tuple[int, int], filters: int, name: str) -> Tensor:
    """Make of each token as many as `factors` (down, across) say."""
    _, height, width, _ = x.shape
    down, across = factors
    x = layers.Dense(down * across * filters, use_bias=False, name=name)(x)
    x = layers.Reshape((height, width, down, across, filters), name=f"{name}_cut")(x)
    x = layers.Permute((1, 3, 2, 4, 5), name=f"{name}_turn")(x)
    x = layers.Reshape((height * down, width * across, filters), name=f"{name}_flat")(x)
    return _normalised(x, f"{name}_norm")


def _normalised(x: Tensor, name: str) -> Tensor:
    return layers.LayerNormalization(epsilon=EPSILON, name=name)(x)
