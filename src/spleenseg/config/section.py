"""What every section of the config has in common, and what is known of each key."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import PydanticUndefined

from spleenseg.config import kinds

MOST = 1_000_000  # of anything counted
Count = Annotated[int, kinds.whole(1, MOST)]
CountOrNone = Annotated[int | None, kinds.optional(kinds.whole(1, MOST))]
Flag = Annotated[bool, kinds.flag()]
Folder = Annotated[Path, kinds.path("./folder")]
FolderOrNone = Annotated[Path | None, kinds.optional_path("./folder")]
Share = Annotated[float, kinds.number(0, 1)]
REQUIRED: Any = PydanticUndefined


class Effect(StrEnum):
    """Whether setting a key changes anything."""

    WORKS = "works"
    UNUSED = "no effect"
    OTHER_MODEL = "no effect with this model"


class Section(BaseModel):
    """One section of the config: immutable, every key typed and described."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, protected_namespaces=())


@dataclass(frozen=True)
class KeyFacts:
    """What the schema says of a key.

    Attributes:
        description: one sentence for the user.
        accepts: the values it takes.
        unused: why setting it changes nothing; empty if it does.
        models: short names of the only architectures that read it; empty if all do.
        unread_by: short names of the architectures that have no use for it.
    """

    description: str
    accepts: str
    unused: str
    models: tuple[str, ...]
    unread_by: tuple[str, ...]


def key(
    default: Any,
    description: str,
    *,
    unused: str = "",
    models: tuple[str, ...] = (),
    unread_by: tuple[str, ...] = (),
) -> Any:
    """Declare a key of a section.

    Args:
        default: its default; `REQUIRED` if there is none; a function of the fields before it.
        description: one sentence for ``config show``.
        unused: why the key is accepted without effect.
        models: the only architectures that read it, without the prefix ``Tensorflow``.
        unread_by: the architectures that have no use for it, without the prefix.
    """
    extra: dict[str, Any] = {"unused": unused, "models": list(models), "unread_by": list(unread_by)}
    if callable(default):
        return Field(default_factory=default, description=description, json_schema_extra=extra)
    return Field(default, description=description, json_schema_extra=extra)


def facts(section: type[Section], name: str) -> KeyFacts:
    """Return what the schema of `section` says of key `name`."""
    field = section.model_fields[name]
    extra: Any = field.json_schema_extra
    kind = next(item for item in field.metadata if isinstance(item, kinds.Kind))
    read, unread = tuple(extra["models"]), tuple(extra["unread_by"])
    return KeyFacts(field.description or "", kind.accepts, extra["unused"], read, unread)


def short_name(model: str) -> str:
    """Return an architecture's name without its prefix, in lower case: ``TensorflowUNet`` -> ``unet``."""
    return model.lower().removeprefix("tensorflow")
