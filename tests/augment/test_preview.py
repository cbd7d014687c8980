"""The contact sheet: the source, every operation, samples; nothing of the user's is overwritten."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from spleenseg.augment import preview as module
from spleenseg.augment.preview import preview
from spleenseg.cli.app import run
from spleenseg.config import Config
from spleenseg.errors import UserError
from spleenseg.render import PALETTE

from .pairs import config_with, spleen_like


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder of three slices: without organ, with much, with little."""
    folder = tmp_path / "project"
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    mask = spleen_like(64, 64)
    for z, labels in enumerate((np.zeros_like(mask), mask, cv2.erode(mask, np.ones((5, 5))))):
        name = f"{10000 + z}_anna.png"
        Image.fromarray(np.full((64, 64), 60 + 40 * z, np.uint8)).save(folder / "images" / name)
        Image.fromarray(labels * np.uint8(255)).save(folder / "masks" / name)
    return folder


def config_of(project: Path, **sections: dict[str, Any]) -> Config:
    return config_with(project, **{"train": {"image_datapath": "images", "mask_datapath": "masks"}, **sections})


@pytest.fixture
def tiles(monkeypatch: pytest.MonkeyPatch) -> dict[str, np.ndarray]:
    """What the sheet is made of, by title."""
    found: dict[str, np.ndarray] = {}
    draw = module.contact_sheet

    def remember(pictures: Any, columns: int, path: Path) -> None:
        found.update(pictures)
        draw(pictures, columns, path)

    monkeypatch.setattr(module, "contact_sheet", remember)
    return found


def test_the_sheet_shows_the_source_and_every_variant_of_the_reference(
    project: Path, tiles: dict[str, np.ndarray]
) -> None:
    switches = {"vflip": False, "angles": [5], "deformation": True}
    sheet = preview(config_of(project, augmentor=switches), project / "sheet.png")
    assert list(tiles) == ["source", "hfliped", "rotated_5", "shrinked_0_8", "deformed_alpha_1300_sigmoid_8"]
    assert Image.open(sheet).size[0] > 4 * 64


def test_the_sheet_of_a_composed_policy_shows_its_operations_and_samples(
    project: Path, tiles: dict[str, np.ndarray]
) -> None:
    preview(config_of(project, augmentor={"policy": "strong"}), project / "sheet.png")
    assert list(tiles)[:4] == ["source", "rotation", "scaling", "shear"]
    assert {"noise", "gamma", "window", "HU shift and scale", "bias field"} <= set(tiles)
    assert list(tiles)[-8:] == [f"sample {number}" for number in range(1, 9)]


def test_each_picture_carries_the_contour_of_its_own_mask(project: Path, tiles: dict[str, np.ndarray]) -> None:
    preview(config_of(project, augmentor={"vflip": False}), project / "sheet.png")
    contour = {name: (picture == PALETTE[0]).all(axis=2) for name, picture in tiles.items()}
    assert contour["source"].sum() > 20
    np.testing.assert_array_equal(contour["hfliped"], contour["source"][:, ::-1])
    assert (tiles["source"][~contour["source"]] == 100).all()  # the slice with the most organ


def test_the_same_seed_gives_the_same_sheet(project: Path) -> None:
    config = config_of(project, augmentor={"policy": "strong"})
    one, other, changed = (preview(config, project / f"{n}.png", seed=n // 2) for n in range(3))
    assert one.read_bytes() == other.read_bytes() != changed.read_bytes()


def test_a_picture_of_that_name_is_moved_aside(project: Path) -> None:
    sheet = project / "sheet.png"
    sheet.write_bytes(b"the user's own")
    config = config_of(project)
    for _ in range(2):  # the same sheet again moves nothing
        preview(config, sheet)
    (aside,) = project.glob("sheet_*_bak.png")
    assert aside.read_bytes() == b"the user's own"
    assert Image.open(sheet).format == "PNG"


@pytest.mark.parametrize(
    ("sections", "key"),
    [({"model": {"generator": False}}, "generator"), ({"generator": {"augmentation": False}}, "augmentation")],
)
def test_without_augmentation_there_is_nothing_to_show(
    project: Path, sections: dict[str, dict[str, Any]], key: str
) -> None:
    with pytest.raises(UserError, match=rf"\] {key} .*is False, so nothing is augmented; set it to True"):
        preview(config_of(project, **sections), project / "sheet.png")


def test_the_command_draws_the_sheet(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = config_of(project)
    sheet = project / "out" / "sheet.png"
    assert run(["augment", "preview", str(config.path), "-o", str(sheet), "--set", "augmentor.policy=compose"]) == 0
    assert capsys.readouterr().out.strip() == str(sheet)
    assert Image.open(sheet).format == "PNG"
    assert run(["augment", "preview", str(config.path), "-o", str(sheet), "--set", "model.generator=False"]) == 2
