"""Keeping augmented pairs: those really used, a bounded number, nothing of the user's lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from spleenseg.augment.debug import DebugSaver, mask_picture
from spleenseg.augment.policies import Unchanged
from spleenseg.augment.stream import Batch, BatchStream
from spleenseg.errors import UserError
from spleenseg.progress import Silent

from .pairs import MemorySlices, config_with, soft


def batch_of(*names: str, channels: int = 3, seed: int = 0) -> Batch:
    rng = np.random.default_rng(seed)
    count = len(names)
    images = rng.integers(0, 256, (count, 20, 30, channels)).astype(np.float32)
    return Batch(images, rng.random((count, 20, 30, 1), dtype=np.float32), names)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "generated_images_dir", tmp_path / "generated_masks_dir"


def pictures(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.*") if not path.name.startswith("."))


def test_the_pairs_used_are_kept_losslessly_under_the_reference_names(folders: tuple[Path, Path]) -> None:
    batch = batch_of("shrinked_0_8_10001_spleen_2.jpg", "10002_spleen_3.jpg")
    saver = DebugSaver(*folders, bgr=True)
    saver.save(batch, epoch=0)
    saver.close()
    expected = ["10002_spleen_3.png", "shrinked_0_8_10001_spleen_2.png"]
    assert pictures(folders[0]) == pictures(folders[1]) == expected
    image = cv2.imread(str(folders[0] / expected[1]))
    np.testing.assert_array_equal(image, batch.images[0])
    mask = cv2.imread(str(folders[1] / expected[1]), cv2.IMREAD_UNCHANGED)
    np.testing.assert_allclose(mask, batch.targets[0, ..., 0] * 255, atol=0.51)


def test_colours_are_in_their_order_in_the_file(folders: tuple[Path, Path]) -> None:
    batch = batch_of("a.jpg")
    saver = DebugSaver(*folders, bgr=False)
    saver.save(batch, epoch=0)
    saver.close()
    np.testing.assert_array_equal(cv2.imread(str(folders[0] / "a.png"))[..., ::-1], batch.images[0])


@pytest.mark.parametrize("channels", [1, 5])
def test_other_channel_counts_give_a_picture_too(folders: tuple[Path, Path], channels: int) -> None:
    saver = DebugSaver(*folders)
    saver.save(batch_of("a.jpg", channels=channels), epoch=0)
    saver.close()
    assert pictures(folders[0]) == ["a.png"]


def test_each_epoch_keeps_a_bounded_number(folders: tuple[Path, Path]) -> None:
    saver = DebugSaver(*folders, per_epoch=3)
    for epoch in range(2):
        for step in range(4):
            saver.save(batch_of(f"{epoch}{step}a.jpg", f"{epoch}{step}b.jpg"), epoch)
    saver.close()
    assert pictures(folders[0]) == [f"{e}{name}.png" for e in "01" for name in ("0a", "0b", "1a")]


def test_a_folder_of_the_users_is_added_to_but_nothing_in_it_is_replaced(folders: tuple[Path, Path]) -> None:
    folders[0].mkdir()
    (folders[0] / "a.png").write_bytes(b"the user's own")
    saver = DebugSaver(*folders)
    saver.save(batch_of("a.jpg", "b.jpg"), epoch=0)
    saver.close()
    assert (folders[0] / "a.png").read_bytes() == b"the user's own"
    assert pictures(folders[0]) == ["a.png", "b.png"]


def test_what_an_earlier_run_kept_is_renewed(folders: tuple[Path, Path]) -> None:
    for seed in range(2):
        saver = DebugSaver(*folders, bgr=True)
        saver.save(batch_of("a.jpg", seed=seed), epoch=0)
        saver.close()
    np.testing.assert_array_equal(cv2.imread(str(folders[0] / "a.png")), batch_of("a.jpg", seed=1).images[0])


def test_a_failure_is_a_warning_and_training_goes_on(folders: tuple[Path, Path]) -> None:
    class Listening(Silent):
        heard: list[str] = []  # noqa: RUF012

        def warn(self, message: str) -> None:
            self.heard.append(message)

    folders[0].write_text("a file where the folder should be")
    saver = DebugSaver(*folders, reporter=Listening())
    saver.save(batch_of("a.jpg"), epoch=0)
    saver.close()
    assert len(Listening.heard) == 1
    assert str(folders[0]) in Listening.heard[0]


def test_one_folder_for_images_and_masks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="two different folders"):
        DebugSaver(tmp_path, tmp_path)


def test_several_classes_are_spread_over_the_greys() -> None:
    target = np.eye(3, dtype=np.float32)[np.array([[0, 1, 2]])]
    assert mask_picture(target).tolist() == [[0, 128, 255]]


@pytest.mark.parametrize(
    ("sections", "saves"),
    [
        ({}, True),
        ({"generator": {"debug": False}}, False),
        ({"generator": {"augmentation": False}}, False),
        ({"model": {"generator": False}}, False),
    ],
)
def test_the_config_decides_whether_pairs_are_kept(
    tmp_path: Path, sections: dict[str, dict[str, Any]], saves: bool
) -> None:
    saver = DebugSaver.from_config(config_with(tmp_path, **sections))
    assert (saver is not None) == saves
    if saver is not None:
        saver.close()
    assert not (tmp_path / "generated_images_dir").exists()


def test_by_default_they_lie_beside_the_config(tmp_path: Path) -> None:
    saver = DebugSaver.from_config(config_with(tmp_path))
    assert saver is not None
    stream = BatchStream(MemorySlices(3), Unchanged(), 2, 2, 1, soft, threads=1)
    for batch in stream.epoch(0):
        saver.save(batch, 0)
    saver.close()
    assert len(pictures(tmp_path / "generated_images_dir")) == 3
    assert pictures(tmp_path / "generated_images_dir") == pictures(tmp_path / "generated_masks_dir")
