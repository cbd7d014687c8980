"""TensorflowEfficientNetB7UNet: EfficientUNet with the largest trunk, B7 (Tan & Le 2019, arXiv:1905.11946).

The reference keeps it as a model of its own, with 32 filters at the finest level of the way up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from spleenseg.models.blocks import Tensor
from spleenseg.models.efficient_unet import with_trunk

if TYPE_CHECKING:
    from spleenseg.config import ModelConfig

SIZE = "B7"


def features(x: Tensor, config: ModelConfig) -> Tensor:
    """Contract to 1/32, expand back, joining the trunk's features and at last the image itself.

    Args:
        x: [N, H, W, C], H and W divisible by 32.
        config: the model section.

    Returns:
        [N, H, W, base_filters]
    """
    return with_trunk(x, SIZE, config)
