from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spleenseg.errors import UserError
from spleenseg.render import bar_chart, color, contact_sheet, curves, overlay, volume_overlay
from spleenseg.render.canvas import Canvas, font, shorten
from spleenseg.render.charts import best_index
from spleenseg.render.volume_overlay import _centre, _layout, _planes, _voxels_by_slice

RED = (255, 0, 0)


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        return np.asarray(picture.convert("RGB"))


def volume() -> tuple[np.ndarray, np.ndarray]:
    array = np.full((20, 60, 80), 40, np.int16)
    labels = np.zeros(array.shape, np.uint8)
    labels[6:12, 30:40, 50:70] = 1
    labels[9, 25:45, 50:70] = 1
    return array, labels


def red_extent(picture: np.ndarray) -> tuple[int, int]:
    rows, columns = np.nonzero((picture == RED).all(-1))
    return int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1


def test_the_planes_go_through_the_largest_slice_and_the_middle_of_the_organ() -> None:
    _, labels = volume()
    assert _centre(labels, _voxels_by_slice(labels)) == (9, 34, 59)


def test_a_bent_organ_is_met_by_every_plane() -> None:
    y, x = np.ogrid[-30:31, -30:31]
    ring = (np.hypot(y, x) < 28) & (np.hypot(y, x) > 24) & (x > 0)
    labels = np.stack([ring] * 3).astype(np.uint8)
    z, row, column = _centre(labels, _voxels_by_slice(labels))
    assert labels[z].any()
    assert labels[:, row].any()
    assert labels[:, :, column].any()


def test_planes_stand_as_a_radiologist_sees_them() -> None:
    array, labels = volume()
    array[:, :, -1], array[-1], array[:, 0] = 1000, 2000, 3000  # patient's left, top, front
    axial, coronal, sagittal = _planes(array, labels, (1, 1, 5), _voxels_by_slice(labels))
    assert (axial.image[1:, -1] == 1000).all()
    assert (axial.image[0] == 3000).all()
    assert (coronal.image[0] == 2000).all()
    assert (coronal.image[1:, -1] == 1000).all()
    assert (sagittal.image[1:, 0] == 3000).all()
    assert (sagittal.image[0, 1:] == 2000).all()
    assert [plane.letters for plane in (axial, coronal, sagittal)] == ["RLAP", "RLSI", "APSI"]
    assert coronal.size_mm == (80, 100)


def test_volumes_are_drawn_in_true_proportions(tmp_path: Path) -> None:
    array = np.full((30, 40, 40), 40, np.int16)
    labels = np.zeros(array.shape, np.uint8)
    labels[10:20, 10:20, 20:30] = 1  # 20 x 20 x 50 mm
    volume_overlay(array, labels, (2, 2, 5), tmp_path / "v.png", colors={1: RED})
    picture = pixels(tmp_path / "v.png")[72 + 26 :]  # below header and caption: a row of three planes
    scale = 720 / 150
    axial, coronal = 40 * 2 * scale, 20 + 40 * 2 * scale + 16
    width, height = red_extent(picture[:, : int(20 + axial)])
    assert abs(width - 20 * scale) <= 2
    assert abs(height - 20 * scale) <= 2
    width, height = red_extent(picture[:, int(coronal) : int(coronal + axial)])
    assert abs(width - 20 * scale) <= 2
    assert abs(height - 50 * scale) <= 2


@pytest.mark.parametrize(("given", "words"), [(None, "label 1: 80.0 mL"), (0.015, "label 1: 60.0 mL")])
def test_the_volume_is_by_the_size_of_a_voxel_that_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: float | None, words: str
) -> None:
    written: list[str] = []
    monkeypatch.setattr(Canvas, "write", lambda sheet, line, *args, **kwargs: written.append(line))
    array, labels = np.full((30, 40, 40), 40, np.int16), np.zeros((30, 40, 40), np.uint8)
    labels[10:20, 10:30, 10:30] = 1
    volume_overlay(array, labels, (2, 2, 5), tmp_path / "v.png", voxel_ml=given)
    assert words in written


