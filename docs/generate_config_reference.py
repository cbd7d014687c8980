"""Write docs/reference/config.md from the schema: `python docs/generate_config_reference.py`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from spleenseg.config.names import OTHER_SPELLINGS
from spleenseg.config.schema import SECTIONS
from spleenseg.config.section import KeyFacts, Section, facts
from spleenseg.files import write_text
from spleenseg.training.registry import LOSSES, METRICS

PAGE = Path(__file__).parent / "reference" / "config.md"
_SIZES = {"image_width": 512, "image_height": 512, "image_channels": 3, "num_classes": 1}
_INTRODUCTION = """\
# Config keys

This page is written by `docs/generate_config_reference.py` from the program's own schema. Do not edit it.

A config is an INI file of `[section]` and `key = value` lines. Values are numbers, "text", True, False, None, (tuples)
and [lists]; nothing is ever evaluated. Section and key names may be in upper or lower case. A line that starts with
`;` is a comment; `; comment` or `# comment` may follow a value. Relative paths start at the config's folder.

- A misspelt key is an error that names the right spelling. Any other unknown key is a warning, and an error with
  `config check --strict`.
- `--set section.key=value` overrides a key for one run. Text needs no quotes there.
- `config show FILE` lists every key with the value it has, and where that comes from.
- `base_filters` and `num_layers` have defaults, but networks built of levels ask that both be given.
- `[train] metrics` follows the first of `[model] metrics` unless it is given.
"""


def page() -> str:
    """Return the whole page as Markdown."""
    parts = [_INTRODUCTION, *(part for name, section in SECTIONS.items() for part in _section(name, section))]
    parts += ["## Losses\n", _table(("name", "what it is"), _names(LOSSES))]
    parts += ["## Metrics\n", _table(("name", "what it is"), _names(METRICS))]
    return "\n".join(parts)


def _section(name: str, section: type[Section]) -> Iterator[str]:
    known = {key: facts(section, key) for key in section.model_fields}
    read = [
        (_code(_spelt(name, key)), _default(section, key), fact.description + _readers(fact), fact.accepts)
        for key, fact in known.items()
        if not fact.unused
    ]
    unread = [(_code(_spelt(name, key)), fact.unused) for key, fact in known.items() if fact.unused]
    yield f"## [{name}]\n"
    yield f"{(section.__doc__ or '').splitlines()[0]}\n"
    if read:
        yield _table(("key", "default", "what it does", "accepts"), read)
    if unread:
        yield "Accepted without effect:\n"
        yield _table(("key", "why"), unread)


def _spelt(section: str, key: str) -> str:
    others = [name for (owner, name), meant in OTHER_SPELLINGS.items() if (owner, meant) == (section, key)]
    return " or ".join([key, *others])


def _readers(fact: KeyFacts) -> str:
    if fact.models:
        return f" Read by {_listed(fact.models)} only."
    return f" Not read by {_listed(fact.unread_by)}." if fact.unread_by else ""


def _listed(names: Sequence[str]) -> str:
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)


def _default(section: type[Section], key: str) -> str:
    field = section.model_fields[key]
    if field.is_required():
        return "required"
    if field.default_factory is None:
        return _code(_shown(field.default))
    given = {name: size for name, size in _SIZES.items() if name in section.model_fields}
    usual = _shown(getattr(section.model_validate(given), key))
    if "policy" not in section.model_fields:
        return _code(usual)
    other = _shown(getattr(section.model_validate({"policy": "strong"}), key))
    return _code(usual) + ("" if usual == other else f"; {_code(other)} unless `policy` is reference")


def _shown(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)


def _names(registry: dict[str, str]) -> list[tuple[str, ...]]:
    return [(_code(name), text) for name, text in registry.items()]


def _code(text: str) -> str:
    return " or ".join(f"`{word}`" for word in text.split(" or "))


def _table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [header, ("---",) * len(header), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


if __name__ == "__main__":
    write_text(PAGE, page())
