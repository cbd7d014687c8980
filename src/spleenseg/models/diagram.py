"""A drawing of a network: its stages from top to bottom, each as far to the right as its image is small."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spleenseg.errors import UserError
from spleenseg.files import atomic
from spleenseg.models.stages import Stage, stages_of
from spleenseg.render.canvas import FAINT, TEXT, Canvas, shorten
from spleenseg.render.colors import RGB

MADE_BY = ("Software", "spleenseg models show")
MARGIN, TOP, ROW, GAP = 24, 96, 26, 12  # pixels, as all below
BOX, INDENT, LANE = 330, 34, 12
COLUMN, BAR = 96, 120
FIRST_LANE = 16  # from the boxes
INK: RGB = (18, 18, 20)
SHADES: tuple[RGB, ...] = (  # of boxes, from the full size to the smallest
    *((205, 225, 240), (160, 200, 228), (120, 176, 214), (86, 150, 196)),
    *((62, 124, 172), (46, 100, 146), (36, 80, 122), (30, 64, 100)),
)
LINES: tuple[RGB, ...] = ((230, 159, 0), (0, 158, 115), (204, 121, 167), (213, 94, 0), (240, 228, 66), (86, 180, 233))


@dataclass(frozen=True)
class Shortcut:
    """What a stage takes from others than the one before it: one line at the side for all of them."""

    sources: tuple[int, ...]
    target: int
    lane: int


def draw(model: Any, path: Path) -> None:
    """Draw a network.

    Args:
        model: a keras.Model of `build.build_model`.
        path: the PNG to write.

    Raises:
        UserError: `path` cannot be written.
    """
    stages = stages_of(model)
    image = (model.input_shape[1], model.input_shape[2])
    indents = [stage.level(image) for stage in stages]
    routed = shortcuts(stages)
    lanes = 1 + max((each.lane for each in routed), default=-1)
    right = MARGIN + max(indents) * INDENT + BOX
    columns = right + FIRST_LANE + lanes * LANE + GAP
    canvas = Canvas(columns + 3 * COLUMN + BAR + MARGIN, TOP + len(stages) * (ROW + GAP) + MARGIN)
    _write_header(canvas, model, stages, columns)
    for number, (stage, indent) in enumerate(zip(stages, indents, strict=True)):
        if number > 0 and number - 1 in stage.inputs:
            _arrow_down(canvas, number, indents)
        _draw_stage(canvas, stage, number, indent, columns, max(each.multiply_adds for each in stages))
    for each in routed:
        _draw_shortcut(canvas, each, indents, right)
    _save(canvas, path)


def require_own_drawing(path: Path) -> None:
    """Refuse to write over a picture that `draw` did not make.

    Raises:
        UserError: there is such a file.
    """
    from PIL import Image, UnidentifiedImageError

    if not path.exists():
        return
    try:
        with Image.open(path) as picture:
            if picture.info.get(MADE_BY[0]) == MADE_BY[1]:
                return
    except (UnidentifiedImageError, OSError):
        pass
    raise UserError(f"{path} is not a drawing of a network, so it stays; give [inspect] model_graph another name")


def shortcuts(stages: list[Stage]) -> list[Shortcut]:
    """Return the connections that skip stages, the short ones in the inner lanes, no two on each other."""
    wanted = [
        (target, tuple(source for source in stage.inputs if source != target - 1))
        for target, stage in enumerate(stages)
    ]
    spans = {target: (min(target, *sources), max(target, *sources)) for target, sources in wanted if sources}
    lanes: list[list[tuple[int, int]]] = []
    found = []
    for target, sources in sorted((pair for pair in wanted if pair[1]), key=lambda pair: _length(spans[pair[0]])):
        low, high = spans[target]
        free = (number for number, lane in enumerate(lanes) if all(high < start or low > end for start, end in lane))
        number = next(free, len(lanes))
        if number == len(lanes):
            lanes.append([])
        lanes[number].append((low, high))
        found.append(Shortcut(sources, target, number))
    return found


def _length(span: tuple[int, int]) -> int:
    return span[1] - span[0]


def _write_header(canvas: Canvas, model: Any, stages: list[Stage], columns: int) -> None:
    canvas.write(model.name, (MARGIN, 20), 22)
    cost = 2 * sum(stage.multiply_adds for stage in stages) / 1e9
    size = " x ".join(str(side) for side in model.input_shape[1:])
    canvas.write(f"{model.count_params():,} parameters, {cost:.1f} GFLOP for {size}", (MARGIN, 52), 14, shade=FAINT)
    for number, title in enumerate(("layers", "parameters", "GFLOP"), start=1):
        canvas.write(title, (columns + number * COLUMN - GAP, TOP - 18), 12, "rt", FAINT)


def _draw_stage(canvas: Canvas, stage: Stage, number: int, indent: int, columns: int, most: int) -> None:
    left, top = MARGIN + indent * INDENT, _top(number)
    middle = top + ROW / 2
    shade = SHADES[min(indent, len(SHADES) - 1)]
    ink = INK if sum(shade) > 380 else TEXT
    canvas.box(left, top, BOX, ROW, shade)
    canvas.write(shorten(stage.name, BOX / 2 - GAP, 14), (left + GAP, middle), 14, "lm", ink)
    canvas.write(stage.shape, (left + BOX - GAP, middle), 13, "rm", ink)
    cost = 2 * stage.multiply_adds / 1e9
    for place, words in enumerate((str(stage.layers), f"{stage.parameters:,}", f"{cost:.2f}"), start=1):
        canvas.write(words, (columns + place * COLUMN - GAP, middle), 13, "rm")
    if stage.multiply_adds:
        canvas.box(columns + 3 * COLUMN, top + 8, max(1, BAR * stage.multiply_adds / most), ROW - 16, FAINT)


def _arrow_down(canvas: Canvas, number: int, indents: list[int]) -> None:
    x = MARGIN + max(indents[number - 1], indents[number]) * INDENT + 40
    start, end = _top(number - 1) + ROW, _top(number)
    canvas.draw.line((x, start, x, end - 4), fill=FAINT, width=2)
    canvas.draw.polygon([(x - 4, end - 6), (x + 4, end - 6), (x, end - 1)], fill=FAINT)


def _draw_shortcut(canvas: Canvas, each: Shortcut, indents: list[int], right: int) -> None:
    x, shade = right + FIRST_LANE + each.lane * LANE, LINES[each.lane % len(LINES)]
    edge, end = MARGIN + indents[each.target] * INDENT + BOX, _top(each.target) + 7
    for source in each.sources:
        start = _top(source) + ROW - 7
        from_edge = MARGIN + indents[source] * INDENT + BOX
        canvas.draw.line([(from_edge, start), (x, start), (x, end), (edge + 4, end)], fill=shade, width=2)
        canvas.draw.ellipse((x - 3, start - 3, x + 3, start + 3), fill=shade)
    canvas.draw.polygon([(edge + 7, end - 4), (edge + 7, end + 4), (edge, end)], fill=shade)


def _top(number: int) -> int:
    return TOP + number * (ROW + GAP)


def _save(canvas: Canvas, path: Path) -> None:
    from PIL import PngImagePlugin

    about = PngImagePlugin.PngInfo()
    about.add_text(*MADE_BY)
    with atomic(path) as temporary:
        canvas.image.save(temporary, format="PNG", pnginfo=about)
