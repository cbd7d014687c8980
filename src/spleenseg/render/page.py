"""Self-contained HTML pages: one file, pictures inside, light and dark, no external request."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --accent: #0a7d4f; }
@media (prefers-color-scheme: dark) { :root { --accent: #4cd29b; } }
body { font: 16px/1.55 system-ui, sans-serif; max-width: 68rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.7rem; margin: 0 0 .3rem; } h2 { font-size: 1.2rem; margin: 2.4rem 0 .6rem; }
.lead { font-size: 1.15rem; } .lead strong { color: var(--accent); }
.note { border-left: 4px solid var(--accent); background: var(--soft); padding: .6rem 1rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .8rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
figure { margin: .8rem 0 0; } figure img { max-width: 100%; height: auto; border-radius: 4px; background: #fff; }
figcaption { font-size: .9rem; opacity: .8; }
.gallery { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 1.2rem; }
code { background: var(--soft); padding: .1rem .3rem; border-radius: 3px; }
"""


def page(title: str, body: Sequence[str]) -> str:
    """Return a whole HTML page around ready pieces of HTML."""
    head = "<meta charset='utf-8'><meta name='viewport' content='width=device-width, initial-scale=1'>"
    return (
        f"<!doctype html>\n<html lang='en'><head>{head}<title>{escape(title)}</title>"
        f"<style>{_STYLE}</style></head>\n<body>\n<h1>{escape(title)}</h1>\n" + "\n".join(body) + "\n</body></html>\n"
    )


def heading(text: str) -> str:
    """Return a section heading."""
    return f"<h2>{escape(text)}</h2>"


def paragraph(text: str, kind: str = "") -> str:
    """Return a paragraph of plain text; `kind` is a class of the page's style: lead or note."""
    return f"<p class='{kind}'>{escape(text)}</p>" if kind else f"<p>{escape(text)}</p>"


def table(rows: Sequence[Mapping[str, object]]) -> str:
    """Return a table of rows that share their keys; floats to three decimals, None is an empty cell."""
    if not rows:
        return ""
    head = "".join(f"<th scope='col'>{escape(name)}</th>" for name in rows[0])
    lines = ["<tr>" + "".join(f"<td>{_cell(value)}</td>" for value in row.values()) + "</tr>" for row in rows]
    content = f"<thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody>"
    return f"<div class='wide' tabindex='0'><table>{content}</table></div>"


def figure(png: Path, caption: str) -> str:
    """Return a PNG, embedded, with its caption (also its text alternative)."""
    data = base64.b64encode(png.read_bytes()).decode()
    text = escape(caption, quote=True)
    return f"<figure><img alt='{text}' src='data:image/png;base64,{data}'><figcaption>{text}</figcaption></figure>"


def gallery(figures: Sequence[str]) -> str:
    """Return figures side by side, as many as fit."""
    return f"<div class='gallery'>{''.join(figures)}</div>"


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.3f}" if isinstance(value, float) else escape(str(value))
