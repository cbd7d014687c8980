from __future__ import annotations

import gc
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from spleenseg.config import load_config
from spleenseg.datasets.check import read_section
from spleenseg.datasets.manifest import Expectation
from spleenseg.datasets.slices import SliceSet
from spleenseg.errors import UserError
from spleenseg.progress import Silent


class Listener(Silent):
    """Collects warnings."""

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.said: list[str] = []

    def warn(self, message: str) -> None:
        self.warnings.append(message)

    def say(self, message: str) -> None:
        self.said.append(message)


def test_width_and_height_are_not_swapped(save_pairs, make_config) -> None:
    image = np.zeros((16, 32, 3), np.uint8)
    image[:, 24:] = 200  # right quarter
    mask = np.zeros((16, 32), np.uint8)
    mask[:, 24:] = 255
    save_pairs(image=image, mask=mask)
    slices = SliceSet.from_config(make_config(), "train")
    assert len(slices) == 2
    assert slices.image(0).shape == (16, 32, 3)
    assert np.array_equal(slices.image(0), image)
    assert np.array_equal(slices.labels(0), mask // 255)


@pytest.mark.parametrize("interpolation", ["None", '"INTER_NEAREST"', '"INTER_LINEAR"', '"cv2.INTER_CUBIC"'])
@pytest.mark.parametrize("native", [(64, 64), (8, 8), (50, 20)])
def test_slices_are_resized_to_the_model_and_labels_stay_labels(
    save_pairs, make_config, native: tuple[int, int], interpolation: str
) -> None:
    mask = np.zeros(native, np.uint8)
    mask[native[0] // 2 :] = 255
    save_pairs(image=np.repeat(mask[..., None] // 2, 3, axis=2), mask=mask)
    slices = SliceSet.from_config(make_config(f"dataset.resize_interpolation={interpolation}"), "train")
    image, labels = slices.image(1), slices.labels(1)
    assert (image.shape, labels.shape) == ((16, 32, 3), (16, 32))
    assert (image.dtype, labels.dtype) == (np.uint8, np.uint8)
    assert set(np.unique(labels)) == {0, 1}
    assert abs(labels[:, 0].sum() - 8) <= 1
    assert image[0, 0, 0] == 0
    assert image[-1, -1, 0] == 127


def test_shrinking_averages_areas_by_default(save_pairs, make_config) -> None:
    stripes = np.zeros((32, 64, 3), np.uint8)
    stripes[:, ::2] = 200
    save_pairs(image=stripes)
    assert (SliceSet.from_config(make_config(), "train").image(0) == 100).all()


def test_the_colour_order_is_honoured(save_pairs, make_config) -> None:
    save_pairs(image=np.full((16, 32, 3), (10, 20, 30)))
    assert SliceSet.from_config(make_config(), "train").image(0)[0, 0].tolist() == [10, 20, 30]
    bgr = SliceSet.from_config(make_config('dataset.color_order="bgr"'), "train")
    assert bgr.image(0)[0, 0].tolist() == [30, 20, 10]


def test_one_channel_is_grey(save_pairs, make_config) -> None:
    save_pairs(image=np.full((16, 32, 3), 77))
    image = SliceSet.from_config(make_config("model.image_channels=1"), "train").image(0)
    assert image.shape == (16, 32, 1)
    assert (image == 77).all()


def test_native_labels_keep_the_size_of_the_file(save_pairs, make_config) -> None:
    mask = np.zeros((40, 50), np.uint8)
    mask[7:23, 11:13] = 255
    save_pairs(image=np.zeros((40, 50, 3)), mask=mask)
    slices = SliceSet.from_config(make_config(), "train")
    assert np.array_equal(slices.native_labels(0), mask // 255)
    assert slices.labels(0).shape == (16, 32)


def test_several_classes_keep_their_values(save_pairs, make_config) -> None:
    mask = np.zeros((16, 32), np.uint8)
    mask[2:5], mask[7:9] = 1, 2
    save_pairs(mask=mask)
    settings = ("model.num_classes=3", 'model.final_activation="softmax"')
    slices = SliceSet.from_config(make_config(*settings), "train")
    assert np.array_equal(slices.labels(0), mask)
    assert slices.expectation.labels == {"label_1": 1, "label_2": 2}
    with pytest.raises(UserError, match=r"mask .*10001_anna\.png holds the value 2"):
        SliceSet.from_config(make_config("model.num_classes=2", 'model.final_activation="softmax"'), "train")


def test_image_and_mask_of_different_size_are_refused(save_pairs, make_config) -> None:
    save_pairs(image=np.zeros((16, 32, 3)), mask=np.full((32, 16), 255))
    with pytest.raises(UserError, match=r"10001_anna\.png is 16x32, its image 32x16 pixels"):
        SliceSet.from_config(make_config(), "train")


def test_masks_that_never_reach_the_threshold_are_an_error_that_says_so(save_pairs, make_config) -> None:
    save_pairs(mask=np.eye(16, 32))
    with pytest.raises(UserError, match=r"\[mask\] threshold.* is 128, but no mask .* brighter than 1; .* set it to 1"):
        SliceSet.from_config(make_config(), "train")
    slices = SliceSet.from_config(make_config("mask.threshold=1"), "train")
    assert slices.labels(0).sum() == 16


def test_a_split_without_any_organ_loads(save_pairs, make_config) -> None:
    save_pairs(mask=np.zeros((16, 32)))
    assert not SliceSet.from_config(make_config(), "train").labels(0).any()


def test_a_damaged_file_is_an_error_on_loading_not_later(save_pairs, make_config) -> None:
    images, _ = save_pairs([f"{10000 + z}_anna.png" for z in range(20)])
    path = images / "10013_anna.png"
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(UserError, match=r"10013_anna\.png is damaged or cut short"):
        SliceSet.from_config(make_config(), "train")


def test_what_does_not_fit_in_memory_is_memory_mapped_and_equal(save_pairs, make_config) -> None:
    images, masks = save_pairs(
        [f"{10000 + z}_anna.png" for z in range(5)], image=np.arange(16 * 32 * 3).reshape(16, 32, 3) % 256
    )
    config, listener = make_config(), Listener()
    section = read_section(config, "train")
    whole = SliceSet("train", section, config)
    tight = SliceSet("train", section, config, listener, budget=2 * (16 * 32 * 3 + 16 * 32))
    assert listener.said == ["3 of 5 slices of [train] do not fit in memory: in a memory-mapped file"]
    for path in (*images.iterdir(), *masks.iterdir()):
        path.unlink()  # nothing is decoded again
    for index in range(5):
        assert np.array_equal(whole.image(index), tight.image(index))
        assert np.array_equal(whole.labels(index), tight.labels(index))
        with pytest.raises(ValueError, match="read-only"):
            tight.labels(index)[0] = 1


def test_the_budget_of_memory_is_a_key(save_pairs, make_config) -> None:
    save_pairs([f"{10000 + z}_anna.png" for z in range(3)])
    for setting, kept_on_disk in (("dataset.cache_mb=0", True), ("dataset.cache_mb=1", False), ("train.seed=1", False)):
        listener = Listener()
        SliceSet.from_config(make_config(setting), "train", listener)
        assert bool(listener.said) == kept_on_disk


def test_without_room_on_disk_slices_are_decoded_again(save_pairs, make_config, monkeypatch, tmp_path: Path) -> None:
    save_pairs(image=np.arange(16 * 32 * 3).reshape(16, 32, 3) % 256)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    config, listener = make_config("dataset.cache_mb=0"), Listener()
    slices = SliceSet.from_config(config, "train", listener)
    assert "2 of 2 slices of [train] do not fit in memory: nowhere" in listener.warnings[0]
    assert np.array_equal(slices.image(1).ravel(), np.arange(16 * 32 * 3) % 256)


def test_the_mapped_file_leaves_nothing_behind(save_pairs, make_config, monkeypatch, tmp_path: Path) -> None:
    save_pairs()
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    slices = SliceSet.from_config(make_config("dataset.cache_mb=0"), "train")
    image = slices.image(0)
    del slices
    gc.collect()
    assert image.any()  # lives on for those who hold it
    del image
    gc.collect()
    assert not list(temporary.iterdir())


def test_slices_cannot_be_changed_by_their_users(save_pairs, make_config) -> None:
    save_pairs(image=np.arange(16 * 32 * 3).reshape(16, 32, 3) % 256)
    slices = SliceSet.from_config(make_config(), "train")
    for array in (slices.image(0), slices.labels(0)):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_threads_see_the_same_slices(save_pairs, make_config) -> None:
    save_pairs([f"{10000 + z}_anna.png" for z in range(8)], image=np.full((40, 80, 3), 50))
    config = make_config()
    slices = SliceSet("train", read_section(config, "train"), config, budget=0)
    start = threading.Barrier(4)

    def total(_: int) -> int:
        start.wait()
        return sum(int(slices.image(index).sum()) for index in range(8))

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(total, range(4)))) == 1


def test_context_stacks_neighbours_of_the_same_case_only(save_pairs, make_config, tmp_path: Path) -> None:
    names = [f"{10000 + z}_{case}.png" for case in ("anna", "bob") for z in range(3)]
    images, _ = save_pairs(names)
    for place, name in enumerate(names):
        Image.fromarray(np.full((16, 32), 10 * place, np.uint8)).save(images / name)
    config = make_config("dataset.context=1", "model.image_channels=3")
    slices = SliceSet.from_config(config, "train")
    found = {file.name: slices.image(place)[0, 0].tolist() for place, file in enumerate(slices.files)}
    assert found["10000_anna.png"] == [0, 0, 10]
    assert found["10001_anna.png"] == [0, 10, 20]
    assert found["10002_anna.png"] == [10, 20, 20]
    assert found["10000_bob.png"] == [30, 30, 40]
    assert slices.expectation.context == 1


def test_context_with_a_missing_neighbour_names_it(save_pairs, make_config) -> None:
    save_pairs(["10000_anna.png", "10002_anna.png"])
    with pytest.raises(UserError, match=r"\[dataset\] context .*slice 1 of anna is missing"):
        SliceSet.from_config(make_config("dataset.context=1"), "train")


def test_a_plain_folder_is_taken_as_the_references(save_pairs, make_config) -> None:
    save_pairs()
    slices = SliceSet.from_config(make_config(), "train")
    assert slices.manifest is None
    assert slices.expectation == Expectation.reference()
    assert slices.expectation.window_hu == (0, 255)
    assert slices.expectation.display == "reference"


def test_the_references_config_loads_the_real_slices(real_data: Path, tmp_path: Path) -> None:
    project = tmp_path / "projects" / "unet" / "Spleen"
    project.mkdir(parents=True)
    data = tmp_path / "dataset" / "Spleen" / "train"
    data.parent.mkdir(parents=True)
    data.symlink_to(real_data / "msd-spleen-slices")
    config = project / "train_eval_infer.config"
    config.write_bytes((real_data / "reference" / "train_eval_infer.config").read_bytes())
    slices = SliceSet.from_config(load_config(config), "train")
    assert len(slices) == 18
    first = slices.files[0]
    assert np.array_equal(slices.image(0), cv2.imread(str(first.image)))
    assert np.array_equal(slices.labels(0), cv2.imread(str(first.mask), cv2.IMREAD_GRAYSCALE) >= 128)
    assert all(slices.labels(place)[:, :256].any() for place in range(18))  # spleen on the image's left
