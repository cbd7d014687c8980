"""Post-processing recorded by `export` because it was asked for: what is done, and where the organ lies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spleenseg.datasets.manifest import Expectation
from spleenseg.inference.export import export
from spleenseg.inference.exported_engine import ModelFile
from spleenseg.inference.postprocess import Place, Postprocess
from spleenseg.inference.refinement import Refinement
from spleenseg.models.build import build_model

from .runs import save_run, write_config


def write_slices(root: Path, columns: list[int]) -> None:
    """Write one slice a patient, an organ low in it, its left edge at a column of 32."""
    for number, column in enumerate(columns):
        mask = np.zeros((24, 32), np.uint8)
        mask[15:20, column : column + 6] = 255
        for kind, picture in (("images", mask // 2), ("masks", mask)):
            folder = root / "dataset" / kind
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(folder / f"{10000}_patient{number}.png")


@pytest.mark.parametrize(
    ("columns", "place"),
    [
        ([2, 3, 4, 5], Place(side="left", depth="back")),  # these pictures are mirrored
        ([2, 3, 4, 22], Place(depth="back")),
    ],
)
def test_what_is_asked_for_is_recorded_with_where_the_organ_lies(
    tmp_path: Path, columns: list[int], place: Place
) -> None:
    write_slices(tmp_path, columns)
    paths = 'image_datapath = "./dataset/images"\nmask_datapath = "./dataset/masks"'
    config = write_config(tmp_path, f"[train]\nsave_weights_only = True\n{paths}", image_width=32, image_height=24)
    run = save_run(config, build_model(config.model), Expectation.reference())
    summary = export(run, refinement=Refinement(components="largest", min_ml=2))
    recorded = ModelFile.read(summary.path).card.postprocess
    assert recorded is not None
    assert recorded.options == Postprocess(
        components="largest", min_ml=2, places=dict.fromkeys(Expectation.reference().labels, place)
    )
    assert (recorded.cases, recorded.dice) == (0, None)
    assert "as asked for" in recorded.summary()
