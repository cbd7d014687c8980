"""Colour names as Pillow knows them, which is loaded only for names that are not everyday ones."""

from __future__ import annotations

from spleenseg.errors import did_you_mean

_EVERYDAY = frozenset(
    [
        "black",
        "white",
        "gray",
        "grey",
        "red",
        "green",
        "blue",
        "yellow",
        "orange",
        "cyan",
        "magenta",
        "purple",
    ]
)


def is_color(name: str) -> bool:
    """Tell whether Pillow reads `name` as a colour (``green``, ``#00ff00``, ``rgb(0,255,0)``)."""
    return name.lower() in _EVERYDAY or _pillow_reads(name)


def similar_color(name: str) -> str:
    """Return `` (did you mean 'x'?)`` for the colour name nearest to `name`, or an empty string."""
    from PIL.ImageColor import colormap

    return did_you_mean(name, colormap)


def _pillow_reads(name: str) -> bool:
    from PIL.ImageColor import getrgb

    try:
        getrgb(name)
    except ValueError:
        return False
    return True
