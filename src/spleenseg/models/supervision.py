"""Deep supervision: logits from within a network that training sees and inference never does.

The network that `build.build_model` returns has one output. An architecture with side outputs returns
`Supervised` instead of its last features; `build.logits_model(model, deep_supervision=True)` then gives training
a view with all the logits, whose side heads no saved network contains.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from keras import layers

from spleenseg.models.blocks import Tensor, enlarged

if TYPE_CHECKING:
    from spleenseg.config import ModelConfig


@dataclass(frozen=True)
class Supervised:
    """The end of an architecture that is supervised in more than one place.

    Attributes:
        main: the features the network's logits are made of, [N, h, w, any]; logits of a coarser scale than the
            image's are enlarged to its size.
        sides: logits made on the way, float32 [N, H, W, num_classes] at the image's size, finest first.
        weights: how much each side counts in the loss, where the network's own logits count 1; empty: 1 each.
        refine: the way from first logits to the network's, a layer called `logits`; None: they are the same.
    """

    main: Tensor
    sides: tuple[Tensor, ...] = ()
    weights: tuple[float, ...] = ()
    refine: Callable[[Tensor], Tensor] | None = None


def side_name(number: int) -> str:
    """Return the name of the layer that gives the logits of side `number`, counted from 1."""
    return f"logits_side_{number}"


def side_logits(x: Tensor, config: ModelConfig, name: str, kernel: int = 3) -> Tensor:
    """Return logits at the image's size from features [N, h, w, any] at any scale, in float32."""
    factor = config.image_height // x.shape[1]
    head = name if factor == 1 else f"{name}_small"
    x = layers.Conv2D(config.num_classes, kernel, padding="same", dtype="float32", name=head)(x)
    return enlarged(x, factor, name, dtype="float32")
