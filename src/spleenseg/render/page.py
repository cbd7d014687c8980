"""Self-contained HTML pages: one file, pictures inside, light and dark, no external request."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path

_STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1b1f24; --quiet: #57606a; --line: #d0d7de; --soft: #f5f7f9;
  --accent: #0a6b48; --a: #0b63b5; --b: #b04a00; --c: #6d4aa8; --truth: #0b76c4; --found: #b04a00; }
@media (prefers-color-scheme: dark) { :root { --paper: #111417; --ink: #e6e9ec; --quiet: #a2abb4; --line: #343b43;
  --soft: #191e23; --accent: #57d6a4; --a: #6cb6ff; --b: #ffab70; --c: #c9a7ff; --truth: #5cc3ff; --found: #ffb454; } }
* { box-sizing: border-box; }
body { font: 16px/1.6 system-ui, sans-serif; margin: 0; color: var(--ink); background: var(--paper); }
main { max-width: 70rem; margin: 0 auto; padding: 1.6rem 1rem 4rem; }
h1 { font-size: 1.75rem; line-height: 1.25; letter-spacing: -.01em; margin: 0 0 .2rem; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; margin: 2.8rem 0 .7rem; padding-top: .9rem; border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.4rem 0 .3rem; overflow-wrap: anywhere; }
p { max-width: 46rem; margin: .5rem 0; } ul { max-width: 46rem; padding-left: 1.3rem; margin: .5rem 0; }
a { color: var(--accent); }
.lead { font-size: 1.15rem; } .quiet { color: var(--quiet); }
.note { border-left: 4px solid var(--accent); background: var(--soft); padding: .6rem 1rem; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(10.5rem, 1fr)); gap: .7rem; margin: 1.1rem 0; }
.card { background: var(--soft); border: 1px solid var(--line); border-radius: 8px; padding: .7rem .9rem; }
.card b { display: block; font-size: 1.6rem; line-height: 1.3; font-variant-numeric: tabular-nums; }
.card span { display: block; font-size: .85rem; color: var(--quiet); overflow-wrap: anywhere; }
.card.first b { color: var(--accent); }
.wide { overflow-x: auto; margin: .6rem 0; border: 1px solid var(--line); border-radius: 8px; }
.wide.tall { max-height: 34rem; overflow-y: auto; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; min-width: 100%; }
th, td { padding: .38rem .8rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
tbody tr:last-child > * { border-bottom: 0; }
thead th { background: var(--soft); font-weight: 600; vertical-align: bottom; position: sticky; top: 0; z-index: 1; }
tbody th { font-weight: 500; } .words, .left { text-align: left; }
td.words { white-space: normal; overflow-wrap: anywhere; min-width: 12rem; }
tbody tr:hover > * { background: var(--soft); }
th button { all: unset; cursor: pointer; font: inherit; white-space: nowrap; }
th button:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
th button::after { content: " ↕"; color: var(--quiet); font-weight: 400; }
th[aria-sort=ascending] button::after { content: " ↑"; color: var(--ink); }
th[aria-sort=descending] button::after { content: " ↓"; color: var(--ink); }
figure { margin: .6rem 0 0; } figure img { max-width: 100%; height: auto; border-radius: 6px; display: block; }
figcaption { font-size: .88rem; color: var(--quiet); margin-top: .3rem; overflow-wrap: anywhere; }
.gallery { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 23rem), 1fr)); gap: 1.4rem; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 21rem), 1fr)); gap: 0 1.4rem;
  align-items: start; }
details { margin: .6rem 0; } summary { cursor: pointer; color: var(--accent); }
code { font-size: .92em; background: var(--soft); padding: .1rem .3rem; border-radius: 3px; overflow-wrap: anywhere; }
.chart { display: block; width: 100%; height: auto; max-width: 36rem; }
.chart text { font: 12px system-ui, sans-serif; fill: var(--quiet); } .chart .name { fill: var(--ink); }
.chart .note { font-size: 11px; paint-order: stroke; stroke: var(--paper); stroke-width: 3px; }
.chart .grid { stroke: var(--line); stroke-width: .7; } .chart .axis { stroke: var(--quiet); }
.chart .line { fill: none; stroke-width: 2; stroke-linejoin: round; } .chart .rule { fill: none; stroke-width: 1.3; }
.chart .dashed { stroke-dasharray: 5 4; } .chart .area { fill-opacity: .22; stroke: none; }
.chart .box { fill-opacity: .12; stroke-width: 1.3; } .chart .median { fill: none; stroke-width: 2.6; }
.chart .dot { stroke: var(--paper); stroke-width: .8; fill-opacity: .85; }
.chart .faint { stroke: var(--quiet); stroke-opacity: .45; stroke-width: 1.1; }
.chart .line.faint { stroke-opacity: .3; }
.chart .a { stroke: var(--a); } .chart .b { stroke: var(--b); } .chart .c { stroke: var(--c); }
.chart .truth { stroke: var(--truth); } .chart .found { stroke: var(--found); }
.chart .box.a, .chart .dot.a, .chart .swatch.a { fill: var(--a); }
.chart .box.b, .chart .dot.b, .chart .swatch.b { fill: var(--b); }
.chart .box.c, .chart .dot.c, .chart .swatch.c { fill: var(--c); }
.chart .area.truth, .chart .swatch.truth { fill: var(--truth); } .chart .swatch.found { fill: var(--found); }
.chart .dot { stroke: var(--paper) !important; } .chart .swatch { stroke: none !important; }
@media print { .wide, .wide.tall { overflow: visible; max-height: none; } }
"""

