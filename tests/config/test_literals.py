from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spleenseg.config.literals import NotLiteral, read_literal, shown


def refusal(text: str) -> str:
    with pytest.raises(NotLiteral) as caught:
        read_literal(text)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "has no value"),
        ("  ", "has no value"),
        ("relu", "is the bare word relu; text is written in quotes"),
        ("cv2.INTER_AREA", "is the bare word cv2.INTER_AREA"),
        ("Truw", "(did you mean 'True'?)"),
        ("none", "(did you mean 'None'?)"),
        ("[dice_coef]", "holds the bare word dice_coef"),
        ("[1, 2", "cannot be read: [1, 2; write"),
        ('"C:\\Users\\me"', "write / instead of \\ in paths"),
        ("1 / 0", "is code, which is never run: 1 / 0"),
        ("9" * 10_001, "is longer than 10000 characters"),
        ("(" * 5_000, "cannot be read"),
        ("{[]: 1}", "is code, which is never run"),
    ],
)
def test_what_is_no_literal_says_why(text: str, problem: str) -> None:
    assert problem in refusal(text)


@pytest.mark.parametrize(
    "code",
    [
        "__import__('os').mkdir('made')",
        "exec('x')",
        "(lambda: 1)()",
        "[x for x in (1,)]",
        "open('made', 'w')",
        "f'{print(1)}'",
        "2 ** 99",
    ],
)
def test_code_is_named_and_never_run(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "is code, which is never run" in refusal(code)
    assert list(tmp_path.iterdir()) == []


def test_a_backslash_in_a_path_raises_no_warning(recwarn: pytest.WarningsRecorder) -> None:
    assert read_literal(r"'data\dicom'") == "data\\dicom"
    assert not recwarn.list


@given(st.text(max_size=100))
def test_arbitrary_text_raises_nothing_but_not_literal(text: str) -> None:
    with suppress(NotLiteral):
        read_literal(text)


def test_shown_values_stay_on_one_short_line() -> None:
    assert shown("a\nb") == "'a\\nb'"
    assert len(shown(list(range(1000)))) == 60
    assert shown(int("f" * 6000, 16)) == "a huge number"
