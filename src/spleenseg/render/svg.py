"""Charts as SVG for pages: they take the page's colours, light or dark, and need no library and no request.

A chart is drawn in units of its view box (`WIDTH` wide) and scaled by the page. Colours are classes of the page's
style (`page.page`): a mark's `kind` is "a", "b", "c" (series) or "faint".
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape

WIDTH, HEIGHT = 440, 300
_LEFT, _RIGHT, _TOP = 62, 14, 24
_TICKS, _WORDS = 26, 20  # room below for the ticks, and for the words under them

Point = tuple[float, float]


@dataclass(frozen=True)
class Axis:
    """A range of values, what it is called, and the ticks on it.

    Attributes:
        low, high: ends of the range; low < high.
        label: what the values are, with their unit.
        ticks: (value, text) pairs; default: round numbers.
    """

    low: float
    high: float
    label: str
    ticks: tuple[tuple[float, str], ...] | None = None

    @classmethod
    def around(
        cls, values: Iterable[float], label: str, *, low: float | None = None, high: float | None = None
    ) -> Axis:
        """Return an axis that holds `values` with some room, between `low` and `high` where given."""
        finite = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
        least, most = min(finite), max(finite)
        room = 0.06 * (most - least) or 0.05 * abs(most) or 0.5
        start = least - room if low is None else max(low, least - room)
        end = most + room if high is None else min(high, most + room)
        return cls(start, max(end, start + 1e-9), label)

    def marks(self) -> list[tuple[float, str]]:
        """Return the ticks."""
        return list(self.ticks) if self.ticks is not None else round_ticks(self.low, self.high)


def round_ticks(low: float, high: float, most: int = 6) -> list[tuple[float, str]]:
    """Return at most `most` round numbers between `low` and `high`, with their text."""
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * (1 - 1e-9))
    decimals = max(0, -math.floor(math.log10(step) + 1e-9)) + (1 if math.isclose(step / power, 2.5) else 0)
    first = math.ceil(low / step - 1e-9)
    values = [place * step for place in range(first, math.floor(high / step + 1e-9) + 1)]
    return [(value, f"{value + 0.0:.{decimals}f}".replace("-", "−")) for value in values]


@dataclass
class Chart:
    """One chart; marks are drawn in the order they are added.

    Attributes:
        x, y: the axes.
        name: what the chart shows, for those who cannot see it.
        height: in units of the view box.
    """

    x: Axis
    y: Axis
    name: str
    height: int = HEIGHT
    _marks: list[str] = field(default_factory=list)
    _legend: list[tuple[str, str]] = field(default_factory=list)

    def line(self, points: Sequence[Point], kind: str = "a", label: str = "") -> None:
        """Join points; what is not finite leaves a gap."""
        for part in _unbroken(points):
            path = " ".join(f"{self._across(x):.1f},{self._up(y):.1f}" for x, y in part)
            self._marks.append(f"<polyline class='line {kind}' points='{path}'/>")
        self._name(kind, label)

    def area(self, points: Sequence[Point], kind: str = "a", label: str = "") -> None:
        """Fill what lies between points and the lower end of the y axis."""
        if points:
            ends = [(points[0][0], self.y.low), *points, (points[-1][0], self.y.low)]
            path = " ".join(f"{self._across(x):.1f},{self._up(y):.1f}" for x, y in ends)
            self._marks.append(f"<polygon class='area {kind}' points='{path}'/>")
        self._name(kind, label)

    def dots(self, points: Sequence[Point], titles: Sequence[str], kind: str = "a", label: str = "") -> None:
        """Mark points; each says its title when pointed at."""
        for (x, y), title in zip(points, titles, strict=True):
            place = f"cx='{self._across(x):.1f}' cy='{self._up(y):.1f}'"
            self._marks.append(f"<circle class='dot {kind}' {place} r='3.6'><title>{escape(title)}</title></circle>")
        self._name(kind, label)

    def level(self, y: float, text: str = "", kind: str = "faint", dashed: bool = False) -> None:
        """Draw a horizontal line with words at its right end."""
        style = f"rule {kind}{' dashed' if dashed else ''}"
        height = self._up(y)
        self._marks.append(f"<path class='{style}' d='M{_LEFT} {height:.1f}H{WIDTH - _RIGHT}'/>")
        if text:
            place = f"x='{WIDTH - _RIGHT - 2}' y='{height - 4:.1f}'"
            self._marks.append(f"<text class='note' text-anchor='end' {place}>{escape(text)}</text>")

    def upright(self, x: float, kind: str = "faint") -> None:
        """Draw a dashed vertical line."""
        across = self._across(x)
        self._marks.append(f"<path class='rule {kind} dashed' d='M{across:.1f} {_TOP}V{self._bottom}'/>")

    def box(self, x: float, quarters: tuple[float, float, float, float, float], width: float, kind: str = "a") -> None:
        """Draw a box from the first to the third quarter with its median, and whiskers: (low, q1, median, q3, high)."""
        low, first, middle, third, high = (self._up(value) for value in quarters)
        left, right, centre = self._across(x - width / 2), self._across(x + width / 2), self._across(x)
        size = f"width='{right - left:.1f}' height='{max(first - third, 0.5):.1f}'"
        self._marks.append(
            f"<path class='rule {kind}' d='M{centre:.1f} {high:.1f}V{third:.1f}M{centre:.1f} {first:.1f}V{low:.1f}'/>"
        )
        self._marks.append(f"<rect class='box {kind}' x='{left:.1f}' y='{third:.1f}' rx='2' {size}/>")
        self._marks.append(f"<path class='median {kind}' d='M{left:.1f} {middle:.1f}H{right:.1f}'/>")

    def svg(self) -> str:
        """Return the chart as an SVG element."""
        name = escape(self.name, quote=True)
        inner = "".join([*self._frame(), *self._marks, *self._key()])
        return f"<svg class='chart' role='img' aria-label='{name}' viewBox='0 0 {WIDTH} {self.height}'>{inner}</svg>"

    @property
    def _bottom(self) -> int:
        return self.height - _TICKS - (_WORDS if self.x.label else 0)

    def _across(self, x: float) -> float:
        return _LEFT + (x - self.x.low) / (self.x.high - self.x.low) * (WIDTH - _LEFT - _RIGHT)

    def _up(self, y: float) -> float:
        room = self._bottom - _TOP
        share = (min(max(y, self.y.low), self.y.high) - self.y.low) / (self.y.high - self.y.low)
        return self._bottom - share * room

    def _name(self, kind: str, label: str) -> None:
        if label:
            self._legend.append((kind, label))

    def _frame(self) -> list[str]:
        bottom, right = self._bottom, WIDTH - _RIGHT
        parts = [f"<path class='axis' d='M{_LEFT} {bottom}H{right}'/>"]
        for value, text in self.y.marks():
            height = self._up(value)
            parts.append(f"<path class='grid' d='M{_LEFT} {height:.1f}H{right}'/>")
            parts.append(f"<text text-anchor='end' x='{_LEFT - 7}' y='{height + 4:.1f}'>{escape(text)}</text>")
        for value, text in self.x.marks():
            across = self._across(value)
            parts.append(f"<text text-anchor='middle' x='{across:.1f}' y='{bottom + 17}'>{escape(text)}</text>")
        middle, centre = (_TOP + bottom) / 2, (_LEFT + right) / 2
        parts.append(
            f"<text class='name' text-anchor='middle' x='{centre}' y='{bottom + 37}'>{escape(self.x.label)}</text>"
        )
        turn = f"transform='translate(12 {middle:.0f}) rotate(-90)'"
        parts.append(f"<text class='name' text-anchor='middle' {turn}>{escape(self.y.label)}</text>")
        return parts

    def _key(self) -> list[str]:
        if len(self._legend) < 2:
            return []
        parts, left = [], float(_LEFT + 8)
        for kind, label in self._legend:
            parts.append(f"<rect class='swatch {kind}' x='{left:.0f}' y='{_TOP - 20}' width='10' height='10' rx='2'/>")
            parts.append(f"<text x='{left + 15:.0f}' y='{_TOP - 11}'>{escape(label)}</text>")
            left += 32 + 6.4 * len(label)
        return parts


def _unbroken(points: Sequence[Point]) -> list[list[Point]]:
    parts: list[list[Point]] = [[]]
    for x, y in points:
        if math.isfinite(y):
            parts[-1].append((x, y))
        elif parts[-1]:
            parts.append([])
    return [part for part in parts if part]