_SORT = """
for (const button of document.querySelectorAll("th button")) button.addEventListener("click", () => {
  const head = button.parentElement, row = head.parentElement, body = row.closest("table").tBodies[0];
  const place = [...row.children].indexOf(head), up = head.getAttribute("aria-sort") !== "ascending";
  for (const other of row.children) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", up ? "ascending" : "descending");
  const key = line => line.children[place].dataset.key ?? line.children[place].textContent;
  const order = (one, other) => {
    const a = key(one), b = key(other);
    if (a === "" || b === "") return (a === "") - (b === "");
    const gap = isNaN(a) || isNaN(b) ? a.localeCompare(b, "en", {numeric: true}) : a - b;
    return up ? gap : -gap;
  };
  body.append(...[...body.rows].sort(order));
});
"""

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def page(title: str, body: Sequence[str], *, sortable: bool = False) -> str:
    """Return a whole HTML page around ready pieces of HTML.

    Args:
        title: of the page.
        body: the pieces.
        sortable: whether the page has tables made with `sortable_table`.
    """
    head = (
        "<meta charset='utf-8'><meta name='viewport' content='width=device-width, initial-scale=1'>"
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        "<link rel='icon' href='data:,'>"
    )
    script = f"<script>{_SORT}</script>" if sortable else ""
    return (
        f"<!doctype html>\n<html lang='en'><head>{head}<title>{escape(title)}</title>"
        f"<style>{_STYLE}</style></head>\n<body>\n<main>\n<h1>{escape(title)}</h1>\n"
        + "\n".join(body)
        + f"\n</main>\n{script}</body></html>\n"
    )


def heading(text: str, level: int = 2) -> str:
    """Return a heading of a section (2) or of a part of one (3)."""
    return f"<h{level}>{escape(text)}</h{level}>"


def paragraph(text: str, kind: str = "") -> str:
    """Return a paragraph of plain text; `kind` is a class of the page's style: lead, note or quiet."""
    return f"<p class='{kind}'>{escape(text)}</p>" if kind else f"<p>{escape(text)}</p>"


def bullets(texts: Iterable[str]) -> str:
    """Return a list of plain texts; nothing for none."""
    items = "".join(f"<li>{escape(text)}</li>" for text in texts)
    return f"<ul>{items}</ul>" if items else ""


def cards(facts: Sequence[tuple[str, str, str]]) -> str:
    """Return the figures that count, large: (name, value, what else belongs to it); the first stands out."""
    parts = [
        f"<div class='card{'' if place else ' first'}'><span>{escape(name)}</span><b>{escape(value)}</b>"
        f"<span>{escape(more)}</span></div>"
        for place, (name, value, more) in enumerate(facts)
    ]
    return f"<div class='cards'>{''.join(parts)}</div>"


