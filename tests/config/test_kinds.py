from __future__ import annotations

import os
from pathlib import Path

import pytest

from spleenseg.config import kinds
from spleenseg.config.colors import is_color


def refusal(kind: kinds.Kind, value: object) -> str:
    with pytest.raises(ValueError, match="must be") as caught:
        kind(value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("kind", "written", "kept"),
    [
        (kinds.flag(), True, True),
        (kinds.flag(), 0, False),
        (kinds.whole(1), 3, 3),
        (kinds.number(0, 1), 1, 1),
        (kinds.positive(), 1e-9, 1e-9),
        (kinds.pair(kinds.odd(), "(3,3)"), [3, 5], (3, 5)),
        (kinds.listed(kinds.number(), "[1]"), (1, 0.5), (1, 0.5)),
        (kinds.listed(kinds.number(), "[1]"), [], ()),
        (kinds.one_of("INTER_AREA", prefix="cv2."), "cv2.INTER_AREA", "INTER_AREA"),
        (kinds.one_of("Adam", "AdamW"), "adamw", "AdamW"),
        (kinds.optional(kinds.whole(1)), None, None),
        (kinds.any_of(kinds.whole(1), kinds.listed(kinds.whole(1), "[1]")), [4, 8], (4, 8)),
        (kinds.color(), "ForestGreen", "ForestGreen"),
        (kinds.color(), "#0f0", "#0f0"),
        (kinds.file_name("best.h5"), "best.h5", "best.h5"),
        (kinds.anything(), {(0, 0): [1, "a"]}, {(0, 0): (1, "a")}),
    ],
)
def test_a_kind_keeps_what_it_accepts(kind: kinds.Kind, written: object, kept: object) -> None:
    value = kind(written)
    assert value == kept
    assert type(value) is type(kept)


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        (kinds.flag(), "Ture", "must be True or False, is 'Ture' (did you mean 'True'?)"),
        (kinds.flag(), 2, "must be True or False, is 2"),
        (kinds.flag(), 1.0, "must be True or False, is 1.0"),
        (kinds.whole(1), True, "must be a whole number of at least 1, is True"),
        (kinds.whole(1), 4.0, "must be a whole number of at least 1, is 4.0"),
        (kinds.whole(1, 9), 10, "must be a whole number from 1 to 9, is 10"),
        (kinds.number(0), -1, "must be a number of at least 0, is -1"),
        (kinds.number(), float("inf"), "must be a number, is inf"),
        (kinds.number(), 1j, "must be a number, is 1j"),
        (kinds.positive(), 0, "must be a number above 0, is 0"),
        (kinds.positive(below=1), 1, "must be a number above 0 and below 1, is 1"),
        (kinds.fraction_below_one(), 1.0, "must be a number of at least 0 and below 1, is 1.0"),
        (kinds.odd(), 4, "must be an odd whole number from 1 to 999, is 4"),
        (kinds.pair(kinds.whole(1), "(3,3)"), 3, "must be a list of 2, each entry a whole number"),
        (kinds.pair(kinds.whole(1), "(3,3)"), (3, 3, 3), "such as (3,3), is (3, 3, 3)"),
        (kinds.pair(kinds.odd(), "(3,3)"), (3, 2), "is (3, 2) (entry 2 is 2)"),
        (kinds.listed(kinds.text("a"), "['a']", low=1), [], "is []"),
        (kinds.one_of("Adam", "AdamW"), "Adma", "\"Adam\" or \"AdamW\", is 'Adma' (did you mean 'Adam'?)"),
        (kinds.one_of("Adam", "AdamW"), 5, 'must be "Adam" or "AdamW", is 5'),
        (kinds.optional(kinds.whole(1)), 0, "must be a whole number of at least 1, or None, is 0"),
        (kinds.any_of(kinds.flag(), kinds.number(0)), "x", "True or False, or a number of at least 0, is 'x'"),
        (kinds.color(), "gren", "is 'gren' (did you mean 'green'?)"),
        (kinds.color(), 5, 'must be a colour name such as "green", or "#rrggbb", is 5'),
        (kinds.text("a"), " ", "must be text such as \"a\", is ' '"),
        (kinds.path("./a"), "..\temp", "control character; write / instead of \\"),
        (kinds.file_name("best.h5"), "../best.h5", "must be a file name without folder"),
        (kinds.file_name("best.h5"), "..", "must be a file name without folder"),
        (kinds.anything(), [1, b"x"], "must be text, True"),
        (kinds.anything(), {1, 2}, "is {1, 2}"),
        (kinds.number(), 10**400, "must be a number, is 1000"),
    ],
)
def test_a_kind_says_what_it_accepts_when_it_refuses(kind: kinds.Kind, value: object, message: str) -> None:
    assert message in refusal(kind, value)


def test_paths_are_relative_to_the_folder(tmp_path: Path) -> None:
    kind = kinds.path("./a")
    assert kind("../data/", tmp_path / "project") == tmp_path / "data"
    assert kind("/elsewhere", tmp_path) == Path("/elsewhere").absolute()
    assert kinds.optional_path("./a")(None, tmp_path) is None
    assert kind("~/data", tmp_path) == Path(os.path.expanduser("~/data"))  # noqa: PTH111


def test_a_linked_folder_keeps_its_name_but_dots_follow_the_link(tmp_path: Path) -> None:
    real = tmp_path / "disk" / "deep"
    real.mkdir(parents=True)
    (tmp_path / "linked").symlink_to(real, target_is_directory=True)
    assert kinds.absolute(tmp_path, "linked/images") == tmp_path / "linked" / "images"
    assert kinds.absolute(tmp_path / "linked", "../images").resolve() == (tmp_path / "disk" / "images").resolve()


@pytest.mark.parametrize("name", ["black", "white", "green", "Blue", "gold", "#abcdef", "rgb(1,2,3)"])
def test_colours_are_those_pillow_knows(name: str) -> None:
    from PIL.ImageColor import getrgb

    assert is_color(name)
    assert getrgb(name)


def test_the_colours_known_without_pillow_are_pillow_colours() -> None:
    from PIL.ImageColor import colormap

    from spleenseg.config.colors import _EVERYDAY

    assert set(colormap) >= _EVERYDAY
