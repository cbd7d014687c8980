"""What the architectures need of a model section, known without Keras."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spleenseg.config import ModelConfig

Problems = list[tuple[str, str]]  # key of the model section, what is wrong with its value


def none(config: ModelConfig) -> Problems:
    """Return no problem: any settings do."""
    return []


def halved_between_levels(config: ModelConfig) -> int:
    """Return by what an image side must be divisible if each of `num_layers` levels halves the one before."""
    return int(2 ** (config.num_layers - 1))


def halved_five_times(config: ModelConfig) -> int:
    """Return by what an image side must be divisible for an encoder made to classify photographs."""
    return 32
