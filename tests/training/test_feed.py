"""What validation is fed with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from spleenseg.config import load_config
from spleenseg.datasets.slices import SliceSet
from spleenseg.training.feed import validation_batches

from .conftest import Project


@pytest.mark.parametrize("size", [1, 3, 4])
def test_every_validation_slice_is_seen_once_and_as_it_is(project: Project, size: int) -> None:
    """The reference draws validation slices at random and augments them: the same weights score differently."""
    config = load_config(project(), [f"eval.batch_size={size}", f"train.batch_size={size}"])
    slices = SliceSet.from_config(config, "eval")
    again = validation_batches(slices, config)
    for _ in range(2):
        batches = list(again())
        names = [Path(name).name for batch in batches for name in batch.names]
        assert names == [Path(file.image).name for file in slices.files]
        for index, image in enumerate(np.concatenate([batch.images for batch in batches])):
            np.testing.assert_array_equal(image, slices.image(index))
