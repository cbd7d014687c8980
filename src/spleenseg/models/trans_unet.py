"""TensorflowTransUNet: a transformer at the bottom of a U-Net (Chen et al. 2021, arXiv:2102.04306).

Convolutions contract by `filter_num`; each pixel of what they leave is a token of a vision transformer (ViT,
arXiv:2010.11929), and its tokens, laid out as an image again, are expanded as in a U-Net. With four widths a token
stands for 16x16 pixels, as in the paper, which contracts with a ResNet-50 instead of plain levels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from keras import layers, ops

from spleenseg.models.blocks import Level, Tensor, conv_norm_act, conv_norm_act_pair, dropout, enlarged, shrunk

if TYPE_CHECKING:
    from spleenseg.config import ModelConfig

GRID = 14  # positions are learned for 14x14 tokens, as ViT's, and stretched over as many as there are
HEADS, NODES = 12, 3072  # of ViT-Base


def features(x: Tensor, config: ModelConfig) -> Tensor:
    """Contract, let all places attend to each other, expand, joining each level's features on the way up.

    Args:
        x: [N, H, W, C], H and W divisible by 2 for each entry of `filter_num`.
        config: the model section.

    Returns:
        [N, H, W, filter_num[0]]
    """
    levels = _levels(config)
    skips = []
    for level in levels:
        x = conv_norm_act_pair(x, level, config, f"down{level.index}")
        skips.append(x)
        x = layers.MaxPooling2D(2, name=f"down{level.index}_pool")(x)
    x = _transformed(x, config)
    x = conv_norm_act(x, levels[-1].filters, config, "bottom_conv")
    for level, skip in zip(reversed(levels), reversed(skips), strict=True):
        x = layers.Concatenate(name=f"up{level.index}_join")([enlarged(x, 2, f"up{level.index}_double"), skip])
        x = conv_norm_act_pair(x, level, config, f"up{level.index}")
    return x


def _levels(config: ModelConfig) -> list[Level]:
    return [
        Level(
            index=index,
            filters=filters,
            kernel=shrunk(config.base_kernels, 2 * index, 3),
            dilation=shrunk(config.dilation, index, 1),
            dropout=config.dropout_rate,
        )
        for index, filters in enumerate(config.filter_num)
    ]


def _transformed(x: Tensor, config: ModelConfig) -> Tensor:
    """Return [N, h, w, embed_dim] from [N, h, w, any]: embed, say where, `num_transformer` blocks, normalise."""
    _, height, width, _ = x.shape
    x = layers.Conv2D(config.embed_dim, 1, name="tokens_embed")(x)
    x = Positions(name="tokens_positions")(x)
    x = layers.Reshape((height * width, config.embed_dim), name="tokens_flat")(x)
    x = dropout(x, config.dropout_rate, config, "tokens_dropout")
    for number in range(config.num_transformer):
        x = _transformer_block(x, config, f"transformer{number}")
    x = layers.LayerNormalization(epsilon=1e-6, name="bottom_norm")(x)
    return layers.Reshape((height, width, config.embed_dim), name="bottom_image")(x)


def _transformer_block(x: Tensor, config: ModelConfig, name: str) -> Tensor:
    """Attend, then transform each token, each after a normalisation and beside a shortcut."""
    heads = _single(config.num_heads, HEADS)
    y = layers.LayerNormalization(epsilon=1e-6, name=f"{name}_norm1")(x)
    y = layers.MultiHeadAttention(heads, max(config.embed_dim // heads, 1), name=f"{name}_attention")(y, y)
    y = dropout(y, config.dropout_rate, config, f"{name}_dropout1")
    x = layers.Add(name=f"{name}_add1")([x, y])
    y = layers.LayerNormalization(epsilon=1e-6, name=f"{name}_norm2")(x)
    y = layers.Dense(_single(config.num_mlp, NODES), activation="gelu", name=f"{name}_dense1")(y)
    y = layers.Dense(config.embed_dim, name=f"{name}_dense2")(y)
    y = dropout(y, config.dropout_rate, config, f"{name}_dropout2")
    return layers.Add(name=f"{name}_add2")([x, y])


def _single(value: int | tuple[int, ...] | None, usual: int) -> int:
    """Return a number the config may hold as one, as a list of one, or not at all."""
    if value is None:
        return usual
    return value[0] if isinstance(value, tuple) else value


class Positions(layers.Layer):  # type: ignore[misc]
    """Adds to every token what was learned for its place."""

    def build(self, input_shape: Any) -> None:
        """Make the weights, [1, 14, 14, channels], whatever the size."""
        self.places = self.add_weight(
            shape=(1, GRID, GRID, input_shape[-1]), initializer="truncated_normal", name="places"
        )

    def call(self, x: Tensor) -> Tensor:
        """Return [N, h, w, C] from [N, h, w, C]."""
        places = ops.image.resize(self.places, x.shape[1:3], interpolation="bilinear", data_format="channels_last")
        return x + ops.cast(places, x.dtype)

    def multiply_adds(self) -> int:
        """Return 0: it adds."""
        return 0
