"""TensorflowXceptionLikeUNet: separable convolutions with residuals, down and up (Xception, arXiv:1610.02357).

As the reference has it, after an example of the Keras project: every level halves, also the first; the way up
joins nothing but its own residuals. Batch normalisation follows every convolution whatever the config says.
Adding before enlarging gives what adding after it would, for a quarter of the work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from keras import layers

from spleenseg.models.blocks import Level, Tensor, dropout, every_second, levels, normalised

if TYPE_CHECKING:
    from spleenseg.config import ModelConfig


def features(x: Tensor, config: ModelConfig) -> Tensor:
    """Halve `num_layers` times, then double as often.

    Args:
        x: [N, H, W, C], H and W divisible by 2 ** num_layers.
        config: the model section.

    Returns:
        [N, H, W, base_filters]
    """
    first, *further = levels(config, even_dropout=True)
    x = layers.Conv2D(first.filters, first.kernel, strides=2, padding="same", use_bias=False, name="entry_conv")(x)
    x = layers.Activation(config.activation, name="entry_act")(normalised(x, "entry"))
    for level in further:
        x = _halved(x, level, config, f"down{level.index}")
    for level in reversed([first, *further]):
        x = _doubled(x, level, config, f"up{level.index}")
    return x


def _halved(x: Tensor, level: Level, config: ModelConfig, name: str) -> Tensor:
    start = layers.Conv2D(level.filters, 1, name=f"{name}_project")(every_second(x, f"{name}_thin"))
    x = _twice(layers.SeparableConv2D, x, level, config, name)
    x = layers.MaxPooling2D(3, strides=2, padding="same", name=f"{name}_pool")(x)
    return layers.Add(name=f"{name}_add")([x, start])


def _doubled(x: Tensor, level: Level, config: ModelConfig, name: str) -> Tensor:
    start = layers.Conv2D(level.filters, 1, name=f"{name}_project")(x)
    x = _twice(layers.Conv2D, x, level, config, name)
    x = layers.Add(name=f"{name}_add")([x, start])
    return layers.UpSampling2D(2, name=f"{name}_double")(x)


def _twice(kind: type[layers.Layer], x: Tensor, level: Level, config: ModelConfig, name: str) -> Tensor:
    """Activate, convolve, normalise, twice, dropout between."""
    for number in (1, 2):
        x = layers.Activation(config.activation, name=f"{name}_act{number}")(x)
        x = kind(
            level.filters,
            level.kernel,
            dilation_rate=level.dilation,
            padding="same",
            use_bias=False,
            name=f"{name}_conv{number}",
        )(x)
        x = normalised(x, f"{name}_conv{number}")
        if number == 1:
            x = dropout(x, level.dropout, config, f"{name}_dropout")
    return x
