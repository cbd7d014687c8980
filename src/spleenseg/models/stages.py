"""A network in tens of stages instead of hundreds of layers, told by the beginnings of the layers' names."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from spleenseg.models.build import LOGITS
from spleenseg.models.cost import of_operation
from spleenseg.models.layer_table import parameters_of, senders_of, sent_by


@dataclass
class Stage:
    """Layers that belong together.

    Attributes:
        name: what their names begin with.
        size: height and width at which most of them work; None: they work on no image.
        channels: of the last one's output.
        layers: how many they are.
        parameters: in all their weights.
        multiply_adds: of one image.
        inputs: the stages whose outputs they take, by number, in order.
    """

    name: str
    size: tuple[int, int] | None = None
    channels: int = 0
    layers: int = 0
    parameters: int = 0
    multiply_adds: int = 0
    inputs: list[int] = field(default_factory=list)

    @property
    def shape(self) -> str:
        """Return size and channels as text."""
        sides = [*self.size, self.channels] if self.size else [self.channels]
        return " x ".join(str(side) for side in sides)

    def level(self, image: tuple[int, int]) -> int:
        """Return how often the image was halved to come to this size."""
        return max(0, round(math.log2(image[0] / self.size[0]))) if self.size else 0


def stages_of(model: Any) -> list[Stage]:
    """Return the stages of a keras.Model in the order in which an image comes by."""
    numbers: dict[str, int] = {}
    stages: list[Stage] = []
    sizes: list[Counter[tuple[int, int]]] = []
    senders = sent_by(model)
    for operation in model.operations:
        name = _stage_name(operation)
        if name not in numbers:
            numbers[name] = len(stages)
            stages.append(Stage(name))
            sizes.append(Counter())
        number = numbers[name]
        _take(stages[number], operation, sizes[number])
        for sender in senders_of(operation, senders):
            source = numbers[_stage_name(sender)]
            if source != number and source not in stages[number].inputs:
                stages[number].inputs.append(source)
    _settle(stages, sizes)
    return stages


def _stage_name(operation: Any) -> str:
    """Return what stands before the first `_`, but keep first and side logits apart from the network's own."""
    first, *more = str(operation.name).split("_")
    if first == LOGITS and more[:1] in (["side"], ["first"]):
        return "_".join([first, *more[: 2 if more[0] == "side" else 1]])
    return first


def _take(stage: Stage, operation: Any, sizes: Counter[tuple[int, int]]) -> None:
    shape = operation.output.shape
    stage.layers += 1
    stage.parameters += parameters_of(operation)
    stage.multiply_adds += of_operation(operation)
    stage.channels = int(shape[-1])
    if len(shape) == 4:
        sizes[shape[1], shape[2]] += 1


def _settle(stages: list[Stage], sizes: list[Counter[tuple[int, int]]]) -> None:
    """Give each stage the size most of its layers have (the larger of equals), or that of the stage before."""
    before: tuple[int, int] | None = None
    for stage, seen in zip(stages, sizes, strict=True):
        stage.size = max(seen, key=lambda size: (seen[size], size)) if seen else before
        before = stage.size
