"""Starting a network from another one's weights, as far as they fit."""

from __future__ import annotations

from typing import Any


def transfer(source: Any, target: Any) -> tuple[list[str], list[str]]:
    """Copy the weights of every layer that has the same name and shapes in both models.

    Returns:
        the names of the layers of `target` that took weights, and of those that kept theirs.
    """
    known = {layer.name: layer for layer in source.layers if layer.weights}
    taken, kept = [], []
    for layer in target.layers:
        if not layer.weights:
            continue
        other = known.get(layer.name)
        if other is not None and _shapes(other) == _shapes(layer):
            layer.set_weights(other.get_weights())
            taken.append(layer.name)
        else:
            kept.append(layer.name)
    return taken, kept


def _shapes(layer: Any) -> list[tuple[int, ...]]:
    return [tuple(weight.shape) for weight in layer.weights]
