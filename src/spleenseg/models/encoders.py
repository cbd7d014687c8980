"""Encoders of others' making: which published weights fit them, and where these are looked for.

Importing this is light, so that a missing file is known before any work starts.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from spleenseg.errors import UserError
from spleenseg.models.registry import resolve
from spleenseg.models.run_folder import MANIFEST_NAME

if TYPE_CHECKING:
    from spleenseg.config import Config, ModelConfig

Colours = tuple[float, float, float]  # red, green, blue
PUBLISHED = "https://storage.googleapis.com"


@dataclass(frozen=True)
class Encoder:
    """A trunk whose layers are called as in `keras.applications`, and how its images were normalised there.

    Attributes:
        title: what people call it.
        file: name of the published file, without the classifier.
        folder: where it is published, below `PUBLISHED`.
        layers: what the names of its layers begin with.
        stem: its first convolution, and the normalisation after it, by name.
        mean, deviation: of the colours it was trained on, where white is 1.
        backwards: it was trained on blue, green, red.
    """

    title: str
    file: str
    folder: str
    layers: tuple[str, ...]
    stem: tuple[str, str]
    mean: Colours
    deviation: Colours
    backwards: bool = False

    @property
    def address(self) -> str:
        """Where the file is published."""
        return f"{PUBLISHED}/{self.folder}/{self.file}"

    @property
    def place(self) -> Path:
        """Where Keras keeps the file once someone fetched it."""
        home = os.environ.get("KERAS_HOME")
        return (Path(home) if home else Path.home() / ".keras") / "models" / self.file


RESNET = Encoder(
    title="ResNet-50",
    file="resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
    folder="tensorflow/keras-applications/resnet",
    layers=("conv1_", "conv2_", "conv3_", "conv4_", "conv5_"),
    stem=("conv1_conv", "conv1_bn"),
    mean=(123.68 / 255, 116.779 / 255, 103.939 / 255),
    deviation=(1 / 255, 1 / 255, 1 / 255),
    backwards=True,
)


def efficientnet(size: str) -> Encoder:
    """Return the EfficientNet of a size, "B0" to "B7"."""
    return Encoder(
        title=f"EfficientNet {size}",
        file=f"efficientnet{size.lower()}_notop.h5",
        folder="keras-applications",
        layers=("stem_", "block"),
        stem=("stem_conv", "stem_bn"),
        mean=(0.485, 0.456, 0.406),
        deviation=(0.229, 0.224, 0.225),
    )


def encoder_of(section: ModelConfig) -> Encoder | None:
    """Return the encoder of a model section's network that published weights fit; None if it has none."""
    name = resolve(section.model).name
    if name == "TensorflowEfficientUNet":
        return efficientnet(section.efficientnet)
    if name == "TensorflowEfficientNetB7UNet":
        return efficientnet("B7")
    return RESNET if name == "TensorflowDeepLabV3Plus" else None


def encoder_file(section: ModelConfig, encoder: Encoder) -> Path:
    """Return the file of weights that `[model] pretrained` means, whether it exists or not."""
    return encoder.place if section.pretrained == "imagenet" else Path(section.pretrained or "")


def check_initial(config: Config) -> None:
    """Check that what a training is to start from is there; nothing is fetched.

    Raises:
        UserError: a file or run folder is missing, or two starts at once; with file, section, key and line.
    """
    section = config.model
    encoder = encoder_of(section)
    if section.init_from and section.pretrained and encoder:
        raise config.error("model", "init_from", "cannot be given together with pretrained; leave one of them out")
    if section.init_from and not (section.init_from / MANIFEST_NAME).is_file():
        raise config.error("model", "init_from", f"{section.init_from} is not the folder of a training (no run.json)")
    if section.pretrained and encoder and not encoder_file(section, encoder).is_file():
        raise config.error("model", "pretrained", _missing(section, encoder))


def _missing(section: ModelConfig, encoder: Encoder) -> str:
    if section.pretrained != "imagenet":
        return f"no such file: {section.pretrained}"
    return (
        f"the ImageNet weights of {encoder.title} are not here, and nothing is fetched unasked: "
        f"save {encoder.address} as {encoder.place}, or write the path of your copy"
    )


def misfit(path: Path, encoder: Encoder, layer: str) -> UserError:
    """Return the error to raise for a file that lacks a layer of the encoder."""
    return UserError(
        f"{path} does not hold the weights of {encoder.title}: layer {layer} is missing or has another shape; "
        f"what fits is {encoder.file} of Keras Applications, or a model of its kind saved by Keras"
    )