def test_flat_volumes_are_stacked_and_nothing_leaves_the_sheet() -> None:
    tall = [np.zeros((400, 400, 3)), np.zeros((700, 400, 3)), np.zeros((700, 400, 3))]
    flat = [np.zeros((700, 700, 3)), np.zeros((90, 700, 3)), np.zeros((90, 700, 3))]
    for pictures in (tall, flat):
        places, width, height = _layout(pictures)  # type: ignore[arg-type]
        for (left, top), picture in zip(places, pictures, strict=True):
            assert left + picture.shape[1] < width
            assert top + 26 + picture.shape[0] < height
    assert _layout(flat)[0][1][0] == _layout(flat)[0][2][0]  # type: ignore[arg-type]
    assert _layout(tall)[0][1][1] == _layout(tall)[0][2][1]  # type: ignore[arg-type]


def test_without_a_label_the_middle_is_shown_and_the_picture_says_so(tmp_path: Path) -> None:
    array, labels = volume()
    volume_overlay(array, labels * 0, (1, 1, 3), tmp_path / "none.png")
    volume_overlay(array, labels, (1, 1, 3), tmp_path / "some.png")
    nothing, something = pixels(tmp_path / "none.png"), pixels(tmp_path / "some.png")
    assert (nothing[36:66] > 200).any()  # words in the legend's line ...
    grey = nothing.max(-1).astype(int) - nothing.min(-1)
    assert grey.max() < 12  # ... and no colour anywhere
    assert (something.max(-1).astype(int) - something.min(-1)).max() > 100


def test_volumes_of_different_shape_are_refused(tmp_path: Path) -> None:
    array, labels = volume()
    with pytest.raises(ValueError, match="one shape"):
        volume_overlay(array, labels[1:], (1, 1, 1), tmp_path / "v.png")
    assert not list(tmp_path.iterdir())


def test_many_labels_and_odd_titles_fit(tmp_path: Path) -> None:
    array, labels = volume()
    labels.flat[:200] = np.arange(200)
    volume_overlay(array, labels, (1, 1, 1), tmp_path / "v.png", title="脾\n\x00<b>" * 99)
    assert pixels(tmp_path / "v.png").shape[1] < 3000


def test_the_real_case_shows_the_spleen_on_the_right_hand_side_of_the_picture(real_data: Path, tmp_path: Path) -> None:
    from spleenseg.volumes import read_labels, read_volume

    volume = read_volume(real_data / "amos-0001" / "ct.nii.gz")
    labels = read_labels(real_data / "amos-0001" / "labels.nii.gz", volume) == 1
    volume_overlay(volume.array, labels, volume.spacing, tmp_path / "v.png", colors={1: RED})
    axial = pixels(tmp_path / "v.png")[98:818, 20:740]
    rows, columns = np.nonzero((axial == RED).all(-1))
    assert columns.min() > 360
    assert rows.min() > 360


def test_contact_sheets_keep_proportions_and_hold_every_picture(tmp_path: Path) -> None:
    wide, tall = np.zeros((100, 300, 3), np.uint8), np.zeros((400, 200, 3), np.uint8)
    wide[:], tall[:] = (255, 0, 0), (0, 255, 0)
    contact_sheet([("wide", wide), ("tall", tall), ("grey", tall[..., 0])], 2, tmp_path / "s.png")
    sheet = pixels(tmp_path / "s.png")
    rows, columns = np.nonzero((sheet == (255, 0, 0)).all(-1))
    assert (np.ptp(columns) + 1, np.ptp(rows) + 1) == (400, 133)
    rows, columns = np.nonzero((sheet == (0, 255, 0)).all(-1))
    assert (np.ptp(columns) + 1, np.ptp(rows) + 1) == (200, 400)


def test_small_pictures_are_enlarged_without_new_colours(tmp_path: Path) -> None:
    tile = np.array([[0, 255], [255, 0]], np.uint8)
    contact_sheet([("", tile)], 5, tmp_path / "s.png")
    sheet = pixels(tmp_path / "s.png")[42:-16, 16:-16]
    assert sheet.shape == (192, 192, 3)
    assert set(np.unique(sheet)) == {0, 255}


