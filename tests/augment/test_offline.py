"""The augmented copy of a dataset: complete, aligned, resumable, and leak-free."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from spleenseg.augment import offline
from spleenseg.augment.offline import augment_dataset
from spleenseg.cli.app import run
from spleenseg.config import Config
from spleenseg.datasets.folders import list_pairs
from spleenseg.datasets.identity import patients
from spleenseg.datasets.manifest import Manifest
from spleenseg.datasets.slices import SliceSet
from spleenseg.errors import UserError

from .pairs import config_with, iou, spleen_like

CASES = {"train": ("anna", "bob"), "valid": ("carl",), "test": ("dora",)}
SECTIONS = {"train": "train", "eval": "valid", "test": "test"}
SWITCHES = {"vflip": False, "angles": [5], "distortion": True}
VARIANTS = ("hfliped_", "rotated_5_", "shrinked_0_8_", "distorted_0.02_rsigma40_sigma0.5_")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A dataset whose images equal their masks, with two slices a case."""
    for split, cases in CASES.items():
        for case in cases:
            for z in range(2):
                mask = spleen_like(96, 128) * np.uint8(255)
                for kind in ("images", "masks"):
                    folder = tmp_path / "data" / split / kind
                    folder.mkdir(parents=True, exist_ok=True)
                    Image.fromarray(mask).save(folder / f"{10000 + z}_{case}.png")
    return tmp_path


def config_of(project: Path, **sections: dict[str, Any]) -> Config:
    folders = {
        section: {"image_datapath": f"data/{split}/images", "mask_datapath": f"data/{split}/masks"}
        for section, split in SECTIONS.items()
    }
    return config_with(project, **{**folders, "augmentor": SWITCHES, **sections})


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_train_gets_every_variant_of_the_reference_and_the_others_are_copied(project: Path) -> None:
    made = augment_dataset(config_of(project), project / "out")
    assert made.originals == {"train": 4, "valid": 2, "test": 2}
    assert made.augmented == {"train": 16, "valid": 0, "test": 0}
    assert "train 4 + 16, valid 2, test 2 pairs" in made.summary()
    source = project / "data"
    expected = sorted(f"{prefix}{name}" for name in names(source / "train/images") for prefix in ("", *VARIANTS))
    for kind in ("images", "masks"):
        assert names(project / "out" / "train" / kind) == expected
        for split in ("valid", "test"):
            assert content(project / "out" / split / kind) == content(source / split / kind)
    for name in names(source / "train/images"):
        assert (project / "out/train/images" / name).read_bytes() == (source / "train/images" / name).read_bytes()


def test_pairs_stay_aligned_at_the_size_of_the_files_and_masks_are_black_and_white(project: Path) -> None:
    augment_dataset(config_of(project, augmentor={"policy": "compose"}), project / "out", copies=5)
    pairs = list_pairs(project / "out/train/images", project / "out/train/masks")
    assert len(pairs) == 4 * 6
    for pair in pairs:
        image, mask = (np.array(Image.open(path)) for path in (pair.image, pair.mask))
        assert image.shape == mask.shape == (96, 128)
        assert set(np.unique(mask)) == {0, 255}
        assert iou(image >= 128, mask > 0) > 0.94  # an organ of 800 pixels


def test_patients_stay_in_their_split(project: Path) -> None:
    augment_dataset(config_of(project), project / "out", augment=("train", "eval", "test"))
    for split, cases in CASES.items():
        files = list_pairs(project / "out" / split / "images", project / "out" / split / "masks")
        assert patients(files) == tuple(sorted(cases))
        assert len(files) == 5 * 2 * len(cases)


def test_the_copy_can_be_trained_on_and_keeps_its_manifest(project: Path) -> None:
    record = Manifest(
        created_by="test",
        source="test",
        window_hu=(-160, 240),
        display="radiological",
        labels={"spleen": 1},
        seed=1,
        shares=(0.7, 0.2, 0.1),
        cases={},
    )
    record.write(project / "data")
    augment_dataset(config_of(project), project / "out")
    train = {"image_datapath": "out/train/images", "mask_datapath": "out/train/masks"}
    slices = SliceSet.from_config(config_of(project, dataset={"stretch": True}, train=train), "train")
    assert len(slices) == 20
    assert slices.manifest == record


