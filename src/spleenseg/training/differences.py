"""What is not as a run.json says: of settings, data, versions and the machine; one line each."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from spleenseg.config.rewrite import PRODUCTS
from spleenseg.config.schema import SECTIONS, effect_of
from spleenseg.config.section import Effect, facts
from spleenseg.models.run_config import KEPT
from spleenseg.models.run_manifest import DataRecord, RunManifest, version_changes
from spleenseg.training.registry import computed_metrics

Settings = Mapping[str, Mapping[str, Any]]
_Key = tuple[str, str]  # section and key
_BEGINNING: tuple[_Key, ...] = (
    *(("train", key) for key in ("best_by", "start_share")),
    *(("model", key) for key in ("pretrained", "init_from")),
)
_LOSS: tuple[_Key, ...] = (("model", "loss"), ("model", "batch_dice"))
_METRICS: tuple[_Key, ...] = (("model", "metrics"), ("train", "metrics"))
_NOT_TRAINING = frozenset({"eval", "test", "infer", "tiledinfer", "segmentation", "inspect"})
_LEAVE_NO_TRACE: tuple[_Key, ...] = (  # in the weights
    ("dataset", "fold"),
    *(("train", key) for key in ("threads", "checkpoint_every", "tensorboard", "mlflow")),
    *(("train", key) for key in ("epoch_change_infer", "epoch_change_every", "num_infer_images")),
)
_ONLY_IN_TRAINING = ("dropout_rate", "dropout_seed_fixing")


def first_difference(then: DataRecord, now: Mapping[str, str]) -> str | None:
    """Say in what the data differ, by the first case that does; None if in nothing.

    Args:
        then: the data of a split, as recorded.
        now: the hash of each case that the split has now.
    """
    for case in sorted({*then.cases, *now}):
        if case not in now:
            return f"case {case} is missing"
        if case not in then.cases:
            return f"case {case} is new"
        if now[case] != then.cases[case]:
            return f"case {case} has other content"
    return None


def setting_changes(then: Settings, now: Settings, but: Collection[_Key] = ()) -> Iterator[str]:
    """Yield a line for each setting that has another value; those of `but`, by section and key, may have one."""
    for section, key, value, found in _differing(then, now):
        if (section, key) not in but:
            yield f"[{section}] {key} is {found!r} now, it was {value!r}"


def training_differences(one: Settings, other: Settings) -> Iterator[str]:
    """Yield a line for each setting that trained two runs otherwise, wherever they lie.

    Args:
        one: the settings of one, as run.json keeps them; a line tells its value last.
        other: those of the other, likewise.
    """
    for section, key, value, found in _differing(one, other):
        if section not in _NOT_TRAINING and key not in PRODUCTS and (section, key) not in _LEAVE_NO_TRACE:
            yield f"[{section}] {key} is {found!r}, not {value!r}"


def _differing(one: Settings, other: Settings) -> Iterator[tuple[str, str, Any, Any]]:
    """Yield section, key and both values of each setting of `one` that `other` has otherwise."""
    for section, values in one.items():
        for key, value in values.items():
            found = other.get(section, {}).get(key)
            if found != value:
                yield section, key, value, found


def fixed_changes(then: Settings, now: Settings) -> Iterator[str]:
    """Yield a line for each setting that has another value, though a training can only go on with the old one.

    Such are those that its checkpoint brings back or its best weights so far belong to: the network and its pictures,
    what it began with, the metrics it counts, and what the best epoch is chosen by.

    Args:
        then: the settings it began with, as run.json keeps them.
        now: those of the training about to go on, likewise.
    """
    fixed = set(_fixed(then, now))
    held = {name: {key: at for key, at in values.items() if (name, key) in fixed} for name, values in then.items()}
    yield from setting_changes(held, now)


def _fixed(then: Settings, now: Settings) -> Iterator[_Key]:
    yield from _BEGINNING
    if now["train"]["best_by"].endswith("loss"):  # the lowest loss so far is no measure of another loss
        yield from _LOSS
    if _computed(then) != _computed(now):  # other columns of the same figures may be shown
        yield from _METRICS
    for name, keys in KEPT.items():
        for key in keys:
            effect, _ = effect_of(facts(SECTIONS[name], key), now["model"]["model"])
            if effect is Effect.WORKS and key not in _ONLY_IN_TRAINING:
                yield name, key


def _computed(settings: Settings) -> tuple[str, ...]:
    return computed_metrics(*(settings.get(name, {}).get(key, ()) for name, key in _METRICS))


def changes_since(then: RunManifest, now: RunManifest) -> Iterator[str]:
    """Yield a line for everything that makes a training go on otherwise than it began.

    That it goes on for more epochs is no change, unless the learning rate follows a schedule of that length.

    Args:
        then: run.json as it lies in the run folder.
        now: of the training about to go on.
    """
    for split, record in then.data.items():
        found = first_difference(record, now.data[split].cases) if split in now.data else "it is missing"
        if found:
            yield f"data of {split}: {found}"
    endless = now.config["train"]["schedule"] == "constant"
    yield from setting_changes(then.config, now.config, but=[("train", "epochs")] if endless else [])
    yield from version_changes(then)
    if then.machine and now.machine:
        yield from now.machine.differences(then.machine)
