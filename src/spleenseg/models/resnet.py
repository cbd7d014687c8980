"""The ResNet-50 trunk of He et al. 2015 (arXiv:1512.03385), its last stage dilated instead of halved.

Layers are called and padded as in `keras.applications`, so that weights trained there fit by name; only the biases
of its convolutions are left out, as in the paper, for the normalisation after each takes them away again.
"""

from __future__ import annotations

from dataclasses import dataclass

from keras import layers

from spleenseg.models.batch_norm import BatchNormalization
from spleenseg.models.blocks import NORM_MOMENTUM, Tensor

EPSILON = 1.001e-5
WIDER = 4  # a bottleneck block gives four times the channels it works in


@dataclass(frozen=True)
class Stage:
    """`blocks` bottlenecks of `filters`, called conv{number}, the first with the stride."""

    number: int
    blocks: int
    filters: int
    stride: int = 1
    dilation: int = 1


STAGES = (
    Stage(number=2, blocks=3, filters=64),
    Stage(number=3, blocks=4, filters=128, stride=2),
    Stage(number=4, blocks=6, filters=256, stride=2),
    Stage(number=5, blocks=3, filters=512, dilation=2),
)


def resnet50(x: Tensor) -> list[Tensor]:
    """Return features of the stages conv2 to conv5: at 1/4, 1/8, 1/16 and again 1/16 of the image.

    Args:
        x: [N, H, W, C], H and W divisible by 16.
    """
    x = layers.ZeroPadding2D(3, name="conv1_pad")(x)
    x = _convolution(x, 64, 7, "conv1", stride=2, padding="valid")
    x = layers.ZeroPadding2D(1, name="pool1_pad")(layers.Activation("relu", name="conv1_relu")(x))
    x = layers.MaxPooling2D(3, strides=2, name="pool1_pool")(x)
    found = []
    for stage in STAGES:
        for number in range(1, stage.blocks + 1):
            x = _bottleneck(x, stage, number)
        found.append(x)
    return found


def _bottleneck(x: Tensor, stage: Stage, number: int) -> Tensor:
    """Narrow, convolve, widen, and add the input: as it is, or projected in a stage's first block."""
    name = f"conv{stage.number}_block{number}"
    stride = stage.stride if number == 1 else 1
    shortcut = x
    if number == 1:
        shortcut = _convolution(x, WIDER * stage.filters, 1, f"{name}_0", stride=stride)
    x = _convolution(x, stage.filters, 1, f"{name}_1", stride=stride)
    x = layers.Activation("relu", name=f"{name}_1_relu")(x)
    x = _convolution(x, stage.filters, 3, f"{name}_2", dilation=stage.dilation)
    x = layers.Activation("relu", name=f"{name}_2_relu")(x)
    x = _convolution(x, WIDER * stage.filters, 1, f"{name}_3")
    x = layers.Add(name=f"{name}_add")([shortcut, x])
    return layers.Activation("relu", name=f"{name}_out")(x)


def _convolution(
    x: Tensor, filters: int, kernel: int, name: str, *, stride: int = 1, dilation: int = 1, padding: str = "same"
) -> Tensor:
    x = layers.Conv2D(
        filters,
        kernel,
        strides=stride,
        dilation_rate=dilation,
        padding=padding,
        use_bias=False,
        kernel_initializer="he_normal",
        name=f"{name}_conv",
    )(x)
    return BatchNormalization(momentum=NORM_MOMENTUM, epsilon=EPSILON, name=f"{name}_bn")(x)
