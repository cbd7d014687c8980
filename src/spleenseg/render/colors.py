"""Colours by name, and a default palette that colour-blind readers can tell apart."""

from __future__ import annotations

from spleenseg.errors import UserError, did_you_mean

RGB = tuple[int, int, int]

PALETTE: tuple[RGB, ...] = (
    (255, 176, 0),  # amber
    (86, 180, 233),  # sky blue
    (220, 80, 180),  # magenta
    (0, 190, 140),  # green
    (240, 228, 66),  # yellow
    (213, 94, 0),  # vermilion
    (120, 130, 255),  # violet blue
    (200, 200, 200),  # light grey
)
"""Colours for labels 1, 2, ... over grey CT, after Okabe & Ito's colour-blind-safe set, lightened."""


def color(name: str) -> RGB:
    """Return the colour a user named.

    Args:
        name: a PIL colour name such as ``"green"``, or ``"#00ff00"``, ``"rgb(0, 255, 0)"`` and so on.

    Raises:
        UserError: there is no such colour.
    """
    from PIL import ImageColor

    try:
        red, green, blue = ImageColor.getrgb(name)[:3]
    except (ValueError, TypeError, AttributeError) as error:
        near = did_you_mean(str(name), ImageColor.colormap)
        raise UserError(f"no colour is called {name!r}{near}; use a name like 'green' or '#00ff00'") from error
    return red, green, blue


def label_colors(count: int, first: RGB | None = None) -> dict[int, RGB]:
    """Return colours for the labels 1..`count` (label 0 is background and has none).

    Args:
        count: number of labels, without the background.
        first: colour of label 1, if it was chosen; the others come from `PALETTE`, repeated when it ends.
    """
    rest = [shade for shade in PALETTE if shade != first]
    shades = rest if first is None else [first, *rest]
    return {label: shades[(label - 1) % len(shades)] for label in range(1, count + 1)}
