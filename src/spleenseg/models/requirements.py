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


def halved_at_every_level(config: ModelConfig) -> int:
    """Return by what an image side must be divisible if all levels halve, the first too."""
    return int(2**config.num_layers)


def halved_by_filter_num(config: ModelConfig) -> int:
    """Return by what an image side must be divisible if every width of `filter_num` is followed by a halving."""
    return int(2 ** len(config.filter_num))


def halved_by_filters(config: ModelConfig) -> int:
    """Return by what an image side must be divisible if every width of `filters` is followed by a halving."""
    return int(2 ** len(config.filters))


def halved_at_least_four_times(config: ModelConfig) -> int:
    """Return by what an image side must be divisible if a small U of five levels corrects the first logits."""
    return max(halved_between_levels(config), 16)


def more_than_a_pixel(config: ModelConfig) -> Problems:
    """Return a problem if the coarsest level is a single pixel, which instance normalisation turns to zero."""
    stride = halved_between_levels(config)
    if max(config.image_width, config.image_height) > stride:
        return []
    return [
        ("num_layers", f"{config.num_layers} levels leave a single pixel to normalise; use fewer, or larger images")
    ]


def more_than_one_level(config: ModelConfig) -> Problems:
    """Return a problem if there is no coarser level to work at."""
    return [("num_layers", "a single level is too few; use 6")] if config.num_layers < 2 else []


def halved_five_times(config: ModelConfig) -> int:
    """Return by what an image side must be divisible for an encoder made to classify photographs."""
    return 32


def halved_four_times(config: ModelConfig) -> int:
    """Return by what an image side must be divisible for an encoder of output stride 16."""
    return 16
