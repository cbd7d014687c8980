"""The documentation tells the truth: its commands run, its links lead somewhere, its tables are complete."""

from __future__ import annotations

import re
import runpy
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main

from spleenseg.cli.app import run
from spleenseg.cli.commands import app
from spleenseg.config.names import OTHER_SPELLINGS
from spleenseg.config.schema import SECTIONS
from spleenseg.config.section import facts
from spleenseg.evaluation.tables import CASE_COLUMNS, SLICE_COLUMNS, SUMMARY_COLUMNS
from spleenseg.inference.cohort import LOG_COLUMNS
from spleenseg.inference.measure import COLUMNS as VOLUME_COLUMNS
from spleenseg.models.run_folder import RunFolder

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), ROOT / "README.md"])
_BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def commands(page: Path) -> list[list[str]]:
    """Return the words after `spleenseg` of every command a page shows, in its order."""
    blocks = _BLOCK.findall(page.read_text(encoding="utf-8"))
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [shlex.split(line)[2:] for line in lines if line.startswith("$ spleenseg")]


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=name_of)
def test_the_commands_of_a_page_run_in_their_order(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for words in commands(page):
        status = run(words)
        assert status == 0, f"spleenseg {shlex.join(words)}: {capsys.readouterr().err}"


def test_the_pages_that_teach_by_commands_show_some() -> None:
    taught = [DOCS / "tutorial/first-model.md", *sorted((DOCS / "how-to").glob("*.md"))]
    assert len(taught) >= 3
    assert all(commands(page) for page in taught)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_relative_links_lead_to_files_and_headings_that_exist(page: Path) -> None:
    broken = [link for link in _LINK.findall(_prose(page)) if not _leads_somewhere(page, link)]
    assert not broken


def test_every_command_and_option_is_in_the_reference() -> None:
    page = (DOCS / "reference/commands.md").read_text(encoding="utf-8")
    sections = {part.split("\n", 1)[0]: part for part in page.split("\n## ")}
    for name, options in leaves():
        assert name in sections, f"no section '## {name}'"
        missing = [option for option in options if f"`{option}" not in sections[name]]
        assert not missing, f"{name} does not tell of {missing}"


def test_the_config_page_is_what_its_generator_writes() -> None:
    page = runpy.run_path(str(DOCS / "generate_config_reference.py"))["page"]()
    hint = "run: python docs/generate_config_reference.py"
    assert (DOCS / "reference/config.md").read_text(encoding="utf-8") == page, hint


def test_keys_without_effect_are_listed_for_those_who_come_from_the_reference() -> None:
    page = (DOCS / "how-to/coming-from-the-reference.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| \[(\w+)\] \| (.+) \|$", page, re.MULTILINE))
    listed = {name: {key.strip("` ") for key in keys.split(",")} for name, keys in rows.items()}
    unused = {name: {key for key in model.model_fields if facts(model, key).unused} for name, model in SECTIONS.items()}
    assert listed == {name: keys for name, keys in unused.items() if keys}
    assert all(f"`{spelling}`" in page for _, spelling in OTHER_SPELLINGS)


def test_every_file_and_column_of_a_run_is_in_the_reference() -> None:
    page = (DOCS / "reference/run-folder.md").read_text(encoding="utf-8")
    root = Path("project")
    middle = {f"eval/worst_{rank}.png" for rank in (2, 3, 4)}
    files = {path.relative_to(root).as_posix() for path in RunFolder.at(root).products()} - middle
    columns = {*CASE_COLUMNS, *SLICE_COLUMNS, *SUMMARY_COLUMNS, *VOLUME_COLUMNS, *LOG_COLUMNS}
    assert [name for name in sorted(files | columns) if f"`{name}`" not in page] == []


def leaves() -> Iterator[tuple[str, list[str]]]:
    """Yield every command as it is typed, and its options by their longest names."""
    groups = [("spleenseg", typer.main.get_command(app))]
    while groups:
        name, command = groups.pop()
        inner = getattr(command, "commands", {})
        groups += [(f"{name} {word}", found) for word, found in inner.items()]
        if not inner:
            yield name, [max(p.opts, key=len) for p in command.params if p.param_type_name == "option"]


def _prose(page: Path) -> str:
    return _CODE.sub("", page.read_text(encoding="utf-8"))


def _leads_somewhere(page: Path, link: str) -> bool:
    if re.match(r"[a-z]+:", link):
        return True
    file, _, heading = link.partition("#")
    target = page.parent / file if file else page
    return target.exists() and (not heading or heading in _headings(target))


def _headings(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", _prose(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
