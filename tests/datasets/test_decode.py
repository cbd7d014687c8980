from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from spleenseg.datasets.decode import picture_size, read_image, read_mask
from spleenseg.errors import UserError

GREY = np.arange(12 * 20, dtype=np.uint8).reshape(12, 20)


def save(path: Path, picture: Image.Image, **options: object) -> Path:
    picture.save(path, **options)
    return path


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif"])
def test_grey_pictures_read_exactly_and_repeat_in_rgb(tmp_path: Path, suffix: str) -> None:
    path = save(tmp_path / f"a.{suffix}", Image.fromarray(GREY))
    assert np.array_equal(read_image(path), np.repeat(GREY[..., None], 3, axis=2))
    assert np.array_equal(read_mask(path), GREY)
    assert picture_size(path) == (12, 20)


def test_colour_keeps_its_order_and_is_luminance_in_a_mask(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", Image.new("RGB", (4, 3), (200, 100, 50)))
    assert (read_image(path) == [200, 100, 50]).all()
    assert (read_mask(path) == 124).all()


def test_one_bit_becomes_black_and_white(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", Image.fromarray(GREY > 100))
    assert np.array_equal(read_mask(path), np.where(GREY > 100, 255, 0))


def test_transparent_parts_are_black(tmp_path: Path) -> None:
    white = np.full((3, 4, 4), 255, np.uint8)
    white[:, :2, 3] = 0
    path = save(tmp_path / "a.png", Image.fromarray(white))
    assert np.array_equal(read_mask(path), [[0, 0, 255, 255]] * 3)
    assert np.array_equal(read_image(path)[..., 1], [[0, 0, 255, 255]] * 3)


def test_a_palette_of_greys_gives_greys_and_one_of_colours_gives_labels(tmp_path: Path) -> None:
    indices = np.array([[0, 1, 2]], np.uint8)
    for name, palette, expected in (
        ("grey.png", [0, 0, 0, 128, 128, 128, 255, 255, 255], [[0, 128, 255]]),
        ("colour.png", [0, 0, 0, 128, 0, 0, 0, 128, 0], [[0, 1, 2]]),
    ):
        picture = Image.fromarray(indices, "P")
        picture.putpalette(palette)
        assert np.array_equal(read_mask(save(tmp_path / name, picture)), expected)
    assert np.array_equal(read_image(tmp_path / "colour.png")[0, 1], [128, 0, 0])


def test_a_turned_photograph_stands_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees
    picture = Image.fromarray(np.hstack([np.zeros((8, 16), np.uint8), np.full((8, 16), 255, np.uint8)]))
    path = save(tmp_path / "a.jpg", picture, exif=exif)
    assert picture_size(path) == read_mask(path).shape == (32, 8)
    assert read_mask(path)[2].max() < 50 < 200 < read_mask(path)[-2].min()


@pytest.mark.parametrize("name", ["grey.png", "grey.tif", "colour.png", "colour.tif"])
def test_sixteen_bits_are_refused_not_quietly_reduced(tmp_path: Path, name: str) -> None:
    deep = GREY.astype(np.uint16) * 257
    cv2.imwrite(str(tmp_path / name), deep if "grey" in name else np.dstack([deep] * 3))
    for read in (read_image, read_mask, picture_size):
        with pytest.raises(UserError, match=rf"{name} has 16 bits a sample"):
            read(tmp_path / name)


def test_floating_point_and_stacks_of_pages_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "float.tif", Image.fromarray(GREY.astype(np.float32)))
    page = Image.fromarray(GREY)
    save(tmp_path / "pages.tif", page, save_all=True, append_images=[page])
    with pytest.raises(UserError, match="32 bits"):
        read_image(tmp_path / "float.tif")
    with pytest.raises(UserError, match="2 pages"):
        read_image(tmp_path / "pages.tif")


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize("suffix", ["jpg", "png", "bmp", "tif"])
def test_a_file_cut_short_anywhere_is_an_error_or_still_complete(tmp_path: Path, suffix: str) -> None:
    rng = np.random.default_rng(1)
    path = save(tmp_path / f"a.{suffix}", Image.fromarray(rng.integers(0, 255, (24, 40), dtype=np.uint8)))
    whole, data = read_image(path), path.read_bytes()
    lengths = range(0, len(data), 13)
    errors = [str(error) for length in lengths if (error := error_of_the_first(length, path, data, whole))]
    assert all(path.name in error for error in errors)
    assert len(errors) > 0.95 * len(lengths)


def error_of_the_first(length: int, path: Path, data: bytes, whole: np.ndarray) -> UserError | None:
    path.write_bytes(data[:length])
    try:
        assert np.array_equal(read_image(path), whole), f"{length} of {len(data)} bytes: wrong pixels"
    except UserError as error:
        return error
    return None


def test_what_is_no_picture_is_named_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("hello")
    Image.fromarray(GREY).save(tmp_path / "web.png", "GIF")
    Image.fromarray(GREY).save(tmp_path / "flat.png", "BMP")
    flat = bytearray((tmp_path / "flat.png").read_bytes())
    flat[18:22] = bytes(4)  # width 0
    (tmp_path / "flat.png").write_bytes(flat)
    for name, reason in (
        ("empty", r"is empty \(0 bytes\)"),
        ("text", "is no readable JPEG"),
        ("web", "is no readable JPEG"),
        ("flat", "is no readable JPEG"),
        ("nothing", "does not exist"),
    ):
        for read in (read_image, read_mask, picture_size):
            with pytest.raises(UserError, match=f"{name}.png {reason}"):
                read(tmp_path / f"{name}.png")


def test_real_slices_are_grey_512_pixels_a_side(real_data: Path) -> None:
    for path in sorted((real_data / "msd-spleen-slices" / "images").iterdir())[:3]:
        image = read_image(path)
        assert image.shape == (512, 512, 3)
        assert (np.ptp(image, axis=2) == 0).all()
