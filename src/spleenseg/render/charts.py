"""Curves and bars as 800x600 PNGs, drawn by matplotlib without its global state: safe in any thread."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from spleenseg.files import atomic

_BLUE, _ORANGE, _INK, _GREY, _GRID = "#0072B2", "#D55E00", "#222222", "#666666", "#E3E3E3"
_MORE = ("#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # Okabe & Ito, as the two above
_FEW = 25  # up to so many points are marked one by one
_LOWER_IS_BETTER = ("loss", "error", "distance", "assd", "hd")


def curves(path: Path, rows: Sequence[Mapping[str, float | None]], names: Sequence[str], title: str) -> None:
    """Draw training curves and mark the best epoch.

    The best epoch is that of the first validation curve (a name that begins with ``val_``; else of the first
    curve): the lowest value of a loss, the highest of anything else. Undefined values leave a gap.

    Args:
        path: the PNG file, 800x600.
        rows: one mapping an epoch: column -> value; ``"epoch"``, if there, is the place on the axis.
        names: the columns to draw, such as ``("loss", "val_loss")``.
        title: what stands above.

    Raises:
        UserError: `path` cannot be written.
    """
    figure, axes = _figure(title)
    axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    epochs = [_number(row.get("epoch", index)) for index, row in enumerate(rows)]
    drawn = {name: [_number(row.get(name)) for row in rows] for name in names}
    for name, values in drawn.items():
        _line(axes, epochs, values, name, _shade(name, list(names)))
    if any(math.isfinite(value) for values in drawn.values() for value in values):
        judged = next((name for name in names if name.startswith("val_")), names[0])
        _mark_best(axes, epochs, drawn[judged], judged)
        axes.legend(frameon=False, fontsize=12, labelcolor=_INK)
    else:
        _say(axes, "no finite values yet")
    if len(set(epochs)) == 1:
        axes.set_xlim(epochs[0] - 0.5, epochs[0] + 0.5)
    axes.set_xlabel("epoch", fontsize=12, color=_INK)
    _save(figure, path)


def rate_curve(path: Path, points: Sequence[tuple[float, float, float]], suggested: float) -> None:
    """Draw the loss over the learning rate, on a logarithmic axis, and where the suggested rate lies.

    Args:
        path: the PNG file, 800x600.
        points: (rate, loss, smoothed loss), by rising rate.
        suggested: the rate to mark.

    Raises:
        UserError: `path` cannot be written.
    """
    figure, axes = _figure("Learning-rate range test")
    rates, losses, smoothed = (list(column) for column in zip(*points, strict=True))
    axes.set_xscale("log")
    axes.plot(rates, losses, color=_MORE[3], linewidth=1, label="loss of a batch")
    axes.plot(rates, smoothed, color=_BLUE, linewidth=2, label="smoothed")
    axes.axvline(suggested, color=_ORANGE, linewidth=1.5, linestyle=(0, (3, 3)), label=f"suggested: {suggested:.1g}")
    axes.set_ylim(0.9 * min(smoothed), 1.3 * smoothed[0])  # what explodes leaves the picture
    axes.set_xlabel("learning rate", fontsize=12, color=_INK)
    axes.legend(frameon=False, fontsize=12, labelcolor=_INK)
    _save(figure, path)


def bar_chart(path: Path, counts: Mapping[str, int], title: str, ylabel: str) -> None:
    """Draw counts as bars with their numbers, in the mapping's order.

    Args:
        path: the PNG file, 800x600.
        counts: name -> count.
        title: what stands above.
        ylabel: what is counted.

    Raises:
        UserError: `path` cannot be written.
    """
    figure, axes = _figure(title)
    axes.yaxis.get_major_locator().set_params(integer=True)
    places = range(len(counts))
    bars = axes.bar(places, list(counts.values()), color=_BLUE, width=0.62)
    axes.bar_label(bars, [f"{count:,}" for count in counts.values()], padding=4, fontsize=12, color=_INK)
    crowded = sum(len(name) for name in counts) > 60
    turn: dict[str, Any] = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if crowded else {}
    axes.set_xticks(places, list(counts), parse_math=False, **turn)
    axes.set_xlim(-0.6, max(len(counts), 1) - 0.4)
    axes.set_ylabel(ylabel, fontsize=12, color=_INK, parse_math=False)
    axes.margins(y=0.12)
    axes.grid(visible=False, axis="x")
    if not counts:
        _say(axes, "nothing to count")
    _save(figure, path)


def _figure(title: str) -> tuple[Any, Any]:
    """Return an 800x600 figure and its one set of axes, in the plain style of all charts."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    roomy = ConstrainedLayoutEngine(w_pad=0.15, h_pad=0.15)  # inches
    figure = Figure(figsize=(8, 6), dpi=100, facecolor="white", layout=roomy)
    FigureCanvasAgg(figure)
    axes = figure.add_subplot(facecolor="white")
    axes.set_title(title, fontsize=15, color=_INK, loc="left", pad=14, parse_math=False)
    axes.grid(visible=True, color=_GRID, linewidth=1)
    axes.set_axisbelow(True)
    axes.tick_params(colors=_GREY, labelsize=11, length=0)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(_GREY)
    return figure, axes


def _shade(name: str, names: list[str]) -> str:
    """Return a curve's colour: blue and orange for training and validation, others as they come."""
    kind = [other for other in names if other.startswith("val_") == name.startswith("val_")]
    place = kind.index(name)
    if place == 0:
        return _ORANGE if name.startswith("val_") else _BLUE
    return _MORE[(names.index(name) - 1) % len(_MORE)]


def _line(axes: Any, epochs: list[float], values: list[float], name: str, shade: str) -> None:
    marker = {"marker": "o", "markersize": 4} if len(values) <= _FEW else {}
    axes.plot(epochs, values, color=shade, linewidth=2, label=name, **marker)


def _mark_best(axes: Any, epochs: list[float], values: list[float], name: str) -> None:
    best = best_index(values, name)
    if best is None:
        return
    epoch, value = epochs[best], values[best]
    axes.axvline(epoch, color=_GREY, linewidth=1, linestyle=(0, (3, 3)), zorder=1)
    label = f"best {name}: {value:.4f} at epoch {epoch:g}"
    axes.plot(
        [epoch],
        [value],
        linestyle="none",
        marker="o",
        markersize=10,
        markerfacecolor="none",
        markeredgecolor=_INK,
        markeredgewidth=1.8,
        label=label,
    )


def best_index(values: Sequence[float], name: str) -> int | None:
    """Return where a curve is best (the first of equals), or None if nothing in it is finite."""
    finite = [index for index, value in enumerate(values) if math.isfinite(value)]
    if not finite:
        return None
    lower = any(word in name.lower() for word in _LOWER_IS_BETTER)
    return (min if lower else max)(finite, key=values.__getitem__)


def _number(value: float | None) -> float:
    """Return a finite float, or NaN: infinities would stretch the axis to nothing."""
    return float(value) if value is not None and math.isfinite(value) else math.nan


def _say(axes: Any, words: str) -> None:
    axes.text(0.5, 0.5, words, transform=axes.transAxes, ha="center", va="center", fontsize=14, color=_GREY)
    axes.set_xticks([])
    axes.set_yticks([])


def _save(figure: Any, path: Path) -> None:
    with atomic(path) as temporary:
        figure.savefig(temporary, format="png", dpi=100, metadata={"Software": None})
