"""TensorflowDeepLabV3Plus: the DeepLabv3+ of Chen et al. 2018 (arXiv:1802.02611) on a ResNet-50, output stride 16.

With the default base_filters of 16 the widths are the paper's: 256, and 48 for the fine features. The trunk and the
atrous rates are as in the paper at every setting.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from keras import layers

from spleenseg.models.blocks import Tensor, conv_norm_act, dropout, enlarged, norm_act
from spleenseg.models.resnet import resnet50

if TYPE_CHECKING:
    from spleenseg.config import ModelConfig

RATES = (6, 12, 18)
WIDTH, FINE_WIDTH = 16, 3  # times base_filters


def features(x: Tensor, config: ModelConfig) -> Tensor:
    """Look at the coarse features at several scales, then sharpen them with fine ones.

    Args:
        x: [N, H, W, C], H and W divisible by 16.
        config: the model section.

    Returns:
        [N, H / 4, W / 4, 16 * base_filters]; their logits are enlarged, as in the paper.
    """
    fine, *_, coarse = resnet50(x)
    x = enlarged(pyramid(coarse, config), 4, "coarse_enlarged")
    fine = conv_norm_act(fine, FINE_WIDTH * config.base_filters, config, "fine", kernel=1)
    x = layers.Concatenate(name="decoder_join")([x, fine])
    x = separable(x, 1, config, "decoder_conv1")
    return separable(x, 1, config, "decoder_conv2")


def pyramid(x: Tensor, config: ModelConfig) -> Tensor:
    """Join a 1x1 convolution, separable ones at three rates, and the image's mean (ASPP)."""
    width = WIDTH * config.base_filters
    seen = [
        conv_norm_act(x, width, config, "aspp_1x1", kernel=1),
        *(separable(x, rate, config, f"aspp_rate{rate}") for rate in RATES),
        _mean(x, width, config),
    ]
    x = layers.Concatenate(name="aspp_join")(seen)
    x = conv_norm_act(x, width, config, "aspp", kernel=1)
    return dropout(x, config.dropout_rate, config, "aspp_dropout")


def separable(x: Tensor, rate: int, config: ModelConfig, name: str) -> Tensor:
    """Convolve each channel alone, 3x3 at a rate, then mix them: an atrous separable convolution."""
    x = layers.SeparableConv2D(
        WIDTH * config.base_filters,
        3,
        dilation_rate=rate,
        padding="same",
        use_bias=not config.normalization,
        depthwise_initializer="he_normal",
        pointwise_initializer="he_normal",
        name=name,
    )(x)
    return norm_act(x, config, name)


def _mean(x: Tensor, width: int, config: ModelConfig) -> Tensor:
    """Give every place what the image holds on average; not normalised: one value an image has no spread."""
    height, across = x.shape[1:3]
    x = layers.GlobalAveragePooling2D(keepdims=True, name="aspp_mean")(x)
    x = layers.Conv2D(width, 1, activation=config.activation, kernel_initializer="he_normal", name="aspp_mean_conv")(x)
    return layers.UpSampling2D((height, across), name="aspp_mean_everywhere")(x)
