"""Pictures from disk, strictly: the whole picture in 8 bits, or one clear error naming the file."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from spleenseg.errors import UserError

_FORMATS = ("JPEG", "PNG", "BMP", "TIFF")
_MODES = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr")
_BITS_PER_SAMPLE = 258  # TIFF tag
_PNG_DEPTH_AT = 24  # byte of the IHDR chunk that holds the bits of a sample
_DAMAGE = (  # what Pillow raises at damaged files
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    TypeError,
    LookupError,
    ArithmeticError,
    MemoryError,
    struct.error,
    Image.DecompressionBombError,
)
_SIDEWAYS = (5, 6, 7, 8)  # EXIF orientations that swap width and height


def read_image(path: Path) -> NDArray[np.uint8]:
    """Read a picture as uint8 RGB [H, W, 3]; grey is repeated, transparent parts are black.

    Raises:
        UserError: missing, empty, truncated, more than 8 bits a sample, several pages, or not a picture.
    """
    with _opened(path) as picture:
        return np.array(_flat(picture).convert("RGB"))


def read_mask(path: Path) -> NDArray[np.uint8]:
    """Read a mask as uint8 grey [H, W].

    Colour becomes luminance, one bit becomes 0 and 255, transparent parts 0. A palette of greys gives
    its greys; a palette of colours gives its indices, because there the index is the label.

    Raises:
        UserError: as `read_image`.
    """
    with _opened(path) as picture:
        if picture.mode == "P" and _is_colour_palette(picture):
            return np.array(picture)
        return np.array(_flat(picture).convert("L"))


def picture_size(path: Path) -> tuple[int, int]:
    """Return (height, width) from the header alone, and refuse what `read_image` would by its header.

    Raises:
        UserError: as `read_image`, as far as the header tells.
    """
    with _opened(path) as picture:
        width, height = picture.size
        return (width, height) if _orientation(picture) in _SIDEWAYS else (height, width)


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """Open a picture whose header is one we read; every failure within becomes a `UserError`."""
    try:
        with Image.open(path, formats=_FORMATS) as picture:
            _refuse_unsupported(picture, Path(path))
            yield picture
    except UserError:
        raise
    except FileNotFoundError as error:
        raise UserError(f"image {path} does not exist") from error
    except _DAMAGE as error:
        raise UserError(_reason(Path(path), error)) from error


def _reason(path: Path, error: Exception) -> str:
    if path.is_file() and path.stat().st_size == 0:
        return f"image {path} is empty (0 bytes)"
    if isinstance(error, UnidentifiedImageError):
        return f"image {path} is no readable JPEG, PNG, BMP or TIFF picture"
    if isinstance(error, Image.DecompressionBombError):
        return f"image {path} is too large to be a slice: {error}"
    return f"image {path} is damaged or cut short: {error}"


def _refuse_unsupported(picture: Image.Image, path: Path) -> None:
    bits = _bits_per_sample(picture, path)
    if bits > 8 or picture.mode not in _MODES:
        shown = f"{bits} bits a sample" if bits > 8 else f"pixel type {picture.mode}"
        raise UserError(f"image {path} has {shown}; convert it to 8 bits, with the window you want")
    pages = getattr(picture, "n_frames", 1) if picture.format == "TIFF" else 1
    if pages > 1:
        raise UserError(f"image {path} holds {pages} pages; store each slice in its own file")


def _bits_per_sample(picture: Image.Image, path: Path) -> int:
    """Bits a sample as stored: Pillow reduces 16-bit colour to 8 without a word."""
    if picture.mode.startswith(("I;16", "I", "F")):
        return 32 if picture.mode in ("I", "F") else 16
    if picture.format == "PNG":
        with path.open("rb") as file:
            return file.read(_PNG_DEPTH_AT + 1)[_PNG_DEPTH_AT]
    tags: Any = getattr(picture, "tag_v2", None)
    return int(max(tags.get(_BITS_PER_SAMPLE, (8,)))) if tags else 8


def _orientation(picture: Image.Image) -> int:
    """EXIF orientation, 1 for upright; not asked of PNG, whose EXIF may follow all the pixels."""
    return 1 if picture.format == "PNG" else int(picture.getexif().get(ExifTags.Base.Orientation, 1))


def _flat(picture: Image.Image) -> Image.Image:
    """Turn the picture upright as its EXIF says, and lay transparent parts over black."""
    if _orientation(picture) != 1:
        picture = ImageOps.exif_transpose(picture)
    if not picture.has_transparency_data:
        return picture
    rgba = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", rgba.size, (0, 0, 0, 255)), rgba)


def _is_colour_palette(picture: Image.Image) -> bool:
    palette = np.array(picture.getpalette("RGB"), np.uint8).reshape(-1, 3)
    used = [index for index in np.unique(np.array(picture)) if index < len(palette)]
    return bool((palette[used] != palette[used][:, :1]).any())