def table(rows: Sequence[Mapping[str, object]], name: str = "Table") -> str:
    """Return a table of rows that share their keys; floats to three decimals, None is an empty cell."""
    if not rows:
        return ""
    head = "".join(f"<th scope='col'{_side(key, rows)}>{escape(key)}</th>" for key in rows[0])
    return _framed(head, [[_Cell(_cell(value), None) for value in row.values()] for row in rows], name, rows[0])


def sortable_table(rows: Sequence[Mapping[str, object]], name: str, decimals: Mapping[str, int]) -> str:
    """Return a table whose columns sort when their heads are pressed.

    Args:
        rows: share their keys; None is an empty cell.
        name: what the table holds, for those who cannot see it.
        decimals: column -> digits after the point of its floats (default: 3).
    """
    if not rows:
        return ""
    head = "".join(
        f"<th scope='col'{_side(key, rows)}><button type='button'>{escape(key)}</button></th>" for key in rows[0]
    )
    cells = [[_Cell(_cell(value, decimals.get(key, 3)), value) for key, value in row.items()] for row in rows]
    return _framed(head, cells, name, rows[0], tall=len(rows) > 15)


def facts(pairs: Mapping[str, str]) -> str:
    """Return names with their text, one a row."""
    lines = [
        f"<tr><th scope='row' class='left'>{escape(name)}</th><td class='words'>{escape(text)}</td></tr>"
        for name, text in pairs.items()
    ]
    return f"<div class='wide'><table><tbody>{''.join(lines)}</tbody></table></div>"


def details(summary: str, inner: str, *, shown: bool = False) -> str:
    """Return something that opens when its summary is pressed; `shown`: is open at first."""
    return f"<details{' open' if shown else ''}><summary>{escape(summary)}</summary>{inner}</details>"


def figure(png: Path, caption: str) -> str:
    """Return a PNG, embedded, with its caption (also its text alternative)."""
    data = base64.b64encode(png.read_bytes()).decode()
    text = escape(caption, quote=True)
    return f"<figure><img alt='{text}' src='data:image/png;base64,{data}'><figcaption>{text}</figcaption></figure>"


def chart(svg: str, caption: str) -> str:
    """Return an SVG element with its caption."""
    return f"<figure>{svg}<figcaption>{escape(caption)}</figcaption></figure>"


def gallery(figures: Sequence[str], kind: str = "gallery") -> str:
    """Return figures side by side, as many as fit; `kind` "pair": two that belong together."""
    return f"<div class='{kind}'>{''.join(figures)}</div>" if figures else ""


class Written:
    """A number that is already written, which stands on the right of its cell as numbers do."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __str__(self) -> str:
        return self._text


class _Cell:
    """What a cell shows, and the value it sorts by; None: by what it shows."""

    def __init__(self, shown: str, value: object) -> None:
        self.shown = shown
        self.key = f" data-key='{value!r}'" if isinstance(value, float | int) else ""


def _framed(head: str, rows: list[list[_Cell]], name: str, first: Mapping[str, object], tall: bool = False) -> str:
    sides = [" class='left'" if isinstance(value, str) else "" for value in first.values()]
    lines = []
    for row in rows:
        title = f"<th scope='row' class='left'>{row[0].shown}</th>"
        rest = "".join(f"<td{side}{cell.key}>{cell.shown}</td>" for cell, side in zip(row[1:], sides[1:], strict=True))
        lines.append(f"<tr>{title}{rest}</tr>")
    inner = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
    label = escape(name, quote=True)
    return f"<div class='wide{' tall' if tall else ''}' tabindex='0' role='region' aria-label='{label}'>{inner}</div>"


def _side(key: str, rows: Sequence[Mapping[str, object]]) -> str:
    first = key == next(iter(rows[0]))
    return " class='left'" if first or isinstance(rows[0][key], str) else ""


def _cell(value: object, decimals: int = 3) -> str:
    if value is None:
        return ""
    text = f"{value:.{decimals}f}" if isinstance(value, float) else str(value)
    return escape(text.replace("-", "−") if isinstance(value, float | int) else text)
