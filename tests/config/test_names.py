from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spleenseg.config.names import Unknown, find_key, find_section
from spleenseg.config.schema import SECTIONS
from spleenseg.config.spelling import edit_distance, nearest

WORDS = st.text(alphabet="abc_", max_size=8)


@pytest.mark.parametrize(
    ("a", "b", "distance"),
    [("", "abc", 3), ("epochs", "epochs", 0), ("epocs", "epochs", 1), ("alpah", "alpha", 1), ("widht", "width", 1)],
)
def test_edit_distance_counts_slips(a: str, b: str, distance: int) -> None:
    assert edit_distance(a, b) == distance


@given(WORDS, WORDS)
def test_edit_distance_is_symmetric_and_bounded(a: str, b: str) -> None:
    distance = edit_distance(a, b)
    assert distance == edit_distance(b, a)
    assert abs(len(a) - len(b)) <= distance <= max(len(a), len(b))
    assert (distance == 0) == (a == b)


@pytest.mark.parametrize(
    ("section", "typed", "meant"),
    [
        ("model", "lerning_rate", "learning_rate"),
        ("model", "image_widht", "image_width"),
        ("model", "numlayers", "num_layers"),
        ("model", "image width", "image_width"),
        ("train", "epoch", "epochs"),
        ("train", "steps-per-epoch", "steps_per_epoch"),
        ("augmentor", "shear", "shears"),
        ("augmentor", "vfilp", "vflip"),
        ("mask", "blursize", "blur_size"),
        ("deformation", "alhpa", "alpha"),
        ("distortion", "gaussian_filer_rsigma", "gaussian_filter_rsigma"),
        ("infer", "image_dir", "images_dir"),
    ],
)
def test_a_misspelt_key_is_recognised(section: str, typed: str, meant: str) -> None:
    found = find_key(section, typed)
    assert isinstance(found, Unknown)
    assert found.misspelt
    assert f"did you mean '{meant}'?" in found.problem


@pytest.mark.parametrize(
    ("section", "typed"),
    [
        ("train", "save_waits_only"),
        ("train", "masks_dir"),
        ("train", "poolsize"),
        ("eval", "output_dir"),
        ("model", "hybrid"),
        ("model", "num_skip"),
        ("model", "mlp_dim"),
        ("model", "freeze_enc_cnn"),
        ("dataset", "class_name"),
        ("mask", "rgb_map"),
        ("mask", "mask_file_format"),
        ("infer", "colorized_output_format"),
    ],
)
def test_keys_of_real_files_that_nothing_reads_are_not_taken_for_misspellings(section: str, typed: str) -> None:
    found = find_key(section, typed)
    assert isinstance(found, Unknown)
    assert not found.misspelt


def test_a_key_of_another_section_names_that_section() -> None:
    found = find_key("train", "hflip")
    assert isinstance(found, Unknown)
    assert found.problem == "unknown key, ignored; [augmentor] knows it"


@pytest.mark.parametrize(
    ("section", "typed", "key"),
    [
        ("deformation", "alpah", "alpha"),
        ("deformation", "alpha", "alpha"),
        ("deformation", "sigmoids", "sigmoids"),
        ("model", "diation", "dilation"),
        ("train", "create_backups", "create_backup"),
    ],
)
def test_the_spellings_in_users_files_are_accepted(section: str, typed: str, key: str) -> None:
    assert find_key(section, typed) == key


@pytest.mark.parametrize("name", ["epoch_changeinfer", "epoch_change_tiled_infer"])
def test_near_misses_that_stand_in_published_configs_are_ignored_with_a_line(name: str) -> None:
    found = find_key("train", name)
    assert isinstance(found, Unknown)
    assert not found.misspelt


def test_sections_are_found_or_recognised() -> None:
    assert find_section("train") == "train"
    assert find_section("deformaton") == Unknown("unknown section (did you mean [deformation]?)", misspelt=True)
    assert find_section("image") == Unknown("unknown section, ignored", misspelt=False)
    assert find_section("valid") == Unknown("unknown section, ignored", misspelt=False)


def test_no_known_key_is_a_misspelling_of_itself() -> None:
    for section, schema in SECTIONS.items():
        assert all(find_key(section, name) == name for name in schema.model_fields)


def test_short_words_have_no_misspellings() -> None:
    assert nearest("x", ["k"]) is None
    assert nearest("kk", ["k"]) is None
