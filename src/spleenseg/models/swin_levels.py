"""The levels of a Swin U-Net as the model section describes them, known without Keras."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spleenseg.models.requirements import Problems

if TYPE_CHECKING:
    from spleenseg.config import ModelConfig

Numbers = int | tuple[int, ...] | None
USUAL: dict[str, tuple[int, ...]] = {"num_heads": (4, 8, 8, 8), "window_size": (4, 2, 2, 2), "num_mlp": (512,)}


@dataclass(frozen=True)
class SwinLevel:
    """One resolution; level 0 is the finest, a patch a token.

    Attributes:
        index: how often the grid of tokens has been halved.
        filters: channels, `filter_num_begin` doubled at each level.
        heads: of the attention; they share the channels evenly.
        window: side of an attention window, in tokens; a smaller grid is one window.
        nodes: of the perceptrons.
    """

    index: int
    filters: int
    heads: int
    window: int
    nodes: int


def swin_levels(config: ModelConfig) -> list[SwinLevel]:
    """Return the `depth` levels, finest first."""
    heads, windows, nodes = (_per_level(key, getattr(config, key), config.depth) for key in USUAL)
    return [
        SwinLevel(index, config.filter_num_begin * 2**index, heads[index], windows[index], nodes[index])
        for index in range(config.depth)
    ]


def patch(config: ModelConfig) -> tuple[int, int]:
    """Return (height, width) of a patch in pixels."""
    size: Numbers = config.patch_size
    height, *width = (size,) if isinstance(size, int) else size or (4,)
    return height, width[0] if width else height


def swin_stride(config: ModelConfig) -> int:
    """Return by what an image side must be divisible: whole patches, whose grid every level but one halves."""
    return math.lcm(*patch(config)) * int(2 ** (config.depth - 1))


def swin_problems(config: ModelConfig) -> Problems:
    """Return what the numbers per level cannot be."""
    return [*_too_short(config)] or [*_indivisible_heads(config)]


def _per_level(key: str, value: Numbers, depth: int) -> tuple[int, ...]:
    """Return one number per level; a single one, and the last of the usual ones, repeat."""
    given = USUAL[key] if value is None else (value,) if isinstance(value, int) else value
    return (*given, *given[-1:] * (depth - len(given)))


def _too_short(config: ModelConfig) -> Iterator[tuple[str, str]]:
    if isinstance(config.patch_size, tuple) and len(config.patch_size) > 2:
        yield "patch_size", f"must be a number or (height, width), has {len(config.patch_size)} entries"
    for key in USUAL:
        value = getattr(config, key)
        if isinstance(value, tuple) and len(value) < config.depth:
            yield key, f"must be a number or have one per level, {config.depth} (depth), has {len(value)}"


def _indivisible_heads(config: ModelConfig) -> Iterator[tuple[str, str]]:
    for level in swin_levels(config):
        if level.filters % level.heads:
            split = f"{level.filters} filters of level {level.index} into {level.heads} heads"
            yield "num_heads", f"cannot split the {split}; filter_num_begin must be a multiple"
