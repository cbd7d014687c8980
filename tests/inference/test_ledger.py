from __future__ import annotations

from contextlib import suppress

import pytest

from spleenseg.errors import UserError
from spleenseg.inference.ledger import LEDGER_NAME, Ledger


def make(folder, name="a", source="s", settings="t", text="mask"):
    ledger = Ledger(folder)
    ledger.begin(name, source, settings, [f"{name}.png"])
    ledger.save()
    (folder / f"{name}.png").write_text(text)
    ledger.finish(name, [[name, 1.5, None]])
    ledger.save()


def test_what_was_made_is_known_to_the_next_run_with_its_rows(tmp_path):
    make(tmp_path / "out")
    again = Ledger(tmp_path / "out")
    assert again.finished("a", "s", "t", ["a.png"])
    assert again.items["a"].rows == [["a", 1.5, None]]


@pytest.mark.parametrize(
    ("source", "settings", "files"),
    [("x", "t", ["a.png"]), ("s", "x", ["a.png"]), ("s", "t", ["a.png", "b"])],
)
def test_another_source_other_settings_or_a_missing_file_is_not_finished(tmp_path, source, settings, files):
    make(tmp_path)
    assert not Ledger(tmp_path).finished("a", source, settings, files)


def test_a_deleted_output_is_not_finished(tmp_path):
    make(tmp_path)
    (tmp_path / "a.png").unlink()
    assert not Ledger(tmp_path).finished("a", "s", "t", ["a.png"])


def test_our_own_file_may_be_written_again(tmp_path):
    make(tmp_path)
    make(tmp_path, text="new mask")
    assert (tmp_path / "a.png").read_text() == "new mask"


def test_a_file_of_the_users_is_never_overwritten(tmp_path):
    (tmp_path / "a.png").write_text("mine")
    with pytest.raises(UserError, match="did not make it"):
        Ledger(tmp_path).begin("a", "s", "t", ["a.png"])
    assert not (tmp_path / LEDGER_NAME).exists()


def test_an_output_the_user_has_corrected_is_never_overwritten(tmp_path):
    make(tmp_path)
    (tmp_path / "a.png").write_text("corrected by hand")
    with pytest.raises(UserError, match="changed since"):
        Ledger(tmp_path).begin("a", "s", "t", ["a.png"])


def test_a_run_killed_between_writing_and_sealing_can_go_on_but_is_not_finished(tmp_path):
    ledger = Ledger(tmp_path)
    ledger.begin("a", "s", "t", ["a.png"])
    ledger.save()
    (tmp_path / "a.png").write_text("written, not sealed")
    (tmp_path / ".writing-x.png").write_text("half")
    again = Ledger(tmp_path)
    assert not again.finished("a", "s", "t", ["a.png"])
    again.begin("a", "s", "t", ["a.png"])
    assert not (tmp_path / ".writing-x.png").exists()


class Killed(BaseException):
    pass


@pytest.mark.parametrize("failure", [ValueError, Killed])
def test_after_a_failure_a_name_without_a_file_is_the_users(tmp_path, failure):
    ledger = Ledger(tmp_path)
    with suppress(failure), ledger.undone_if_it_fails():
        ledger.begin("a", "s", "t", ["a.png", "a_overlay.png"])
        ledger.save()
        (tmp_path / "a_overlay.png").write_text("written")
        raise failure
    again = Ledger(tmp_path)
    (tmp_path / "a.png").write_text("drawn by hand")
    with pytest.raises(UserError, match="did not make it"):
        again.begin("a", "s", "t", ["a.png", "a_overlay.png"])
    assert not again.finished("a", "s", "t", ["a_overlay.png"])
    again.begin("a", "s", "t", ["a_overlay.png"])


def test_what_a_failed_run_did_write_is_not_overwritten_once_it_is_corrected(tmp_path):
    ledger = Ledger(tmp_path)
    with suppress(Killed), ledger.undone_if_it_fails():
        ledger.begin("a", "s", "t", ["a.png"])
        (tmp_path / "a.png").write_text("written")
        raise Killed
    (tmp_path / "a.png").write_text("corrected by hand")
    with pytest.raises(UserError, match="changed since"):
        Ledger(tmp_path).begin("a", "s", "t", ["a.png"])


def test_a_failure_leaves_an_earlier_result_as_it_is_and_one_without_a_file_no_entry(tmp_path):
    make(tmp_path)
    ledger = Ledger(tmp_path)
    with suppress(Killed), ledger.undone_if_it_fails():
        ledger.begin("a", "s", "t", ["a.png", "a_prob.png"])
        ledger.begin("b", "s", "t", ["b.png"])
        raise Killed
    again = Ledger(tmp_path)
    assert again.finished("a", "s", "t", ["a.png"])
    assert again.items["a"].rows == [["a", 1.5, None]]
    assert list(again.items) == ["a"]


def test_the_record_is_the_same_whatever_the_order_in_which_inputs_were_finished(tmp_path):
    for folder, names in (("x", "ab"), ("y", "ba")):
        for name in names:
            make(tmp_path / folder, name)
    assert (tmp_path / "x" / LEDGER_NAME).read_bytes() == (tmp_path / "y" / LEDGER_NAME).read_bytes()


def test_strangers_are_named_but_not_hidden_and_desktop_files(tmp_path):
    make(tmp_path)
    for name in ("notes.txt", ".DS_Store", "Thumbs.db"):
        (tmp_path / name).write_text("")
    assert Ledger(tmp_path).strangers() == ["notes.txt"]


def test_half_written_files_in_a_folder_without_a_record_are_left_alone(tmp_path):
    (tmp_path / ".writing-x.png").write_text("of another program")
    Ledger(tmp_path)
    assert (tmp_path / ".writing-x.png").exists()


def test_a_damaged_record_and_a_file_in_place_of_the_folder_are_refused(tmp_path):
    (tmp_path / LEDGER_NAME).write_text("{")
    with pytest.raises(UserError, match="damaged"):
        Ledger(tmp_path)
    with pytest.raises(UserError, match="is a file"):
        Ledger(tmp_path / LEDGER_NAME)
