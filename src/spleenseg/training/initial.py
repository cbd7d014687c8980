"""What a training starts from besides chance: an encoder's published weights, or another run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spleenseg.config import Config
from spleenseg.errors import UserError
from spleenseg.files import sha256
from spleenseg.models.encoders import encoder_file, encoder_of
from spleenseg.models.pretrained import load_encoder
from spleenseg.models.run_folder import RunFolder, RunManifest, load_trained
from spleenseg.models.run_manifest import InitialRecord
from spleenseg.models.transfer import transfer
from spleenseg.progress import Reporter

_MOST_SHOWN = 4


def set_initial(network: Any, config: Config, reporter: Reporter) -> InitialRecord | None:
    """Set the weights that `[model] pretrained` or `init_from` name, and say in one line what took them.

    Args:
        network: a freshly built model.
        config: the config it was built from.
        reporter: is told.

    Returns:
        what to record; None if the weights stay as chance made them.

    Raises:
        UserError: weights that do not fit, or not all where `[train] start_share` keeps some of them.
    """
    section, encoder = config.model, encoder_of(config.model)
    if section.init_from:
        taken, fresh = transfer(load_trained(section.init_from, reporter).model, network)
        source = section.init_from
        if not taken:
            raise UserError(f"no layer of {source} fits {network.name}; leave init_from out, or name another run")
    elif section.pretrained and encoder:
        source = encoder_file(section, encoder)
        taken = load_encoder(network, section, encoder, source)
        fresh = [layer.name for layer in network.layers if layer.weights and layer.name not in set(taken)]
    else:
        return None
    if config.train.start_share and fresh:
        raise config.error("train", "start_share", f"needs a run that fits as a whole: {fresh[0]} would be fresh")
    reporter.say(f"{_told(network, taken, fresh)}, from {source}")
    portable, digest = _portable(source, config.folder), initial_sha256(config)
    return InitialRecord(source=portable, layers=len(taken), fresh=tuple(fresh), sha256=digest)


def initial_sha256(config: Config) -> str | None:
    """Return the SHA-256 of the file of weights that a training would start from; None where chance makes them.

    Raises:
        UserError: there is no such run or file.
    """
    section, encoder = config.model, encoder_of(config.model)
    if section.init_from:
        weights = RunManifest.read(RunFolder.at(section.init_from).manifest).weights
        return weights.sha256 if weights else None
    return sha256(encoder_file(section, encoder)) if section.pretrained and encoder else None


def _told(network: Any, taken: Sequence[str], fresh: Sequence[str]) -> str:
    known = set(taken)
    share = sum(layer.count_params() for layer in network.layers if layer.name in known) / network.count_params()
    shown = ", ".join(fresh[:_MOST_SHOWN])
    more = f" and {len(fresh) - _MOST_SHOWN} more" if len(fresh) > _MOST_SHOWN else ""
    start = f"{len(taken)} of {len(taken) + len(fresh)} layers ({share:.1%} of the numbers) start with trained weights"
    return f"{start}; fresh: {shown}{more}" if fresh else start


def _portable(source: Path, folder: Path) -> str:
    try:
        return Path(os.path.relpath(source, folder)).as_posix()
    except ValueError:  # another drive
        return str(source)
