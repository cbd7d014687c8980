"""TensorflowUNet3Plus: the UNet 3+ of Huang et al. 2020 (arXiv:2004.08790).

Every level on the way up is made of all levels: the finer and the same of the way down, the coarser of the way up.
The paper has base_filters 64 and num_layers 5. Its deep supervision and its classification-guided module are
`deep_supervision` and `classification_guided`. Nothing drops out of the logits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from keras import layers, ops

from spleenseg.models.blocks import Level, Tensor, conv_norm_act, conv_norm_act_pair, enlarged, levels
from spleenseg.models.supervision import Supervised, side_logits, side_name

if TYPE_CHECKING:
    from spleenseg.config import ModelConfig

PRESENCE = "presence"
PRESENCE_DROPOUT = 0.5


def features(x: Tensor, config: ModelConfig) -> Supervised:
    """Contract, then make each level from the coarsest but one to the finest of all scales.

    Args:
        x: [N, H, W, C], H and W divisible by 2 ** (num_layers - 1).
        config: the model section.

    Returns:
        main [N, H, W, num_layers * base_filters]; if supervised deeply, a side for every level but the finest;
        if guided by classification, logits that say nothing where the organ is not in the image.
    """
    every = levels(config, even_dropout=True)
    encoded = _contracted(x, every, config)
    scales = list(encoded)  # each level's newest: of the way down until the way up has come by
    for level in reversed(every[:-1]):
        scales[level.index] = full_scale(scales, level, config)
    presence = _presence(encoded[-1], config) if config.classification_guided else None
    sides = _sides(scales[1:], presence, config) if config.deep_supervision else ()
    return Supervised(
        main=scales[0],
        sides=sides,
        refine=None if presence is None else lambda logits: Guided(name="logits")([logits, presence]),
    )


def _contracted(x: Tensor, every: list[Level], config: ModelConfig) -> list[Tensor]:
    encoded = []
    for level in every:
        if level.index > 0:
            x = layers.MaxPooling2D(2, name=f"down{level.index - 1}_pool")(x)
        x = conv_norm_act_pair(x, level, config, f"down{level.index}")
        encoded.append(x)
    return encoded


def full_scale(scales: list[Tensor], level: Level, config: ModelConfig) -> Tensor:
    """Bring every scale to this level's size and to `base_filters`, join them, and mix (the paper's figure 2)."""
    name = f"up{level.index}"
    seen = []
    for index, x in enumerate(scales):
        x = _resized(x, index, level.index, f"{name}_from{index}")
        x = _convolved(x, config.base_filters, level, config, f"{name}_from{index}")
        seen.append(x)
    x = layers.Concatenate(name=f"{name}_join")(seen) if len(seen) > 1 else seen[0]
    return _convolved(x, config.base_filters * len(scales), level, config, f"{name}_mix")


def _convolved(x: Tensor, filters: int, level: Level, config: ModelConfig, name: str) -> Tensor:
    return conv_norm_act(x, filters, config, name, kernel=level.kernel, dilation=level.dilation)


def _resized(x: Tensor, index: int, wanted: int, name: str) -> Tensor:
    if index < wanted:
        return layers.MaxPooling2D(2 ** (wanted - index), name=f"{name}_pool")(x)
    return enlarged(x, 2 ** (index - wanted), f"{name}_enlarged")


def _sides(scales: list[Tensor], presence: Tensor | None, config: ModelConfig) -> tuple[Tensor, ...]:
    names = [side_name(number) for number in range(1, len(scales) + 1)]
    if presence is None:
        return tuple(side_logits(x, config, name) for x, name in zip(scales, names, strict=True))
    first = [side_logits(x, config, f"{name}_first") for x, name in zip(scales, names, strict=True)]
    return tuple(Guided(name=name)([logits, presence]) for logits, name in zip(first, names, strict=True))


def _presence(x: Tensor, config: ModelConfig) -> Tensor:
    """Return the logit of each organ's being anywhere in the image, float32 [N, 1, 1, organs]."""
    organs = max(1, config.num_classes - 1)
    x = layers.Dropout(PRESENCE_DROPOUT, name=f"{PRESENCE}_dropout")(x)
    x = layers.Conv2D(organs, 1, dtype="float32", name=f"{PRESENCE}_map")(x)
    return layers.GlobalMaxPooling2D(keepdims=True, dtype="float32", name=PRESENCE)(x)


class Guided(layers.Layer):  # type: ignore[misc]
    """Multiply the probability of each organ in each pixel with that of its presence; all of it in logits.

    The paper multiplies with 0 or 1, which no gradient passes, so that the classification needs a loss of its own.
    The probability itself learns from the segmentation's loss, and below one half no pixel passes either.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"dtype": "float32", **settings})

    def call(self, inputs: list[Tensor]) -> Tensor:
        """Return logits [N, H, W, K] from logits [N, H, W, K] and presence [N, 1, 1, max(1, K - 1)]."""
        logits, presence = inputs
        there, absent = ops.log_sigmoid(presence), ops.log_sigmoid(-presence)
        if logits.shape[-1] == 1:
            yes = ops.log_sigmoid(logits)
            return yes + there - ops.logaddexp(ops.log_sigmoid(-logits), yes + absent)
        log = ops.log_softmax(logits, axis=-1)
        background, organs = log[..., :1], log[..., 1:]
        taken = ops.logsumexp(organs + absent, axis=-1, keepdims=True)
        return ops.concatenate([ops.logaddexp(background, taken), organs + there], axis=-1)

    def compute_output_shape(self, input_shape: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        """Return the shape of the logits."""
        return input_shape[0]
