from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spleenseg.render import page, plots
from spleenseg.render.compare import FOUND, SIDE, TRUTH, compared
from spleenseg.render.svg import Axis, Chart, round_ticks


@settings(max_examples=100, deadline=None)
@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
def test_ticks_are_few_round_and_inside(low: float, length: float) -> None:
    ticks = round_ticks(low, low + length)
    assert 1 <= len(ticks) <= 7
    room = 1e-6 * (abs(low) + length)
    assert all(low - room <= value <= low + length + room for value, _ in ticks)
    assert len({text for _, text in ticks}) == len(ticks) or length < 1e-9 * abs(low) * 1e3


def test_ticks_are_written_with_the_digits_they_need() -> None:
    assert [text for _, text in round_ticks(0, 1)] == ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]
    assert [text for _, text in round_ticks(-40, 40)] == ["−40", "−20", "0", "20", "40"]
    assert [text for _, text in round_ticks(0, 15)] == ["0.0", "2.5", "5.0", "7.5", "10.0", "12.5", "15.0"]


def shapes(svg: str, tag: str) -> list[ET.Element]:
    return [element for element in ET.fromstring(svg).iter() if element.tag == tag]


def test_every_case_has_its_point_and_says_its_name() -> None:
    svg = plots.spread({"Dice": {"a<b": 0.9, "b": 0.8, "c": 0.7}}, "share", "Dice by case", low=0, high=1)
    points = shapes(svg, "circle")
    assert [point[0].text for point in points] == ["a<b: 0.9", "b: 0.8", "c: 0.7"]
    heights = [float(point.attrib["cy"]) for point in points]
    assert heights == sorted(heights)
    assert len(shapes(svg, "rect")) == 1


def test_undefined_values_leave_a_gap_in_a_line() -> None:
    svg = plots.curves({"loss": [(0, 1.0), (1, 2.0), (2, float("nan")), (3, 1.0)]}, "epoch", "loss", "Loss")
    assert [len(line.attrib["points"].split()) for line in shapes(svg, "polyline")] == [2, 1]
    assert len(shapes(svg, "circle")) == 3


def test_limits_of_agreement_stand_where_they_belong() -> None:
    svg = plots.bland_altman({"a": (100, 110), "b": (200, 190)}, 0.0, (-28, 28))
    assert [text.text for text in shapes(svg, "text") if text.attrib.get("class") == "note"] == [
        "bias +0.0",
        "−1.96 SD −28.0",
        "+1.96 SD +28.0",
    ]


def test_few_or_equal_values_can_be_drawn() -> None:
    for values in ({}, {"a": 1.0}, dict.fromkeys("abcdef", 0.5)):
        assert shapes(plots.spread({"x": values}, "mm", "x", low=0), "svg")
    assert plots.along_axis({}, "nothing")
    assert plots.profile([3], [0], [0], "one slice")
    chart = Chart(Axis.around([], "x"), Axis.around([float("nan")], "y"), "empty & <odd>")
    assert ET.fromstring(chart.svg()).attrib["aria-label"] == "empty & <odd>"


def test_outlines_lie_where_the_masks_are_whatever_the_pixels_look_like() -> None:
    truth, found = np.zeros((40, 80), bool), np.zeros((40, 80), bool)
    truth[10:30, 20:40], found[10:30, 40:60] = True, True
    picture = compared(np.full((40, 80), 90, np.uint8), truth, found, aspect=2.0)
    assert picture.shape == (SIDE, SIDE, 3)
    places = [np.argwhere((picture == shade).all(-1)) for shade in (TRUTH, FOUND)]
    assert places[0][:, 1].max() < places[1][:, 1].min() + 4
    height, width = np.ptp(places[0], axis=0)
    assert height / width == pytest.approx(2, rel=0.1)  # 20 rows of 2 by 20 columns of 1
    assert not (compared(None, truth, found, plain=True) == TRUTH).all(-1).any()


def test_names_are_text_and_never_markup() -> None:
    rows = [{"<case>": "<script>alert(1)</script>", "dice": 0.5}, {"<case>": "b", "dice": None}]
    made = page.page("<t>", [page.sortable_table(rows, "'n'", {"dice": 2}), page.facts({"<k>": "<v>"})], sortable=True)
    assert "<script>alert" not in made
    assert "<case>" not in made
    assert "<k>" not in made
    assert "<td data-key='0.5'>0.50</td>" in made
    assert made.count("<td></td>") == 1
