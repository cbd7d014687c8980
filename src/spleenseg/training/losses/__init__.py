"""Losses from logits, in float32 whatever the network computed in.

Float16 sums of a whole image overflow, and the logarithm of a clipped probability has no slope left: so every loss
takes logits and does its own sigmoid or softmax. Targets may be soft (in [0, 1]). With K > 1 channels channel 0 is
the background, and what is counted by label (all but cross-entropy and focal loss) is the mean over the others.

`build_loss` names them; `pixels`, `overlap`, `ssim`, `lovasz` and `boundary` hold one kind each.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from keras import ops

from spleenseg.errors import UserError
from spleenseg.training.losses import lovasz, overlap, pixels, ssim
from spleenseg.training.losses.boundary import BOUNDARY_SHARE, boundary_term, parted
from spleenseg.training.losses.reading import Reading, Tensor
from spleenseg.training.registry import loss_name, unknown_loss

Loss = Callable[[Tensor, Tensor], Tensor]
Term = Callable[[Tensor, Tensor, Reading], Tensor]


@dataclass(frozen=True)
class Recipe:
    """A loss as a sum of terms.

    Attributes:
        terms: what is added.
        each: how much each term counts.
        far: how much the distances to the boundary count.
    """

    terms: tuple[Term, ...]
    each: float = 1.0
    far: float = 0.0


def _mean_of(*terms: Term) -> Recipe:
    return Recipe(terms, 1 / len(terms))


_RECIPES = {
    "binary_crossentropy": _mean_of(pixels.cross_entropy),
    "dice_loss": _mean_of(overlap.dice_loss),
    "iou_loss": _mean_of(overlap.iou_loss),
    "bce_dice_loss": _mean_of(pixels.cross_entropy, overlap.dice_loss),
    "bce_iou_loss": _mean_of(pixels.cross_entropy, overlap.iou_loss),
    "basnet_hybrid_loss": _mean_of(pixels.cross_entropy, ssim.ssim_loss, overlap.iou_loss),
    "dice_ce_loss": Recipe((overlap.plain_dice_loss, pixels.cross_entropy)),
    "focal_loss": _mean_of(pixels.focal_loss),
    "tversky_loss": _mean_of(overlap.tversky_loss),
    "focal_tversky_loss": _mean_of(overlap.focal_tversky_loss),
    "lovasz_loss": _mean_of(lovasz.lovasz_loss),
    "boundary_loss": Recipe((overlap.dice_loss,), far=BOUNDARY_SHARE),
}


def build_loss(name: str, final_activation: str = "sigmoid", batch_dice: bool = True) -> Loss:
    """Return a loss by its name in the config.

    Args:
        name: one of `registry.LOSSES`, with or without "_loss".
        final_activation: "sigmoid" (every channel for itself) or "softmax" (one label a pixel).
        batch_dice: sum overlaps over the whole batch; False: over each image, then take the mean.

    Returns:
        a function (targets [N, H, W, K] in [0, 1], logits [N, H, W, K]) -> scalar float32. Within a compiled
        training step the boundary loss needs targets that `boundary.with_distances` extended.

    Raises:
        UserError: there is none of that name.
    """
    name = loss_name(name)
    if name not in _RECIPES:
        raise UserError(unknown_loss(name))
    recipe, reading = _RECIPES[name], Reading(final_activation, batch_dice)

    def loss(targets: Tensor, logits: Tensor) -> Tensor:
        distances = None
        if recipe.far:
            targets, distances = parted(targets, logits.shape[-1])
        targets, logits = ops.cast(targets, "float32"), ops.cast(logits, "float32")
        total = recipe.each * sum(term(targets, logits, reading) for term in recipe.terms)
        if recipe.far:
            total += recipe.far * boundary_term(targets, logits, distances, reading)
        return total

    loss.__name__ = name
    return loss
