"""Which names `[model] model` accepts. Importing this does not import Keras."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spleenseg.errors import UserError, did_you_mean
from spleenseg.models.requirements import (
    Problems,
    halved_at_every_level,
    halved_at_least_four_times,
    halved_between_levels,
    halved_by_filter_num,
    halved_by_filters,
    halved_five_times,
    halved_four_times,
    more_than_a_pixel,
    more_than_one_level,
    none,
)
from spleenseg.models.swin_levels import swin_problems, swin_stride

if TYPE_CHECKING:
    from spleenseg.config import Config, ModelConfig

PREFIX = "Tensorflow"


@dataclass(frozen=True)
class Architecture:
    """What is known of a network without building it.

    Attributes:
        name: its name in the config.
        paper: where it is described.
        module: the module whose `features(x, config)` builds it.
        stride: what both image sides must be divisible by, from the model section.
        requires: what else is impossible in a model section, as pairs of key and problem.
        encoder_weights: the data set on which others have trained published weights that fit its encoder by the
            names of the layers; None if its encoder is its own.
    """

    name: str
    paper: str
    module: str
    stride: Callable[[ModelConfig], int]
    requires: Callable[[ModelConfig], Problems] = none
    encoder_weights: str | None = None


ARCHITECTURES = (
    Architecture(
        name="TensorflowUNet",
        paper="Ronneberger et al. 2015, U-Net, arXiv:1505.04597",
        module="spleenseg.models.unet",
        stride=halved_between_levels,
    ),
    Architecture(
        name="TensorflowAttentionUNet",
        paper="Oktay et al. 2018, Attention U-Net, arXiv:1804.03999",
        module="spleenseg.models.attention_unet",
        stride=halved_between_levels,
    ),
    Architecture(
        name="TensorflowMultiResUNet",
        paper="Ibtehaz & Rahman 2020, MultiResUNet, arXiv:1902.04049",
        module="spleenseg.models.multires_unet",
        stride=halved_between_levels,
    ),
    Architecture(
        name="TensorflowUNet3Plus",
        paper="Huang et al. 2020, UNet 3+, arXiv:2004.08790",
        module="spleenseg.models.unet3plus",
        stride=halved_between_levels,
    ),
    Architecture(
        name="TensorflowSwinUNet",
        paper="Cao et al. 2021, Swin-Unet, arXiv:2105.05537",
        module="spleenseg.models.swin_unet",
        stride=swin_stride,
        requires=swin_problems,
    ),
    Architecture(
        name="TensorflowEfficientUNet",
        paper="Tan & Le 2019, EfficientNet, arXiv:1905.11946, as the encoder of a U-Net",
        module="spleenseg.models.efficient_unet",
        stride=halved_five_times,
        encoder_weights="ImageNet",
    ),
    Architecture(
        name="TensorflowDeepLabV3Plus",
        paper="Chen et al. 2018, DeepLabv3+, arXiv:1802.02611, on a ResNet-50 (He et al. 2015)",
        module="spleenseg.models.deeplab_v3_plus",
        stride=halved_four_times,
        encoder_weights="ImageNet",
    ),
    Architecture(
        name="TensorflowTransUNet",
        paper="Chen et al. 2021, TransUNet, arXiv:2102.04306",
        module="spleenseg.models.trans_unet",
        stride=halved_by_filter_num,
    ),
    Architecture(
        name="TensorflowU2Net",
        paper="Qin et al. 2020, U^2-Net, arXiv:2005.09007",
        module="spleenseg.models.u2net",
        stride=halved_between_levels,
    ),
    Architecture(
        name="TensorflowSharpUNet",
        paper="Zunair & Ben Hamza 2021, Sharp U-Net, arXiv:2107.12461",
        module="spleenseg.models.sharp_unet",
        stride=halved_by_filters,
    ),
    Architecture(
        name="TensorflowEfficientNetB7UNet",
        paper="Tan & Le 2019, EfficientNet, arXiv:1905.11946, its largest as the encoder of a U-Net",
        module="spleenseg.models.efficientnet_b7_unet",
        stride=halved_five_times,
        encoder_weights="ImageNet",
    ),
    Architecture(
        name="TensorflowBASNet",
        paper="Qin et al. 2019, BASNet, CVPR 7479-7489",
        module="spleenseg.models.basnet",
        stride=halved_at_least_four_times,
    ),
    Architecture(
        name="TensorflowXceptionLikeUNet",
        paper="Chollet 2017, Xception, arXiv:1610.02357, as the encoder of a segmentation network",
        module="spleenseg.models.xception_like_unet",
        stride=halved_at_every_level,
    ),
    Architecture(
        name="ResEncUNet",
        paper="Isensee et al. 2024, nnU-Net Revisited, arXiv:2404.09556",
        module="spleenseg.models.res_enc_unet",
        stride=halved_between_levels,
        requires=more_than_a_pixel,
    ),
    Architecture(
        name="FastUNet",
        paper="our own, of the inverted residuals of Sandler et al. 2018, MobileNetV2, arXiv:1801.04381",
        module="spleenseg.models.fast_unet",
        stride=halved_between_levels,
        requires=more_than_one_level,
    ),
)

NOT_YET = {"Tensorflow3DUNet": "networks here work slice by slice; ResEncUNet and TensorflowUNet come closest"}


def names() -> tuple[str, ...]:
    """Return the names of all architectures, as a config writes them."""
    return tuple(architecture.name for architecture in ARCHITECTURES)


def resolve(name: str) -> Architecture:
    """Return the architecture called `name`, in any case, with or without the prefix "Tensorflow".

    Raises:
        UserError: there is none of that name, and the nearest one is suggested, or not yet.
    """
    wanted = _key(name)
    for awaited, reason in NOT_YET.items():
        if _key(awaited) == wanted:
            raise UserError(f"{awaited} is not built yet: {reason}")
    for architecture in ARCHITECTURES:
        if _key(architecture.name) == wanted:
            return architecture
    spellings = [*names(), *(known.removeprefix(PREFIX) for known in names())]
    raise UserError(f"no model '{name}'{did_you_mean(name, spellings)}; there are: {', '.join(names())}")


def _key(name: str) -> str:
    return name.lower().removeprefix(PREFIX.lower())


def check(config: Config) -> None:
    """Check what of the model section only the registry knows, before any work starts.

    Raises:
        UserError: an unknown model, or a size or settings it cannot work at; it names file, section, key and line.
    """
    try:
        architecture = resolve(config.model.model)
    except UserError as error:
        raise config.error("model", "model", str(error)) from None
    for key, problem in problems(architecture, config.model):
        raise config.error("model", key, problem)


def problems(architecture: Architecture, model: ModelConfig) -> Problems:
    """Return why the architecture cannot be built from a model section: pairs of key and problem."""
    return architecture.requires(model) or _indivisible(architecture, model)


def _indivisible(architecture: Architecture, model: ModelConfig) -> Problems:
    stride = architecture.stride(model)
    sides = {"image_width": model.image_width, "image_height": model.image_height}
    return [
        (key, f"{side} is not divisible by {stride}, as {architecture.name} needs here; {_near(side, stride)} would do")
        for key, side in sides.items()
        if side % stride
    ]


def _near(side: int, stride: int) -> str:
    below = side - side % stride
    return " or ".join(str(good) for good in (below, below + stride) if good)
