"""`quick_check`: seconds before a training, what may be wrong with the folders a config names."""

from __future__ import annotations

from collections import defaultdict
from itertools import combinations

from spleenseg.config import Config
from spleenseg.datasets.cases import is_prepared
from spleenseg.datasets.check import read_section
from spleenseg.datasets.decode import read_mask
from spleenseg.datasets.folders import SliceFile
from spleenseg.errors import UserError
from spleenseg.files import sha256

_SECTIONS = {"train": "[train]", "eval": "[eval]"}
_MOST_MASKS = 200  # of a section, whether any shows an organ
_MOST_HASHED = 20000


def quick_check(config: Config) -> tuple[str, ...]:
    """Look for leaks and empty masks in the folders of [train] and [eval], by their files alone, in seconds.

    What cannot be read is no warning here: training names it itself. `check` looks at everything.

    Args:
        config: a loaded config.

    Returns:
        Warnings, a line each.
    """
    try:
        sections = {name: read_section(config, name).files for name in _SECTIONS}
    except UserError:
        return ()
    warnings = [_leak(one, other, sections[one], sections[other]) for one, other in combinations(sections, 2)]
    warnings += [_empty(name, files) for name, files in sections.items()]
    return tuple(line for line in warnings if line)


def _leak(one: str, other: str, files: tuple[SliceFile, ...], others: tuple[SliceFile, ...]) -> str:
    """Name images that lie in both sections, byte for byte, under different patients."""
    sizes: dict[int, list[SliceFile]] = defaultdict(list)
    for file in _pictures(files):
        sizes[file.image.stat().st_size].append(file)
    near = [file for file in _pictures(others) if file.image.stat().st_size in sizes][:_MOST_HASHED]
    wanted = {file.image.stat().st_size for file in near}
    owners = {sha256(file.image): file.patient for size in wanted for file in sizes[size]}
    same = [file for file in near if owners.get(sha256(file.image), file.patient) != file.patient]
    if not same:
        return ""
    where = f"{_SECTIONS[one]} and {_SECTIONS[other]}"
    return f"{len(same)} images are in both {where} under different names, such as {same[0].name}; run spleenseg check"


def _pictures(files: tuple[SliceFile, ...]) -> list[SliceFile]:
    return [file for file in files if not is_prepared(file)]


def _empty(name: str, files: tuple[SliceFile, ...]) -> str:
    """Say that none of the masks shows an organ; a sample of at most 200 of them, evenly chosen."""
    masks = [file.mask for file in _pictures(files) if file.mask is not None]
    chosen = masks[:: max(1, len(masks) // _MOST_MASKS)]
    try:
        if not chosen or any(read_mask(mask).any() for mask in chosen):
            return ""
    except UserError:
        return ""
    return f"none of {len(chosen)} masks of {_SECTIONS[name]} shows an organ"
