from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from spleenseg.cli.app import run
from spleenseg.datasets.sources import read_source
from spleenseg.download import DATASETS, Archive, download_dataset, unpack
from spleenseg.download.fetch import md5_of
from spleenseg.errors import UserError
from spleenseg.phantom import write_cohort
from spleenseg.progress import Silent

Member = tuple[str, bytes]


def make_tar(path: Path, members: Sequence[Member], change: Callable[[tarfile.TarInfo], None] = lambda _: None) -> Path:
    """Write a tar of some files; `change` alters the last entry."""
    with tarfile.open(path, "w") as tar:
        for place, (name, content) in enumerate(members):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            if place == len(members) - 1:
                change(entry)
            tar.addfile(entry, io.BytesIO(content) if entry.isreg() else None)
    return path


def test_a_folder_appears_when_it_is_complete(tmp_path: Path) -> None:
    members = [("T/imagesTr/a.nii.gz", b"1"), ("T/._dataset.json", b"mac"), ("._T", b"mac"), ("T/dataset.json", b"{}")]
    archive = make_tar(tmp_path / "t.tar", members)
    assert unpack.unpack(archive, "T", tmp_path) == tmp_path / "T"
    found = {path.relative_to(tmp_path / "T").as_posix() for path in (tmp_path / "T").rglob("*") if path.is_file()}
    assert found == {"imagesTr/a.nii.gz", "dataset.json"}
    assert {path.name for path in tmp_path.iterdir()} == {"T", "t.tar"}


def link(entry: tarfile.TarInfo) -> None:
    entry.type, entry.linkname, entry.size = tarfile.SYMTYPE, "/etc/hostname", 0


def hard_link(entry: tarfile.TarInfo) -> None:
    entry.type, entry.linkname, entry.size = tarfile.LNKTYPE, "T/a", 0


def device(entry: tarfile.TarInfo) -> None:
    entry.type, entry.size = tarfile.CHRTYPE, 0


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("../outside", lambda _: None, "lies outside its folder T"),
        ("T/../../outside", lambda _: None, "lies outside its folder T"),
        ("/tmp/outside", lambda _: None, "lies outside its folder T"),
        ("U/other", lambda _: None, "lies outside its folder T"),
        ("T/a\\..\\..\\b", lambda _: None, "lies outside its folder T"),
        ("T/link", link, "is no plain file"),
        ("T/link", hard_link, "is no plain file"),
        ("T/device", device, "is no plain file"),
        ("T/a", lambda _: None, "cannot unpack"),  # twice the same file
    ],
)
def test_what_must_not_be_unpacked_leaves_nothing(tmp_path: Path, name: str, change, message: str) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    archive = make_tar(folder / "t.tar", [("T/a", b"1"), (name, b"2")], change)
    with pytest.raises(UserError, match=message):
        unpack.unpack(archive, "T", folder)
    assert {path.name for path in tmp_path.iterdir()} == {"folder"}
    assert {path.name for path in folder.iterdir()} == {"t.tar"}


def test_more_than_the_limits_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = make_tar(tmp_path / "t.tar", [(f"T/{number}", b"12345") for number in range(4)])
    for limit, value in (("MOST_ENTRIES", 3), ("MOST_BYTES", 19)):
        with monkeypatch.context() as patch:
            patch.setattr(unpack, limit, value)
            with pytest.raises(UserError, match="holds more than"):
                unpack.unpack(archive, "T", tmp_path)
    assert not (tmp_path / "T").exists()


@pytest.mark.parametrize("content", [b"", b"no tar" * 1000, b"\x1f\x8b" + bytes(1000)])
def test_what_is_no_tar_file_is_said_so(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "t.tar").write_bytes(content)
    with pytest.raises(UserError, match=r"damaged or no tar file|is empty"):
        unpack.unpack(tmp_path / "t.tar", "T", tmp_path)


def test_a_cut_archive_leaves_nothing(tmp_path: Path) -> None:
    archive = make_tar(tmp_path / "t.tar", [("T/a", b"1" * 20_000), ("T/b", b"2" * 20_000)])
    archive.write_bytes(archive.read_bytes()[:30_000])
    with pytest.raises(UserError, match="damaged"):
        unpack.unpack(archive, "T", tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"t.tar"}


def test_what_a_killed_run_left_is_cleared_and_what_exists_is_kept(tmp_path: Path) -> None:
    archive = make_tar(tmp_path / "t.tar", [("T/a", b"1")])
    (tmp_path / ".unpacking" / "T").mkdir(parents=True)
    (tmp_path / ".unpacking" / "T" / "a").write_bytes(b"half")
    unpack.unpack(archive, "T", tmp_path)
    assert (tmp_path / "T" / "a").read_bytes() == b"1"
    (tmp_path / "T" / "a").write_bytes(b"mine")
    with pytest.raises(UserError, match="exists"):
        unpack.unpack(archive, "T", tmp_path)
    assert (tmp_path / "T" / "a").read_bytes() == b"mine"


class Listener(Silent):
    """Collects what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, message: str) -> None:
        self.said.append(message)


def test_a_dataset_that_was_fetched_before_is_unpacked_and_ready_to_prepare(tmp_path: Path) -> None:
    write_cohort(tmp_path / "T", 3, 1, size=32, slices=8)
    file = tmp_path / "new" / "T.tar"
    file.parent.mkdir()
    with tarfile.open(file, "w") as tar:
        tar.add(tmp_path / "T", "T")
    archive = Archive("a cohort", "T.tar", "T", md5_of(file), ("http://127.0.0.1:9/T.tar",), "Apache-2.0")
    listener = Listener()
    found = download_dataset(archive, tmp_path / "new", reporter=listener)
    assert [scan.case for scan in read_source(found).scans] == ["phantom_001", "phantom_002", "phantom_003"]
    assert any("Apache-2.0" in line for line in listener.said)
    assert download_dataset(archive, tmp_path / "new") == found  # there already: nothing is asked or written


def test_the_command_knows_its_datasets_and_fails_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["download", "msd-splen", str(tmp_path)]) == 2
    assert "did you mean 'msd-spleen'?" in capsys.readouterr().err
    (tmp_path / "Task09_Spleen.tar").write_bytes(b"something else")
    assert run(["download", "msd-spleen", str(tmp_path)]) == 2
    assert "is another file" in capsys.readouterr().err
    assert DATASETS["msd-spleen"].md5 == "410d4a301da4e5b2f6f86ec3ddba524e"
