from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spleenseg.config.ini import Entry, parse_ini, read_ini
from spleenseg.config.literals import read_literal
from spleenseg.errors import UserError

C = Path("c.config").absolute()


def entries(text: str) -> list[tuple[str, str, str, int]]:
    return [(e.section, e.key, e.text, e.line) for e in parse_ini(text, C).entries]


def refusal(text: str) -> str:
    with pytest.raises(UserError) as caught:
        parse_ini(text, C)
    return str(caught.value)


def test_every_entry_knows_its_section_and_line() -> None:
    assert entries("; note\n\n[a]\nx = 1\n[b]\n# note\ny: 2") == [("a", "x", "1", 4), ("b", "y", "2", 7)]


def test_names_are_case_insensitive_and_may_be_indented() -> None:
    assert entries("[ Train ] ; the split\n  Epochs=3\n\tPatience = 2") == [
        ("train", "epochs", "3", 2),
        ("train", "patience", "2", 3),
    ]


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("x = 5 # five", 5),
        ("x = 5 ; five", 5),
        ('x = "#00ff00" # green', "#00ff00"),
        ("x = 'a;b' ; text", "a;b"),
        (r"x = 'it\'s; #1' # quote", "it's; #1"),
        ("x = [1, # one", [1, 2]),
    ],
)
def test_comments_after_a_value_do_not_break_quoted_marks(line: str, value: object) -> None:
    (entry, *_) = parse_ini(f"[a]\n{line}\n 2]" if "[1" in line else f"[a]\n{line}", C).entries
    assert read_literal(entry.text) == value


def test_a_value_goes_on_while_a_bracket_is_open() -> None:
    (angles, shears) = parse_ini("[a]\nangles = [5,\n; more\n\n10, (1,\n2)]\nshears = []", C).entries
    assert read_literal(angles.text) == [5, 10, (1, 2)]
    assert shears == Entry("a", "shears", "[]", 7)


def test_an_unclosed_bracket_swallows_neither_the_next_key_nor_the_next_section() -> None:
    assert [e[1] for e in entries("[a]\nx = [5,\ny = 2\nz = (\n[b]\nw = 1")] == ["x", "y", "z", "w"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("epochs = 5", "c.config: (line 1): epochs stands before any [section]"),
        ("[a]\nx 5", "(line 2): expected key = value, [section] or ; comment, found x 5"),
        ("[a]\n= 5", "(line 2): expected key = value"),
        ("[a\nx = 5", "(line 1): expected a section header like [train], found [a"),
        ("[]\n", "(line 1): expected a section header"),
        ("[a]\nx = 1\nX = 2", "[a] x (line 3): is set twice, first in line 2"),
        ("[a]\n[b]\n[A]", "(line 3): [a] was begun before, in line 1"),
        ("[a]\nx = " + "9" * 20_000, "(line 2): is longer than 10000 characters"),
    ],
)
def test_a_line_that_is_not_understood_is_one_error_with_its_number(text: str, problem: str) -> None:
    assert problem in refusal(text)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_and_byte_order_mark_do_not_matter(end: str, tmp_path: Path) -> None:
    path = tmp_path / "c"
    path.write_bytes(b"\xef\xbb\xbf" + end.join(["[a]", "x = 1", "y = 2"]).encode())
    assert [(e.key, e.line) for e in read_ini(path).entries] == [("x", 2), ("y", 3)]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"[a]\nx = '\xe9'", "(line 2): is not UTF-8 text; save the file as UTF-8"),
        ("[a]\nx = 1".encode("utf-16"), "is not UTF-8 text"),
        (b"#" * 1_000_001, "is larger than 1 MB"),
    ],
)
def test_a_file_that_is_not_text_is_one_error(data: bytes, problem: str, tmp_path: Path) -> None:
    (tmp_path / "c").write_bytes(data)
    with pytest.raises(UserError, match="c:") as caught:
        read_ini(tmp_path / "c")
    assert problem in str(caught.value)


def test_a_missing_file_and_a_folder_say_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such config file"):
        read_ini(tmp_path / "none")
    with pytest.raises(UserError, match="is a folder; give the config file in it"):
        read_ini(tmp_path)
    with pytest.raises(UserError, match="cannot be read"):
        read_ini(Path("nul\0byte"))


LITERALS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.lists(inner, max_size=4).map(tuple),
    max_leaves=12,
)


@given(value=LITERALS, comment=st.sampled_from(["", " # note", ' ; it\'s "one"', "\t#"]))
def test_any_literal_survives_being_written_and_read(value: object, comment: str) -> None:
    (entry,) = parse_ini(f"[s]\nkey = {value!r}{comment}\n; end", C).entries
    assert read_literal(entry.text) == value


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=200))
def test_arbitrary_text_is_read_or_refused(text: str) -> None:
    with suppress(UserError):
        assert all(entry.line >= 1 for entry in parse_ini(text, C).entries)
