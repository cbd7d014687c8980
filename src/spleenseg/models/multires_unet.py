"""TensorflowMultiResUNet: the MultiResUNet of Ibtehaz & Rahman 2020 (arXiv:1902.04049).

Every pair of convolutions is a MultiRes block, which sees at three scales; every skip is a path of residual
convolutions, the longer the finer its level, which closes the gap between what it joins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from keras import layers

from spleenseg.models.blocks import Level, Tensor, contracted, conv_norm_act, dropout, expanded, levels, norm_act

if TYPE_CHECKING:
    from spleenseg.config import ModelConfig

ALPHA = 1.67  # W = alpha U, U the filters of the U-Net's level
SHARES = (0.167, 0.333, 0.5)  # of W: a sixth, a third, a half; rounded so, they give the paper's table 1


def features(x: Tensor, config: ModelConfig) -> Tensor:
    """Contract to the coarsest level, expand back, joining each level's features through its path.

    Args:
        x: [N, H, W, C], H and W divisible by 2 ** (num_layers - 1).
        config: the model section; the paper has base_filters 32 and num_layers 5, so paths of 4, 3, 2, 1.

    Returns:
        [N, H, W, about 1.67 * base_filters]
    """
    *upper, bottom = levels(config, even_dropout=True)

    def across(skip: Tensor, below: Tensor, level: Level) -> Tensor:
        return path(skip, level, len(upper) - level.index, config, f"path{level.index}")

    x, skips = contracted(x, upper, config, multires)
    x = multires(x, bottom, config, "bottom")
    return expanded(x, upper, skips, config, multires, across)


def widths(filters: int) -> list[int]:
    """Return the filters of the three convolutions that together replace a level of `filters`."""
    return [max(1, int(ALPHA * filters * share)) for share in SHARES]


def multires(x: Tensor, level: Level, config: ModelConfig, name: str) -> Tensor:
    """Join three convolutions in a row, which see as far as 3x3, 5x5 and 7x7 ones, and add the input."""
    shortcut = conv_norm_act(x, sum(widths(level.filters)), config, f"{name}_shortcut", kernel=1, activate=False)
    seen = []
    for number, filters in enumerate(widths(level.filters), start=1):
        x = _convolved(x, filters, level, config, f"{name}_conv{number}")
        seen.append(x)
    x = layers.Concatenate(name=f"{name}_scales")(seen)
    x = layers.Add(name=f"{name}_sum")([shortcut, x])
    return dropout(norm_act(x, config, name), level.dropout, config, f"{name}_dropout")


def path(x: Tensor, level: Level, length: int, config: ModelConfig, name: str) -> Tensor:
    """Convolve `length` times, each time beside a 1x1 shortcut."""
    for number in range(1, length + 1):
        step = f"{name}_{number}"
        shortcut = conv_norm_act(x, level.filters, config, f"{step}_shortcut", kernel=1, activate=False)
        x = _convolved(x, level.filters, level, config, f"{step}_conv")
        x = norm_act(layers.Add(name=f"{step}_sum")([shortcut, x]), config, step)
    return x


def _convolved(x: Tensor, filters: int, level: Level, config: ModelConfig, name: str) -> Tensor:
    return conv_norm_act(x, filters, config, name, kernel=level.kernel, dilation=level.dilation)
