from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.remarks import Remarks

from spleenseg.config import load_config
from spleenseg.datasets.folders import slice_name
from spleenseg.errors import UserError
from spleenseg.inference import images as images_module
from spleenseg.inference.export import export
from spleenseg.inference.images import agreed, infer
from spleenseg.inference.ledger import Ledger
from spleenseg.render import color, overlay

from .runs import SPLEEN, brightness_run

INFER = '[infer]\nimages_dir = "./in"\noutput_dir = "./masks"\nmerged_dir = "./merged"\n'
GREEN = '[segmentation]\ncolorize = True\nwhite = "green"\n'


def grey_blocks(size: tuple[int, int], seed: int = 0) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (-(-size[0] // 8), -(-size[1] // 8)), np.uint8)
    return coarse.repeat(8, axis=0).repeat(8, axis=1)[: size[0], : size[1]]


def project(root: Path, text: str = INFER, limits: tuple[float, ...] = (0.5,), **model: object):
    """Make a run folder with three pictures of the model's size to segment, and return its config."""
    brightness_run(root, limits, **model)
    path = root / "train_eval_infer.config"
    path.write_text(path.read_text() + text)
    (root / "in").mkdir()
    for index in range(3):
        Image.fromarray(grey_blocks((32, 16), index)).save(root / "in" / f"{index}.png")
    return load_config(path)


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


def digest(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def test_every_picture_gets_a_thresholded_lossless_mask_and_an_overlay_of_its_own_name(tmp_path):
    summary = infer(project(tmp_path))
    assert (summary.images, summary.kept, summary.leftovers) == (3, 0, ())
    for folder in ("masks", "merged"):
        assert sorted(path.name for path in (tmp_path / folder).glob("*.png")) == ["0.png", "1.png", "2.png"]
    for index in range(3):
        mask = pixels(tmp_path / "masks" / f"{index}.png")
        np.testing.assert_array_equal(mask, (grey_blocks((32, 16), index) >= 127.5) * 255)
    assert "3 images segmented" in summary.summary()


def test_masks_are_painted_and_overlays_drawn_in_the_colours_of_the_config(tmp_path):
    config = project(tmp_path, INFER + GREEN + "alpha = 0.25\n")
    infer(config, overlay_style="fill")
    grey = grey_blocks((32, 16), 1)
    organ = grey >= 127.5
    mask = pixels(tmp_path / "masks" / "1.png")
    assert {tuple(shade) for shade in mask[organ]} == {color("green")}
    assert {tuple(shade) for shade in mask[~organ]} == {(0, 0, 0)}
    expected = overlay(grey, organ, {1: color("green")}, "fill", 0.25)
    np.testing.assert_array_equal(pixels(tmp_path / "merged" / "1.png"), expected)


def test_a_bright_picture_under_a_bright_mask_does_not_wrap_around(tmp_path):
    config = project(tmp_path, INFER + GREEN)
    Image.fromarray(np.full((32, 16), 250, np.uint8)).save(tmp_path / "in" / "0.png")
    infer(config, overlay_style="fill")
    merged = pixels(tmp_path / "merged" / "0.png").astype(int)
    assert np.all(merged[..., 1] >= merged[..., 0])
    assert merged[16, 8].tolist() == [150, 201, 150]


@pytest.mark.parametrize("size", [(32, 16), (48, 80), (33, 21), (64, 64)])
@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "tif"])
def test_masks_have_the_size_of_their_picture_whatever_its_shape_and_format(tmp_path, size, suffix):
    config = project(tmp_path)
    picture = np.zeros(size, np.uint8)
    picture[:, : size[1] // 2] = 255
    Image.fromarray(picture).save(tmp_path / "in" / f"half.{suffix}")
    infer(config)
    mask = pixels(tmp_path / "masks" / "half.png")
    assert mask.shape == size
    assert set(np.unique(mask)) == {0, 255}
    assert np.all(mask[:, : size[1] // 2 - 2] == 255)
    assert np.all(mask[:, size[1] // 2 + 2 :] == 0)
    assert pixels(tmp_path / "merged" / "half.png").shape == (*size, 3)


def test_the_threshold_of_the_config_is_what_counts(tmp_path):
    config = project(tmp_path, INFER + "threshold = 0.999\n")
    edge = np.full((32, 16), 129, np.uint8)  # probability sigmoid(200 * (129/255 - 0.5)) = 0.76
    Image.fromarray(edge).save(tmp_path / "in" / "edge.png")
    infer(config)
    assert not pixels(tmp_path / "masks" / "edge.png").any()


def test_the_models_own_threshold_counts_where_the_config_gives_none(tmp_path):
    config = project(tmp_path)
    Image.fromarray(np.full((32, 16), 127, np.uint8)).save(tmp_path / "in" / "0.png")  # probability 0.40
    export(tmp_path, threshold=0.35)
    infer(config)
    assert pixels(tmp_path / "masks" / "0.png").all()
    infer(config.path, overrides=["infer.threshold=0.5"])
    assert not pixels(tmp_path / "masks" / "0.png").any()
    config.path.write_text(config.path.read_text().replace("[infer]", "[infer]\nthreshold = 0.5"))
    infer(config.path)
    assert not pixels(tmp_path / "masks" / "0.png").any()


def test_colour_pictures_reach_the_network_in_the_order_it_was_trained_with(tmp_path):
    config = project(tmp_path, channel=0)  # color_order "bgr": channel 0 is blue
    picture = np.zeros((32, 16, 3), np.uint8)
    picture[:16, :, 0], picture[16:, :, 2] = 255, 255
    Image.fromarray(picture).save(tmp_path / "in" / "colour.png")
    infer(config)
    mask = pixels(tmp_path / "masks" / "colour.png")
    assert not mask[:16].any()
    assert mask[16:].all()


def test_several_labels_are_written_as_their_values_or_painted(tmp_path):
    config = project(tmp_path, limits=(0.3, 0.7), num_classes=3)
    infer(config)
    grey = grey_blocks((32, 16), 2) / 255
    labels = (grey > 0.3).astype(int) + (grey > 0.7)
    np.testing.assert_array_equal(pixels(tmp_path / "masks" / "2.png"), labels)
    path = tmp_path / "train_eval_infer.config"
    path.write_text(path.read_text() + GREEN)
    infer(load_config(path))
    painted = pixels(tmp_path / "masks" / "2.png")
    shades = [{tuple(shade) for shade in painted[labels == value]} for value in range(3)]
    assert shades[:2] == [{(0, 0, 0)}, {color("green")}]
    assert len(set.union(*shades)) == 3


def test_neighbouring_slices_are_found_by_name(tmp_path):
    expectation = SPLEEN.model_copy(update={"context": 1})
    brightness_run(tmp_path, [0.5], expectation, channel=2)
    path = tmp_path / "train_eval_infer.config"
    path.write_text(path.read_text() + INFER)
    (tmp_path / "in").mkdir()
    for case in ("a", "b"):
        for z in (4, 5):
            Image.fromarray(grey_blocks((32, 16), 10 * (case == "b") + z)).save(tmp_path / "in" / slice_name(case, z))
    infer(load_config(path))
    for case, seed in (("a", 5), ("b", 15)):
        for z in (4, 5):  # slice 5 is the last one: it is its own upper neighbour
            mask = pixels(tmp_path / "masks" / slice_name(case, z))
            np.testing.assert_array_equal(mask, (grey_blocks((32, 16), seed) >= 127.5) * 255)


def test_overlays_are_left_out_when_the_style_is_off_or_no_folder_is_given(tmp_path):
    assert infer(project(tmp_path / "a"), overlay_style="off").merged_dir is None
    assert not (tmp_path / "a" / "merged").exists()
    assert infer(project(tmp_path / "b", '[infer]\nimages_dir = "in"\noutput_dir = "masks"\n')).merged_dir is None


def test_an_unknown_style_is_refused_with_the_nearest_right_one(tmp_path):
    with pytest.raises(UserError, match=r"did you mean 'contour'\?"):
        infer(project(tmp_path), overlay_style="contours")


def test_running_again_replaces_our_own_masks_and_gives_the_same_bytes(tmp_path):
    config = project(tmp_path)
    infer(config)
    before = digest(tmp_path / "masks"), digest(tmp_path / "merged")
    infer(config)
    assert (digest(tmp_path / "masks"), digest(tmp_path / "merged")) == before


def test_resume_keeps_finished_masks_and_makes_the_missing_ones(tmp_path):
    config = project(tmp_path)
    infer(config)
    (tmp_path / "merged" / "1.png").unlink()
    stamps = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "masks").glob("*.png")}
    assert infer(config, resume=True).kept == 2
    again = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "masks").glob("*.png")}
    assert {name for name in stamps if stamps[name] != again[name]} == {"1.png"}
    assert (tmp_path / "merged" / "1.png").exists()
    assert infer(config, overlay_style="contour", resume=True).kept == 0


class Killed(BaseException):
    pass


def test_a_run_that_died_goes_on_to_the_same_bytes(tmp_path, monkeypatch):
    config = project(tmp_path)
    infer(config)
    whole = digest(tmp_path / "masks"), digest(tmp_path / "merged")
    for folder in ("masks", "merged"):
        for path in (tmp_path / folder).iterdir():
            path.unlink()
    calls = []

    def dies_at_the_second(file):
        calls.append(file)
        if len(calls) == 2:
            raise Killed
        return np.zeros((32, 16), np.uint8)

    monkeypatch.setattr(images_module, "_read", dies_at_the_second)
    with pytest.raises(Killed):
        infer(config)
    monkeypatch.undo()
    infer(config, resume=True)
    assert (digest(tmp_path / "masks"), digest(tmp_path / "merged")) == whole


@pytest.mark.parametrize("folder", ["masks", "merged"])
def test_a_mask_drawn_where_a_picture_failed_is_never_overwritten(tmp_path, folder):
    config = project(tmp_path)
    whole = (tmp_path / "in" / "1.png").read_bytes()
    (tmp_path / "in" / "1.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"1\.png"):
        infer(config)
    (tmp_path / "in" / "1.png").write_bytes(whole)
    (tmp_path / folder).mkdir(exist_ok=True)
    (tmp_path / folder / "1.png").write_text("drawn by hand")
    for resume in (False, True):
        with pytest.raises(UserError, match="did not make"):
            infer(config, resume=resume)
    assert (tmp_path / folder / "1.png").read_text() == "drawn by hand"


def test_what_a_failed_run_had_finished_is_sealed_wherever_it_failed(tmp_path):
    """Names are noted eight at a time: the first of the next eight fails before it is noted."""
    config = project(tmp_path)
    for index in range(3, 12):
        Image.fromarray(grey_blocks((32, 16), index)).save(tmp_path / "in" / f"{index:02}.png")
    pictures = sorted((tmp_path / "in").iterdir())
    whole = pictures[8].read_bytes()
    pictures[8].write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=re.escape(pictures[8].name)):
        infer(config)
    made = sorted((tmp_path / "masks").glob("*.png"))
    assert made
    items = json.loads((tmp_path / "masks" / ".spleenseg.json").read_text())["items"]
    assert all(seal for item in items.values() for seal in item["files"].values())
    pictures[8].write_bytes(whole)
    made[0].write_text("corrected by hand")
    with pytest.raises(UserError, match="was changed since spleenseg wrote it"):
        infer(config)


def test_a_killed_run_has_noted_only_what_it_was_about_to_write(tmp_path, monkeypatch):
    config = project(tmp_path)
    for index in range(3, 30):
        Image.fromarray(grey_blocks((32, 16), index)).save(tmp_path / "in" / f"{index:02}.png")
    noted = []

    def killed(ledger):  # nothing is tidied up after a kill
        monkeypatch.setattr(Ledger, "save", lambda ledger: None)
        real(ledger)
        noted.extend(ledger.items)
        raise Killed

    real = Ledger.save
    monkeypatch.setattr(Ledger, "save", killed)
    with pytest.raises(Killed):
        infer(config)
    assert 0 < len(noted) <= 8


def test_the_folder_of_the_images_is_never_written_into(tmp_path):
    for key in ("output_dir", "merged_dir"):
        root = tmp_path / key
        config = project(root, INFER.replace(f'{key} = "./m', f'{key} = "./in/../in" #'))
        before = digest(root / "in")
        with pytest.raises(UserError, match="folder of the images"):
            infer(config)
        assert digest(root / "in") == before


def test_masks_and_overlays_need_folders_of_their_own(tmp_path):
    with pytest.raises(UserError, match="share the folder"):
        infer(project(tmp_path, INFER.replace("./merged", "./masks")))


@pytest.mark.parametrize("folder", ["masks", "merged"])
def test_a_folder_with_files_of_the_users_is_refused_and_left_as_it_is(tmp_path, folder):
    config = project(tmp_path)
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "0.jpg").write_text("made by the reference")
    with pytest.raises(UserError, match=r"did not make \(0\.jpg\)"):
        infer(config)
    assert [path.name for path in (tmp_path / folder).iterdir()] == ["0.jpg"]


def test_a_mask_corrected_by_hand_stops_the_next_run_before_it_writes(tmp_path):
    config = project(tmp_path)
    infer(config)
    Image.new("L", (16, 32), 255).save(tmp_path / "masks" / "2.png")
    before = digest(tmp_path / "masks")
    with pytest.raises(UserError, match=r"2\.png was changed since"):
        infer(config, overlay_style="fill")
    assert digest(tmp_path / "masks") == before


def test_masks_of_pictures_that_are_gone_are_kept_and_named(tmp_path):
    config = project(tmp_path)
    infer(config)
    (tmp_path / "in" / "1.png").unlink()
    remarks = Remarks()
    assert infer(config, reporter=remarks).leftovers == ("1",)
    assert (tmp_path / "masks" / "1.png").exists()
    assert "1 masks of an earlier run" in remarks.warnings[-1]


def test_two_pictures_that_would_become_one_mask_are_refused(tmp_path):
    config = project(tmp_path)
    Image.fromarray(grey_blocks((32, 16))).save(tmp_path / "in" / "1.jpg")
    with pytest.raises(UserError, match=r"would both become 1\.png"):
        infer(config)
    assert not (tmp_path / "masks").exists()


@pytest.mark.parametrize("key", ["images_dir", "output_dir"])
def test_a_missing_folder_key_is_named(tmp_path, key):
    text = "".join(line + "\n" for line in INFER.splitlines() if not line.startswith(key))
    with pytest.raises(UserError, match=rf"\[infer\] {key}"):
        infer(project(tmp_path, text))


def test_an_empty_folder_and_a_damaged_picture_are_one_line_each(tmp_path):
    config = project(tmp_path)
    whole = (tmp_path / "in" / "1.png").read_bytes()
    (tmp_path / "in" / "1.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"1\.png"):
        infer(config)
    for path in (tmp_path / "in").iterdir():
        path.unlink()
    with pytest.raises(UserError, match=r"\[infer\] images_dir.*holds no image"):
        infer(config)


def test_a_folder_without_a_trained_model_is_refused_before_anything_is_written(tmp_path):
    config = project(tmp_path)
    (tmp_path / "run.json").unlink()
    with pytest.raises(UserError, match=r"run\.json"):
        infer(config)
    assert not (tmp_path / "masks").exists()


TILES = "[tiledinfer]\nsplit_size = 32\noverlapping = 8\nbitwise_blending = False\n"


def test_tiles_keep_detail_that_whole_pictures_lose(tmp_path):
    config = project(tmp_path, INFER + TILES, image_width=32)
    picture = np.zeros((100, 170), np.uint8)
    picture[41:43, 61:63] = 255  # resized to the network it is less than a pixel
    Image.fromarray(picture).save(tmp_path / "in" / "large.png")
    infer(config)
    assert not pixels(tmp_path / "masks" / "large.png").any()
    infer(config, tiled=True)
    np.testing.assert_array_equal(pixels(tmp_path / "masks" / "large.png"), picture)


@pytest.mark.parametrize("size", [(32, 16), (20, 90), (131, 75)])
def test_a_constant_picture_is_the_same_tiled_and_whole(tmp_path, size):
    config = project(tmp_path, INFER + TILES.replace("32", "24"))
    for grey in (100, 200):
        Image.fromarray(np.full(size, grey, np.uint8)).save(tmp_path / "in" / f"c{grey}.png")
    infer(config)
    whole = digest(tmp_path / "masks")
    infer(config, tiled=True)
    tiled = digest(tmp_path / "masks")
    assert all(whole[name] == tiled[name] for name in ("c100.png", "c200.png"))


def test_blending_with_the_whole_picture_keeps_what_both_find(tmp_path):
    config = project(tmp_path, INFER + TILES.replace("False", "True"), image_width=32)
    picture = np.zeros((128, 128), np.uint8)
    picture[10:12, 10:12] = 255
    picture[64:, 64:] = 255
    Image.fromarray(picture).save(tmp_path / "in" / "large.png")
    infer(config, tiled=True)
    mask = pixels(tmp_path / "masks" / "large.png")
    assert not mask[:32, :32].any()
    assert mask[70:, 70:].all()


def test_several_labels_agree_label_by_label():
    tiled, whole = np.float32([[[0.1, 0.7, 0.2]]]), np.float32([[[0.2, 0.1, 0.7]]])
    np.testing.assert_allclose(agreed(tiled, whole), [[[0.7, 0.1, 0.2]]])
    np.testing.assert_allclose(agreed(tiled[..., :1], whole[..., :1]), [[[0.1]]])


def test_tiled_reads_its_own_threshold_and_folders(tmp_path):
    text = TILES + 'binarize = True\nthreshold = 10\nimages_dir = "other"\noutput_dir = "tiled"\n'
    config = project(tmp_path, INFER + text)
    (tmp_path / "other").mkdir()
    faint = np.full((32, 32), 126, np.uint8)  # probability 0.23: below 0.5, above 10/255
    Image.fromarray(faint).save(tmp_path / "other" / "faint.png")
    summary = infer(config, tiled=True)
    assert summary.output_dir == tmp_path / "tiled"
    assert pixels(tmp_path / "tiled" / "faint.png").all()


def test_an_overlap_that_does_not_fit_the_tile_names_the_key(tmp_path):
    config = project(tmp_path, INFER + TILES.replace("= 8", "= 32"))
    with pytest.raises(UserError, match=r"\[tiledinfer\] overlapping \(line \d+\)"):
        infer(config, tiled=True)


def test_pictures_shown_otherwise_than_the_model_was_trained_are_warned_of(tmp_path):
    from spleenseg.datasets.manifest import Manifest

    config = project(tmp_path)
    Manifest(
        created_by="test",
        source="s",
        window_hu=(0, 100),
        display="radiological",
        labels={"spleen": 1},
        seed=1,
        shares=(0.7, 0.2, 0.1),
        cases={},
    ).write(tmp_path / "in")
    remarks = Remarks()
    infer(config, reporter=remarks)
    assert any("window_hu" in line for line in remarks.warnings)
    assert not any("display" in line for line in remarks.warnings)


def test_real_slices_get_masks_of_their_size(tmp_path, real_data):
    source = real_data / "msd-spleen-slices" / "images"
    config = project(tmp_path, INFER.replace("./in", str(source)), image_width=512, image_height=512)
    before = digest(source)
    assert infer(config).images == 18
    assert digest(source) == before
    for path in source.iterdir():
        bright = np.asarray(Image.open(path).convert("L")) >= 128
        mask = pixels(tmp_path / "masks" / f"{path.stem}.png") > 0
        assert mask.shape == (512, 512)
        np.testing.assert_array_equal(mask, bright)
