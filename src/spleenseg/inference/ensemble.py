"""Several models asked together, such as those of the folds of a cross-validation."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from itertools import pairwise
from operator import add
from pathlib import Path

import numpy as np

from spleenseg.datasets.millimetres import PixelSize
from spleenseg.errors import UserError
from spleenseg.inference.combine import Combined, LogitMean, logits_of, mean_threshold
from spleenseg.inference.engine import HU, Floats
from spleenseg.inference.engine_choice import EXACT
from spleenseg.inference.labels import HALF
from spleenseg.inference.loading import load_predictor
from spleenseg.inference.postprocess import Postprocess
from spleenseg.inference.predictor import Predictor, SliceModel
from spleenseg.inference.record import Record
from spleenseg.progress import SILENT, Reporter

_MUST_AGREE = ("labels", "window_hu", "windows", "display", "context", "context_mm", "pixel_mm")


def load_models(
    models: Sequence[Path],
    *,
    engine: str | None = None,
    precision: str = EXACT,
    batch_size: int = 4,
    threshold: float | None = None,
    threads: int | None = None,
    reporter: Reporter = SILENT,
) -> Predictor | Combined:
    """Load one model, or several that answer together.

    Args:
        models: run folders and exported models, mixed; their order plays no part.
        engine, precision, batch_size, threads, reporter: for each of them, see `load_predictor`.
        threshold: see `labels_of`; None: that of the mean logit of theirs.

    Raises:
        UserError: none, the same one twice, or models that expect other images or know other labels; and see
            `load_predictor`.
    """
    if not models:
        raise UserError("no model: give a run folder or an exported model with --model")
    loaded = [
        load_predictor(
            model,
            engine=engine,
            precision=precision,
            batch_size=batch_size,
            threshold=threshold,
            threads=threads,
            reporter=reporter,
        )
        for model in models
    ]
    return loaded[0] if len(loaded) == 1 else ensemble(loaded)


def ensemble(members: Sequence[Predictor]) -> Combined:
    """Return what the members answer together, see `combine.LogitMean`.

    Raises:
        UserError: two are the same, or they expect other images or know other labels.
    """
    members = sorted(members, key=lambda member: member.settings)
    for one, other in pairwise(members):
        if one.settings == other.settings:
            raise UserError(f"the models {one.record.name} and {other.record.name} are the same; give it once")
        _require_alike(members[0], other)
    return Combined(
        members=members,
        answer=lambda stacks, size: _mean(members, stacks, size),
        threshold=mean_threshold([member.threshold for member in members]) if _one_organ(members[0]) else HALF,
        settings="+".join(member.settings for member in members),
        record=_together([member.record for member in members]),
        memory=reduce(add, [member.memory for member in members]),
    )


def _mean(members: Sequence[SliceModel], stacks: HU, size: PixelSize | None) -> Floats:
    mean = LogitMean()
    for member in members:
        mean.add(logits_of(member.of_hu(stacks, size)))
    return mean.probabilities()


def _one_organ(member: Predictor) -> bool:
    return member.config.model.num_classes == 1


def _require_alike(one: Predictor, other: Predictor) -> None:
    facts = [(key, getattr(one.expectation, key), getattr(other.expectation, key)) for key in _MUST_AGREE]
    facts.append(("num_classes", one.config.model.num_classes, other.config.model.num_classes))
    for key, ours, theirs in facts:
        if ours != theirs:
            names = f"{one.record.name} ({key} {ours}) and {other.record.name} ({key} {theirs})"
            raise UserError(f"models that answer together must be alike: {names} are not")


def _together(records: Sequence[Record]) -> Record:
    """Return what holds for all; how good their masks are together nobody measured."""
    return Record(
        name=" + ".join(record.name for record in records),
        engine=" + ".join(f"{record.engine} {record.name}" for record in records),
        mirrored=all(record.mirrored for record in records),
        postprocess=reduce(_both, [record.postprocess for record in records]),
    )


def _both(one: Postprocess, other: Postprocess) -> Postprocess:
    return Postprocess(
        components="largest" if one.components == other.components == "largest" else "all",
        fill_holes=one.fill_holes and other.fill_holes,
        min_ml=float(np.minimum(one.min_ml, other.min_ml)),
        places={name: place for name, place in one.places.items() if other.places.get(name) == place},
    )
