"""Where the figures come from, in facts for the reader, and what limits them."""

from __future__ import annotations

import platform
from importlib.metadata import version

from spleenseg.datasets.slices import SliceSet
from spleenseg.models.run_folder import Trained

_MOST_NAMED = 3


def of_run(trained: Trained, slices: SliceSet, section: str, count: int) -> dict[str, str]:
    """Return facts about a trained network and the slices it was evaluated on."""
    manifest, network = trained.manifest, trained.manifest.network
    width, height = network.image_size
    facts = {
        "network": f"{network.name}, {network.parameters:,} weights, {width}×{height}×{network.image_channels}",
        "weights": f"{manifest.weights.file}, SHA-256 {manifest.weights.sha256}" if manifest.weights else "unknown",
        "config": f"{manifest.config_file}, SHA-256 {manifest.config_sha256 or 'unknown'}",
        "trained": f"{_day(manifest.created)} to {_day(manifest.finished)}, seed {manifest.seed}",
        "trained with": f"spleenseg {manifest.spleenseg}, Python {manifest.python}, {manifest.platform}",
        "packages": ", ".join(f"{name} {found}" for name, found in manifest.packages.items()),
        "evaluated with": f"spleenseg {version('spleenseg')}, Python {platform.python_version()}",
        "evaluated on": f"[{section}]: {count} slices, {len({file.patient for file in slices.files})} patients",
        "images": _images(trained),
    }
    for split, record in manifest.data.items():
        facts[f"data of {split}"] = f"{record.slices} slices, {record.patients} patients, SHA-256 {record.sha256}"
    if manifest.best:
        facts["best epoch"] = f"{manifest.best.epoch} (from 0)"
    return facts


def remarks_on_run(trained: Trained, slices: SliceSet, section: str) -> tuple[str, ...]:
    """Return what a reader must know before believing the figures of a run."""
    remarks = []
    patients = {file.patient for file in slices.files}
    if section == "train":
        remarks.append("The network was trained on these slices: the figures say nothing about other patients.")
    elif (seen := trained_on_line(trained, slices, section)) is not None:
        remarks.append(f"{seen[0].upper()}{seen[1:]}.")
    if section == "eval":
        remarks.append("The best epoch was chosen on these slices: expect lower figures on patients never used.")
    for splits, shared in trained.manifest.patient_overlap.items():
        remarks.append(f"{len(shared)} patients occur in both {splits}: figures of these splits are too high.")
    if len(patients) < 20:
        remarks.append(f"{len(patients)} patients are few: the confidence intervals rest on these alone.")
    if slices.manifest is None:
        remarks.append("The dataset has no manifest: voxel sizes, volumes and distances are unknown.")
    return tuple(remarks)


def trained_on_line(trained: Trained, slices: SliceSet, section: str) -> str | None:
    """Say that the network saw patients of `slices` in training; None if it saw none, as far as names tell."""
    own = {file.case: file.patient for file in slices.files}
    known = slices.manifest.patients if slices.manifest else {}
    seen = trained.manifest.trained_on(own, {**known, **own})
    if not seen:
        return None
    names = f"{', '.join(seen[:_MOST_NAMED])}{', ...' if len(seen) > _MOST_NAMED else ''}"
    return (
        f"by their names, {len(seen)} of the {len(own)} cases of [{section}] are of patients that the network was "
        f"trained on ({names}): the figures are too high for other patients"
    )


def _images(trained: Trained) -> str:
    expectation = trained.expectation
    low, high = expectation.window_hu
    return f"{low:g} to {high:g} HU, {expectation.display}"


def _day(moment: object) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC" if moment is not None else "unfinished"