def test_an_empty_contact_sheet_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one"):
        contact_sheet([], 3, tmp_path / "s.png")


def test_long_titles_lose_their_middle() -> None:
    short = shorten("a" * 50 + "_spleen_63", 200, 18)
    assert short.endswith("spleen_63")
    assert "…" in short
    assert font(18).getlength(short) <= 200
    assert shorten("spleen_63", 200, 18) == "spleen_63"


ROWS = [{"epoch": float(i), "loss": 1 / (i + 1), "val_loss": abs(i - 7) / 10 + 0.1} for i in range(12)]


def test_curves_are_800_by_600_and_show_both_lines(tmp_path: Path) -> None:
    curves(tmp_path / "c.png", ROWS, ("loss", "val_loss"), "Loss")
    picture = pixels(tmp_path / "c.png")
    assert picture.shape == (600, 800, 3)
    for shade in ("#0072B2", "#D55E00"):
        assert (picture == color(shade)).all(-1).sum() > 500


@pytest.mark.parametrize(
    "rows",
    [
        [],
        ROWS[:1],
        [{"loss": float("nan"), "val_loss": None}],
        [{"loss": 0.3, "val_loss": float("inf")}, {"loss": float("nan"), "val_loss": 0.2}],
        [{"val_loss": 1.0}, {"loss": 1.0}],
    ],
)
def test_curves_bear_one_row_gaps_and_missing_values(rows: list[dict[str, float]], tmp_path: Path) -> None:
    curves(tmp_path / "c.png", rows, ("loss", "val_loss"), "$a_b$ $")
    assert pixels(tmp_path / "c.png").shape == (600, 800, 3)


def test_the_best_epoch_is_the_lowest_loss_and_the_highest_score() -> None:
    nan = float("nan")
    assert best_index([3.0, nan, 1.0, 1.0, 2.0], "val_loss") == 2
    assert best_index([0.3, nan, 0.9, 0.1], "val_dice_coef") == 2
    assert best_index([nan], "val_loss") is None


def test_bars_are_as_high_as_their_counts(tmp_path: Path) -> None:
    bar_chart(tmp_path / "b.png", {"train": 400, "valid": 100}, "Slices", "slices")
    blue = (pixels(tmp_path / "b.png") == color("#0072B2")).all(-1)
    heights = blue.sum(axis=0)
    train, valid = heights[:400].max(), heights[400:].max()
    assert train / valid == pytest.approx(4, rel=0.03)
    bar_chart(tmp_path / "none.png", {}, "none", "slices")


def test_the_same_input_gives_the_same_bytes_in_any_thread(tmp_path: Path) -> None:
    array, labels = volume()

    def draw(index: int) -> bytes:
        chart, sheet, planes = (tmp_path / f"{kind}{index}.png" for kind in "abc")
        curves(chart, ROWS, ("loss", "val_loss"), "Loss")
        contact_sheet([("x", overlay(array[9].astype(np.uint8), labels[9], {1: RED}, "fill"))], 1, sheet)
        volume_overlay(array, labels, (1, 1, 2), planes)
        return chart.read_bytes() + sheet.read_bytes() + planes.read_bytes()

    alone = draw(0)
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(draw, range(1, 9))) == {alone}
    assert not list(tmp_path.glob(".writing-*"))


def test_a_place_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match="cannot write"):
        curves(tmp_path / "file" / "c.png", ROWS, ("loss",), "Loss")
    assert (tmp_path / "file").read_text() == "mine"


def test_importing_the_room_loads_no_heavy_library_and_charts_leave_pyplot_alone(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib, spleenseg.render as r;"
        "assert not {'matplotlib', 'cv2', 'scipy', 'PIL'} & set(sys.modules);"
        f"r.bar_chart(pathlib.Path({str(tmp_path / 'b.png')!r}), {{'a': 1}}, 't', 'y');"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
