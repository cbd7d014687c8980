"""Everything that can be known to fail before any work starts; loads neither Keras nor a picture."""

from __future__ import annotations

from spleenseg.config import Config
from spleenseg.datasets.check import check_sections
from spleenseg.models import registry as models
from spleenseg.training import registry as training


def check(config: Config, sections: tuple[str, ...] = ("train", "eval")) -> None:
    """Check names, sizes, folders and pairs of a config.

    Args:
        config: a loaded config.
        sections: whose image and mask folders must be complete.

    Raises:
        UserError: the first problem, naming file, section, key and line.
    """
    models.check(config)
    training.check(config)
    check_sections(config, sections)
