from __future__ import annotations

import numpy as np
import pytest

from spleenseg.inference.measure import COLUMNS, Origin, measure, remarks
from spleenseg.inference.postprocess import Pieces
from spleenseg.volumes import Volume

NAMES = {"spleen": 1, "liver": 2}


def scan(shape: tuple[int, int, int] = (10, 40, 40), spacing: float = 1.0, seed: int = 0) -> Volume:
    hu = np.random.default_rng(seed).integers(-100, 200, shape).astype(np.int16)
    affine = np.diag([-spacing, -spacing, spacing, 1.0])
    return Volume.from_stored(np.ascontiguousarray(hu.transpose(2, 1, 0)), affine, case="a")


def facts(volume: Volume, labels: np.ndarray, origin: Origin = Origin()) -> list[dict[str, object]]:
    return [dict(zip(COLUMNS, row, strict=True)) for row in measure(volume, labels, NAMES, origin)]


def test_every_figure_is_what_its_column_says() -> None:
    volume, labels = scan(), np.zeros((10, 40, 40), np.uint8)
    labels[2:5, 10:20, 10:20] = 1
    origin = Origin({"spleen": Pieces(3, 1.25)}, {"spleen": 0.87654}, "onnx")
    spleen, liver = facts(volume, labels, origin)
    inside = volume.array[labels == 1].astype(float)
    assert (spleen["case"], spleen["label"], spleen["slices"], spleen["touches_border"]) == ("a", "spleen", 3, "no")
    assert spleen["volume_ml"] == pytest.approx(0.3)
    assert (spleen["mean_hu"], spleen["sd_hu"]) == (round(inside.mean(), 1), round(inside.std(), 1))
    assert (spleen["components"], spleen["stray_ml"], spleen["quality"], spleen["engine"]) == (3, 1.25, 0.877, "onnx")
    assert (liver["volume_ml"], liver["slices"], liver["mean_hu"], liver["sd_hu"]) == (0.0, 0, None, None)
    assert (liver["components"], liver["quality"], liver["size_class"]) == (None, None, None)


@pytest.mark.parametrize(("side", "expected"), [(5, "not above 1 SD"), (7, "above 1 SD"), (8, "above 2.5 SD")])
def test_a_whole_spleen_has_a_size_class(side: int, expected: str) -> None:
    labels = np.zeros((10, 40, 40), np.uint8)
    labels[1 : 1 + side, 5 : 5 + side, 5 : 5 + side] = 1
    spleen, _ = facts(scan(spacing=10.0), labels)  # a voxel is one millilitre
    assert spleen["size_class"] == expected
    labels[labels == 1] = 2
    assert facts(scan(spacing=10.0), labels)[1]["size_class"] is None


@pytest.mark.parametrize("face", [np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1], np.s_[:, :, 0], np.s_[:, :, -1]])
def test_an_organ_at_any_face_is_cut_off_and_has_no_size_class(face: tuple[slice, ...]) -> None:
    labels = np.zeros((10, 40, 40), np.uint8)
    labels[face] = 1
    (spleen, _) = facts(scan(), labels)
    assert (spleen["touches_border"], spleen["size_class"]) == ("yes", None)


def test_what_is_odd_is_said_in_a_line_for_each_label_and_nothing_else() -> None:
    labels = np.zeros((10, 40, 40), np.uint8)
    labels[3:6, 5:9, 5:9] = 1
    labels[0, 20:30, 20:30] = 2
    whole = Origin({"spleen": Pieces(1, 0.0), "liver": Pieces(2, 0.75)})
    (line,) = remarks(measure(scan(), labels, NAMES, whole))
    assert line.startswith("a: liver reaches the border of the scan")
    assert line.endswith("the network found 2 pieces of liver, 0.75 mL astray")
    lines = list(remarks(measure(scan(), np.zeros_like(labels), NAMES, Origin({"spleen": Pieces(2, 0.1)}))))
    assert lines == ["a: no spleen found large enough to be kept, 0.1 mL in all", "a: no liver found"]


def in_a_circle(value: int, radius: float = 18.0) -> Volume:
    """Return a scan of a circular field of view, outside of which all is `value`."""
    volume = scan()
    y, x = np.mgrid[:40, :40] - 19.5
    volume.array[:, x**2 + y**2 > radius**2] = value
    return volume


@pytest.mark.parametrize(("value", "cut"), [(-3024, "yes"), (-2000, "yes"), (-1200, "yes"), (-1024, "no")])
def test_an_organ_that_meets_padding_is_cut_off(value: int, cut: str) -> None:
    volume, labels = in_a_circle(value), np.zeros((10, 40, 40), np.uint8)
    labels[4:6, 10:30, 10:34] = (volume.array > -1000)[4:6, 10:30, 10:34]
    labels[4:6, 19:21, 34:38] = 1  # up to the rim
    (spleen, _) = facts(volume, labels)
    assert spleen["touches_border"] == cut


def test_an_organ_apart_from_padding_or_at_a_single_low_voxel_is_whole() -> None:
    volume, labels = in_a_circle(-3024), np.zeros((10, 40, 40), np.uint8)
    labels[4:6, 15:25, 15:25] = 1
    assert facts(volume, labels)[0]["touches_border"] == "no"
    volume = scan()
    volume.array[5, 15, 14] = -1300  # noise in gas
    assert facts(volume, labels)[0]["touches_border"] == "no"
