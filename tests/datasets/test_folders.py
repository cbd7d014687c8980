from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spleenseg.datasets.folders import (
    SliceFile,
    assign_patients,
    list_images,
    list_pairs,
    parse_name,
    places_by_case,
    slice_name,
)
from spleenseg.errors import UserError


def test_the_name_tells_slice_case_and_patient(save_pairs) -> None:
    images, masks = save_pairs(["10012_spleen_9.png", "10003_spleen_26.jpg"])
    first, second = list_pairs(images, masks)
    assert (first.name, first.case, first.patient, first.index) == ("10003_spleen_26.jpg", "spleen_26", "spleen_26", 3)
    assert (second.index, second.mask) == (12, masks / "10012_spleen_9.png")


@pytest.mark.parametrize("name", ["ABD_001_100", "9999_a", "10000", "scan", "01234_a"])
def test_a_name_of_another_form_is_its_own_case_and_patient(save_pairs, name: str) -> None:
    images, _ = save_pairs([f"{name}.png"])
    (file,) = list_images(images)
    assert (file.case, file.patient, file.index, file.mask) == (name, name, None, None)


@pytest.mark.parametrize(
    "prefix",
    [
        *("hfliped_", "vfliped_", "rotated_5_", "shrinked_0_8_", "sheared_0_1_", "hflipped_sheared_0_1_"),
        *(
            "deformed_alpha_1300_sigmoid_8_",
            "deformed_alpha_13000_sigmoid_10.5_",
            "distorted_0.03_rsigma40_sigma0.5_",
            "barrdistorted_101_0.5_0.5_",
        ),
        *("sheared_horizontal_-0_1_", "sharpened_1_", "brightened_1.2_10_", "composed_abcde_", "strong_zzzzz_"),
    ],
)
def test_an_augmented_slice_belongs_to_the_case_it_was_made_from(prefix: str) -> None:
    assert parse_name(f"{prefix}10030_spleen_2") == ("spleen_2", None)


@given(st.text("abc_0123456789", min_size=1), st.integers(0, 99_999))
def test_a_slice_name_reads_back(case: str, index: int) -> None:
    assert parse_name(Path(slice_name(case, index)).stem) == (case, index)


def test_a_mask_may_have_another_suffix_than_its_image(save_pairs) -> None:
    images, masks = save_pairs(["a.png"])
    (masks / "a.png").rename(masks / "a.BMP")
    assert list_pairs(images, masks)[0].mask == masks / "a.BMP"


def test_hidden_files_other_files_and_subfolders_are_passed_over(save_pairs) -> None:
    images, _ = save_pairs(["a.png"])
    for name in ("._a.png", ".writing-x.png", "Thumbs.db", "notes.txt"):
        (images / name).write_bytes(b"x")
    (images / "folder.png").mkdir()
    assert [file.name for file in list_images(images)] == ["a.png"]


def test_an_image_without_mask_is_named(save_pairs) -> None:
    images, masks = save_pairs(["a.png", "b.png"])
    (masks / "b.png").unlink()
    with pytest.raises(UserError, match=r"b\.png has no mask of the same name"):
        list_pairs(images, masks)


def test_a_mask_without_image_is_named(save_pairs) -> None:
    images, masks = save_pairs(["a.png", "b.png"])
    (images / "b.png").unlink()
    with pytest.raises(UserError, match=r"mask .*b\.png has no image"):
        list_pairs(images, masks)


def test_two_masks_for_one_image_are_refused(save_pairs) -> None:
    images, masks = save_pairs(["a.png"])
    (masks / "a.png").rename(masks / "a.bmp")
    (masks / "a.tif").write_bytes((masks / "a.bmp").read_bytes())
    with pytest.raises(UserError, match=r"several masks .*a\.bmp, a\.tif"):
        list_pairs(images, masks)


def test_a_folder_cannot_be_its_own_masks(save_pairs) -> None:
    images, _ = save_pairs()
    with pytest.raises(UserError, match="same folder"):
        list_pairs(images, images / ".." / "images")


def test_a_missing_empty_or_file_folder_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    for name, word in (("nowhere", "does not exist"), ("empty", "holds no image"), ("file", "is a file")):
        with pytest.raises(UserError, match=f"{name}.* {word}"):
            list_images(tmp_path / name)


def test_the_slices_of_a_case_are_found_from_the_lowest_up_whatever_the_order() -> None:
    named = [("b", 1), ("a", 2), ("b", 0), ("a", 10), ("plain", None)]
    files = [SliceFile(f"{case}{z}.png", Path(f"{case}{z}.png"), None, case, case, z) for case, z in named]
    assert places_by_case(files) == {"b": [2, 0], "a": [1, 3], "plain": [4]}


def test_a_manifest_may_know_the_patient_better_than_the_name(save_pairs) -> None:
    files = assign_patients(list_images(save_pairs()[0]), {"anna": "P1"})
    assert [file.patient for file in files] == ["P1", "bob"]


def test_the_real_slices_are_eighteen_of_ten_patients(real_data: Path) -> None:
    folder = real_data / "msd-spleen-slices"
    files = list_pairs(folder / "images", folder / "masks")
    assert (len(files), len({file.patient for file in files})) == (18, 10)
    assert all(0 <= file.index < 100 for file in files if file.index is not None)
