"""The charts of an evaluation from plain numbers: spread of figures, agreement, curves. Each returns an SVG element."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from spleenseg.render.svg import Axis, Chart, Point

Named = Mapping[str, float]  # case -> value


def spread(
    groups: Mapping[str, Named],
    unit: str,
    name: str,
    *,
    low: float | None = None,
    high: float | None = None,
    level: float | None = None,
) -> str:
    """Draw a box and all its points for each group.

    The box spans the quarters, the whiskers the values within 1.5 times its height (Tukey 1977).

    Args:
        groups: name -> case -> value.
        unit: the y axis's label.
        name: what the chart shows.
        low, high: ends that the axis never passes.
        level: where a horizontal line stands.
    """
    values = [value for group in groups.values() for value in group.values()]
    ticks = tuple((float(place), label) for place, label in enumerate(groups))
    chart = Chart(Axis(-0.5, len(groups) - 0.5, "", ticks), Axis.around(values, unit, low=low, high=high), name)
    if level is not None:
        chart.level(level)
    for place, group in enumerate(groups.values()):
        if len(group) > 2:
            chart.box(place, _quarters(list(group.values())), 0.44)
        points = [
            (place + shift, value) for shift, value in zip(_swarm(list(group.values())), group.values(), strict=True)
        ]
        chart.dots(points, [f"{case}: {value:.4g}" for case, value in group.items()], "b")
    return chart.svg()


def bland_altman(pairs: Mapping[str, tuple[float, float]], bias: float, limits: tuple[float, float] | None) -> str:
    """Draw differences over means (Bland & Altman 1986).

    Args:
        pairs: case -> (true, predicted) volume in mL.
        bias: their mean difference.
        limits: of agreement; None: too few cases.
    """
    means = [(true + found) / 2 for true, found in pairs.values()]
    gaps = [found - true for true, found in pairs.values()]
    chart = Chart(
        Axis.around(means, "mean of truth and prediction (mL)"),
        Axis.around([*gaps, 0.0, *(limits or ())], "prediction − truth (mL)"),
        "Bland-Altman plot: difference of predicted and true volume over their mean",
    )
    chart.level(0.0)
    chart.level(bias, f"bias {signed(bias)}", "a")
    for value, which in zip(limits or (), ("−1.96 SD", "+1.96 SD"), strict=False):
        chart.level(value, f"{which} {signed(value)}", "a", dashed=True)
    titles = [f"{case}: {found:.1f} mL, truth {true:.1f} mL" for case, (true, found) in pairs.items()]
    chart.dots(list(zip(means, gaps, strict=True)), titles, "b")
    return chart.svg()


def curves(
    series: Mapping[str, Sequence[Point]],
    x_label: str,
    y_label: str,
    name: str,
    *,
    low: float | None = None,
    high: float | None = None,
    mark: float | None = None,
) -> str:
    """Draw up to three lines.

    Args:
        series: label -> points.
        x_label, y_label: of the axes.
        name: what the chart shows.
        low, high: ends that the y axis never passes.
        mark: where a vertical line stands, such as the chosen one.
    """
    points = [point for line in series.values() for point in line]
    chart = Chart(
        Axis.around([x for x, _ in points], x_label),
        Axis.around([y for _, y in points], y_label, low=low, high=high),
        name,
    )
    if mark is not None:
        chart.upright(mark)
    for kind, (label, line) in zip("abc", series.items(), strict=False):
        chart.line(line, kind, label)
        if len(line) <= 25:
            chart.dots(
                [p for p in line if math.isfinite(p[1])],
                [f"{label} at {x:g}: {y:.4g}" for x, y in line if math.isfinite(y)],
                kind,
            )
    return chart.svg()


def reliability(points: Sequence[Point], voxels: Sequence[int], name: str) -> str:
    """Draw the observed share of organ over the probability, beside the diagonal of honest probabilities."""
    chart = Chart(Axis(0, 1, "predicted probability"), Axis(0, 1.02, "observed share of organ"), name)
    chart.line([(0, 0), (1, 1)], "faint")
    chart.line(points, "a")
    titles = [f"{x:.2f}: {y:.3f} of {count} voxels" for (x, y), count in zip(points, voxels, strict=True)]
    chart.dots(points, titles, "a")
    return chart.svg()


def along_axis(cases: Mapping[str, Sequence[Point]], name: str) -> str:
    """Draw each case's slice Dice from the organ's lowest slice (0) to its highest (1), and the median of all."""
    chart = Chart(Axis(0, 1, "place in the organ, foot to head"), Axis(0, 1.02, "slice Dice"), name)
    for line in cases.values():
        chart.line(line, "faint")
    places = np.linspace(0, 1, 41)
    lines = [_at(places, line) for line in cases.values() if len(line) > 1]
    if len(lines) > 1:
        middle = np.median(lines, axis=0)
        chart.line(list(zip(places.tolist(), middle.tolist(), strict=True)), "a")
    return chart.svg()


def _at(places: NDArray[np.float64], line: Sequence[Point]) -> NDArray[np.float64]:
    """Return the line's height at places between its points."""
    return np.interp(places, [x for x, _ in line], [y for _, y in line])


def profile(index: Sequence[int], truth: Sequence[float], found: Sequence[float], name: str) -> str:
    """Draw how much organ each slice of a case holds, in truth and prediction."""
    top = max([*truth, *found, 1.0])
    chart = Chart(
        Axis(min(index), max(max(index), min(index) + 1), "slice, foot to head"),
        Axis(0, 1.14 * top, "pixels"),
        name,
        height=210,
    )
    chart.area(list(zip(index, truth, strict=True)), "truth", "truth")
    chart.line(list(zip(index, found, strict=True)), "found", "prediction")
    return chart.svg()


def against(pairs: Mapping[str, tuple[float, float]], first: str, second: str, name: str) -> str:
    """Draw the first of each pair over the second, beside the line on which both are equal."""
    values = [value for pair in pairs.values() for value in pair]
    axis = Axis.around(values, second)
    chart = Chart(axis, Axis(axis.low, axis.high, first), name)
    chart.line([(axis.low, axis.low), (axis.high, axis.high)], "faint")
    titles = [f"{case}: {one:.4g} and {other:.4g}" for case, (one, other) in pairs.items()]
    chart.dots([(other, one) for one, other in pairs.values()], titles, "b")
    return chart.svg()


def signed(value: float, decimals: int = 1) -> str:
    """Return a number with its sign, as print has it."""
    return f"{value:+.{decimals}f}".replace("-", "−")


def _quarters(values: list[float]) -> tuple[float, float, float, float, float]:
    first, middle, third = (float(value) for value in np.quantile(values, [0.25, 0.5, 0.75]))
    reach = 1.5 * (third - first)
    inside = [value for value in values if first - reach <= value <= third + reach]
    return min(inside), first, middle, third, max(inside)


def _swarm(values: list[float], width: float = 0.3) -> list[float]:
    """Return how far each point steps aside, so that neighbours do not hide each other."""
    order = sorted(range(len(values)), key=values.__getitem__)
    golden = (5**0.5 - 1) / 2
    aside = [0.0] * len(values)
    if len(values) > 3:
        for rank, place in enumerate(order):
            aside[place] = width * ((rank * golden) % 1 - 0.5)
    return aside
