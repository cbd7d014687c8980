"""Pictures: masks over slices, contact sheets, training curves. Knows arrays and nothing of the program.

Matplotlib is imported only when a chart is drawn; pictures made of slices need Pillow alone. Every PNG is
written atomically and is the same, byte for byte, for the same input.
"""

from spleenseg.render.charts import bar_chart, curves
from spleenseg.render.colors import PALETTE, RGB, color, label_colors
from spleenseg.render.masks import STYLES, Style, colorize, overlay
from spleenseg.render.sheets import contact_sheet
from spleenseg.render.volume_overlay import volume_overlay

__all__ = [
    "PALETTE",
    "RGB",
    "STYLES",
    "Style",
    "bar_chart",
    "color",
    "colorize",
    "contact_sheet",
    "curves",
    "label_colors",
    "overlay",
    "volume_overlay",
]
