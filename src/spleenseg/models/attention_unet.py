"""TensorflowAttentionUNet: the Attention U-Net of Oktay et al. 2018 (arXiv:1804.03999).

A U-Net whose skips pass a gate: features of the coarser level say where to look. As in the paper, the finest skip
has no gate: its features say too little yet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from keras import layers

from spleenseg.models.blocks import Level, Tensor, contracted, conv_norm_act_pair, enlarged, expanded, levels

if TYPE_CHECKING:
    from spleenseg.config import ModelConfig


def features(x: Tensor, config: ModelConfig) -> Tensor:
    """Contract to the coarsest level, expand back, joining what the gates let through.

    Args:
        x: [N, H, W, C], H and W divisible by 2 ** (num_layers - 1).
        config: the model section.

    Returns:
        [N, H, W, base_filters]
    """
    *upper, bottom = levels(config, even_dropout=True)
    x, skips = contracted(x, upper, config, conv_norm_act_pair)
    x = conv_norm_act_pair(x, bottom, config, "bottom")
    return expanded(x, upper, skips, config, conv_norm_act_pair, across=_gated_below_the_finest)


def _gated_below_the_finest(skip: Tensor, signal: Tensor, level: Level) -> Tensor:
    return gated(skip, signal, level.filters, f"gate{level.index}") if level.index > 0 else skip


def gated(skip: Tensor, signal: Tensor, filters: int, name: str) -> Tensor:
    """Weigh each place of `skip` by its relevance to the gating signal (the paper's figure 2).

    Args:
        skip: x of the paper, [N, H, W, F].
        signal: g, features of the level below, [N, H / 2, W / 2, any].
        filters: F_int, in which both are compared.
        name: of the gate.

    Returns:
        `skip` times a map of ONE channel between 0 and 1, the same for all of its channels.
    """
    seen = layers.Conv2D(filters, 2, strides=2, use_bias=False, kernel_initializer="he_normal", name=f"{name}_x")(skip)
    wanted = layers.Conv2D(filters, 1, kernel_initializer="he_normal", name=f"{name}_g")(signal)
    both = layers.Add(name=f"{name}_sum")([seen, wanted])
    both = layers.Activation("relu", name=f"{name}_relu")(both)
    psi = layers.Conv2D(1, 1, activation="sigmoid", name=f"{name}_psi")(both)
    psi = enlarged(psi, 2, f"{name}_map")
    return layers.Multiply(name=f"{name}_out")([skip, psi])
