"""A network as text: a line for each layer, aligned and never cut."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from spleenseg.models.cost import gflop, of_operation

HEADER = ("layer", "kind", "output", "parameters", "multiply-adds", "from")
NUMBERS = {"parameters", "multiply-adds"}


def summary(model: Any) -> str:
    """Return the table of `model`'s layers, and below it their sums.

    Args:
        model: a keras.Model with a fixed input size.
    """
    senders = sent_by(model)
    rows = [_row(operation, senders) for operation in model.operations]
    trainable = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    size = " x ".join(str(side) for side in model.input_shape[1:])
    return "\n".join(
        [
            f"Model: {model.name}",
            "",
            *_aligned([HEADER, *rows]),
            "",
            f"Total params: {model.count_params():,}",
            f"Trainable params: {trainable:,}",
            f"Non-trainable params: {model.count_params() - trainable:,}",
            f"GFLOP: {gflop(model):.2f} for one image of {size} (twice the multiply-adds, in 1e9)",
            "",
        ]
    )


def sent_by(model: Any) -> dict[int, Any]:
    """Return by which operation each tensor of `model` is made, by the tensor's id."""
    return {id(x): operation for operation in model.operations for x in _tensors(operation.output)}


def senders_of(operation: Any, senders: dict[int, Any]) -> list[Any]:
    """Return the operations whose outputs `operation` takes, in order."""
    found = [senders.get(id(x)) for x in _tensors(operation.input)]
    return [sender for sender in found if sender is not None and sender is not operation]


def parameters_of(operation: Any) -> int:
    """Return how many numbers the weights of an operation hold; seeds do not count."""
    return sum(math.prod(weight.shape) for weight in getattr(operation, "weights", ()))


def _tensors(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _row(operation: Any, senders: dict[int, Any]) -> tuple[str, ...]:
    shape = " x ".join(str(side) for side in _tensors(operation.output)[0].shape[1:])
    came_from = ", ".join(sender.name for sender in senders_of(operation, senders))
    parameters, cost = parameters_of(operation), of_operation(operation)
    return operation.name, type(operation).__name__, shape, f"{parameters:,}", f"{cost:,}", came_from


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    lines = [
        "  ".join(
            cell.rjust(width) if name in NUMBERS else cell.ljust(width)
            for cell, width, name in zip(row, widths, HEADER, strict=True)
        ).rstrip()
        for row in rows
    ]
    return [lines[0], "-" * max(map(len, lines)), *lines[1:]]
