"""Finding the key that a name in the file means: other spellings, misspellings, other sections, unknown."""

from __future__ import annotations

from dataclasses import dataclass

from spleenseg.config.schema import SECTIONS
from spleenseg.config.spelling import nearest

OTHER_SPELLINGS = {
    ("deformation", "alpah"): "alpha",
    ("model", "diation"): "dilation",
    ("train", "create_backups"): "create_backup",
}
NEVER_READ = {("train", "epoch_changeinfer"), ("train", "epoch_change_tiled_infer")}
"""Names in published configs of the reference that are close to a key's, and that it never read either."""


@dataclass(frozen=True)
class Unknown:
    """A name that no key answers to.

    Attributes:
        problem: what to tell the user.
        misspelt: whether it is close to a known name, hence surely a mistake.
    """

    problem: str
    misspelt: bool


def find_section(name: str) -> str | Unknown:
    """Return the section that `name` means, or why there is none."""
    if name in SECTIONS:
        return name
    close = nearest(name, SECTIONS)
    if close:
        return Unknown(f"unknown section (did you mean [{close}]?)", misspelt=True)
    return Unknown("unknown section, ignored", misspelt=False)


def find_key(section: str, name: str) -> str | Unknown:
    """Return the key of the known `section` that `name` means, or why there is none."""
    if name in SECTIONS[section].model_fields:
        return name
    if (section, name) in OTHER_SPELLINGS:
        return OTHER_SPELLINGS[section, name]
    close = nearest(name, _spellings(section))
    if (section, name) in NEVER_READ:
        return Unknown(f"unknown key, ignored ('{close}' is the one that is read)", misspelt=False)
    if close:
        return Unknown(f"unknown key (did you mean '{close}'?)", misspelt=True)
    elsewhere = [f"[{other}]" for other in SECTIONS if name in _spellings(other)]
    where = f"; {' and '.join(elsewhere)} {'knows' if len(elsewhere) == 1 else 'know'} it" if elsewhere else ""
    return Unknown(f"unknown key, ignored{where}", misspelt=False)


def _spellings(section: str) -> list[str]:
    others = [name for owner, name in OTHER_SPELLINGS if owner == section]
    return [*SECTIONS[section].model_fields, *others]
