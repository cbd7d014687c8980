"""Which names `[model] model` accepts. Importing this does not import Keras."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spleenseg.errors import UserError, did_you_mean
from spleenseg.models.requirements import Problems, halved_between_levels, halved_five_times, none

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
    """

    name: str
    paper: str
    module: str
    stride: Callable[[ModelConfig], int]
    requires: Callable[[ModelConfig], Problems] = none


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
        name="TensorflowEfficientUNet",
        paper="Tan & Le 2019, EfficientNet, arXiv:1905.11946, as the encoder of a U-Net",
        module="spleenseg.models.efficient_unet",
        stride=halved_five_times,
    ),
)


def names() -> tuple[str, ...]:
    """Return the names of all architectures, as a config writes them."""
    return tuple(architecture.name for architecture in ARCHITECTURES)


def resolve(name: str) -> Architecture:
    """Return the architecture called `name`, in any case, with or without the prefix "Tensorflow".

    Raises:
        UserError: there is none of that name; the nearest one is suggested.
    """
    wanted = _key(name)
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
        (key, f"{side} is not divisible by {stride}, as {architecture.name} needs at these settings")
        for key, side in sides.items()
        if side % stride
    ]