def test_it_depends_on_the_seed_alone(project: Path) -> None:
    config = config_of(project, augmentor={"policy": "strong"})
    for name, seed, threads in (("a", 1, 1), ("b", 1, 4), ("c", 2, 1)):
        one = config.model_copy(update={"train": config.train.model_copy(update={"threads": threads})})
        augment_dataset(one, project / name, seed=seed, copies=2)
    a, b, c = (content(project / name / "train/images") for name in "abc")
    assert a == b
    assert set(a) != set(c)


def test_a_slice_gets_no_variant_twice(project: Path) -> None:
    augment_dataset(config_of(project), project / "out", copies=3)
    for case in CASES["train"]:
        assert len(list((project / "out/train/images").glob(f"*_1000?_{case}.png"))) == 2 * 3


def test_an_interrupted_run_is_continued_and_ends_the_same(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = config_of(project)
    augment_dataset(config, project / "whole")
    write, done = offline._write, []

    def interrupted(*arguments: Any) -> None:
        done.append(arguments)
        if len(done) > 9:
            raise KeyboardInterrupt
        write(*arguments)

    monkeypatch.setattr(offline, "_write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        augment_dataset(config, project / "out")
    monkeypatch.setattr(offline, "_write", write)
    kept = {path: path.stat().st_mtime_ns for path in (project / "out").rglob("*.png")}
    assert kept
    augment_dataset(config, project / "out", resume=True)
    assert content(project / "out") == content(project / "whole")
    assert all(path.stat().st_mtime_ns == time for path, time in kept.items())


def test_nothing_is_overwritten(project: Path) -> None:
    mine = project / "out" / "notes.txt"
    mine.parent.mkdir()
    mine.write_text("mine")
    for resume in (False, True):
        with pytest.raises(UserError, match="not empty"):
            augment_dataset(config_of(project), project / "out", resume=resume)
    assert names(project / "out") == ["notes.txt"]


def test_a_run_of_other_settings_is_not_continued(project: Path) -> None:
    augment_dataset(config_of(project), project / "out")
    for changes in ({"seed": 5}, {"copies": 1}, {"augment": ("train", "eval")}):
        with pytest.raises(UserError, match="other settings"):
            augment_dataset(config_of(project), project / "out", resume=True, **changes)


@pytest.mark.parametrize(
    ("sections", "options", "message"),
    [
        ({"model": {"generator": False}}, {}, "nothing is augmented"),
        ({"dataset": {"context": 1}}, {}, r"\[dataset\] context"),
        ({}, {"augment": ("validation",)}, "no section 'validation' to augment; known: train, eval, test"),
        ({"train": {}}, {}, r"\[train\] image_datapath"),
    ],
)
def test_what_cannot_work_is_said_before_anything_is_written(
    project: Path, sections: dict[str, Any], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        augment_dataset(config_of(project, **sections), project / "out", **options)
    assert not (project / "out").exists()


def test_sources_that_would_get_one_name_are_refused(project: Path) -> None:
    images = project / "data/train/images"
    Image.open(images / "10000_anna.png").convert("RGB").save(images / "10000_anna.jpg")
    with pytest.raises(UserError, match=r"2 pairs of train would be called hfliped_10000_anna\.png"):
        augment_dataset(config_of(project), project / "out")


def test_the_command_writes_the_copy(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config, out = config_of(project), project / "out"
    command = ["augment", "run", str(config.path), "-o", str(out), "--copies", "1", "--quiet"]
    assert run(command) == 0
    assert len(names(out / "train/images")) == 8
    assert run(command) == 2
    assert "not empty" in capsys.readouterr().err
    assert run([*command, "--resume"]) == 0
