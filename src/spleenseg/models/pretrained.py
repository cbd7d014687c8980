"""Giving an encoder the weights of one that Keras Applications trained to classify photographs.

Two things differ between the two encoders, and both are put right in the weights, so that the network stays what it
is. Ours sees an image of 0..1, theirs one whose colours were brought to mean 0 and deviation 1: the first
convolution takes over the division, and the running mean after it the shift. Theirs may have a bias before a
normalisation: the running mean takes that over too. What an image of one channel, or of several slices, gives is
what the same grey in all three colours would; beyond the image's edge ours sees black, theirs the mean colour.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from spleenseg.errors import UserError
from spleenseg.models.encoders import Encoder, misfit

if TYPE_CHECKING:
    from spleenseg.config import ModelConfig

Array = np.ndarray[Any, np.dtype[Any]]
Stored = dict[str, list[Any]]  # layer: its HDF5 datasets
_MEAN = 2  # place of the running mean among a normalisation's weights


def load_encoder(model: Any, section: ModelConfig, encoder: Encoder, path: Path) -> list[str]:
    """Set the weights of `encoder` within `model`.

    Args:
        model: a model of `build.build_model`.
        section: the model section it was built from.
        encoder: which of its layers are meant.
        path: an HDF5 file of Keras: weights or a whole model, of Keras 2 or 3; only numbers are read.

    Returns:
        the names of the layers set: all of the encoder's.

    Raises:
        UserError: the file is damaged, or does not hold this encoder.
    """
    mine = {layer.name: layer for layer in model.layers if layer.weights and layer.name.startswith(encoder.layers)}
    try:
        with h5py.File(path, "r") as store:
            found = dict(_stored(store))
            values = {name: _values(found.get(name, []), layer, path, encoder) for name, layer in mine.items()}
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise UserError(f"cannot read {path}: damaged, or no HDF5 file ({error})") from error
    _without_biases(values, {name: len(layer.weights) for name, layer in mine.items()})
    _for_our_images(values, section, encoder)
    for name, layer in mine.items():
        layer.set_weights(values[name])
    return list(mine)


def _stored(store: h5py.File) -> Iterator[tuple[str, list[Any]]]:
    """Yield each layer's name and its datasets in order; links lead nowhere."""
    items: dict[str, Any] = {}
    store.visititems(lambda name, item: items.__setitem__(name, item))
    for place, item in items.items():
        if "weight_names" in item.attrs:  # Keras 2
            names = [name.decode() if isinstance(name, bytes) else str(name) for name in item.attrs["weight_names"]]
            yield place.rpartition("/")[2], [items[f"{place}/{name}"] for name in names]
        elif place.endswith("/vars") and "name" in item.attrs:  # Keras 3
            yield str(item.attrs["name"]), [items[f"{place}/{number}"] for number in range(len(item))]


def _values(stored: list[Any], layer: Any, path: Path, encoder: Encoder) -> list[Array]:
    """Read what fits: the shapes of the layer, but three colours in the first, and perhaps a bias more."""
    shapes = [tuple(weight.shape) for weight in layer.weights]
    if layer.name == encoder.stem[0]:
        shapes[0] = (*shapes[0][:2], 3, shapes[0][3])
    fits = [part.shape for part in stored[: len(shapes)]] == shapes
    biased = layer.name.endswith("_conv") and [part.shape for part in stored[1:]] == [shapes[0][-1:]]
    if not fits or len(stored) > len(shapes) + biased or any(part.is_virtual or part.external for part in stored):
        raise misfit(path, encoder, layer.name)
    return [np.asarray(part[()], np.float32) for part in stored]


def _without_biases(values: dict[str, list[Array]], wanted: dict[str, int]) -> None:
    for name, weights in values.items():
        if len(weights) > wanted[name]:
            bias = weights.pop()
            values[name.removesuffix("_conv") + "_bn"][_MEAN] -= bias


def _for_our_images(values: dict[str, list[Array]], section: ModelConfig, encoder: Encoder) -> None:
    """Let the first layer take 0..1 (or 0..255), and as many channels as ours."""
    stem, normalisation = encoder.stem
    kernel = values[stem][0][:, :, :: -1 if encoder.backwards else 1]
    kernel = kernel / np.array(encoder.deviation, np.float32)[:, None]
    values[normalisation][_MEAN] += np.einsum("yxcf,c->f", kernel, np.array(encoder.mean, np.float32))
    if section.image_channels != 3:
        grey = kernel.sum(axis=2, keepdims=True) / section.image_channels
        kernel = np.repeat(grey, section.image_channels, axis=2)
    values[stem][0] = kernel if section.input_normalize else kernel / 255
