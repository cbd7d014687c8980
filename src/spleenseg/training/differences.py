"""What is not as a run.json says: of settings, data, versions and the machine; one line each."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from spleenseg.models.run_manifest import DataRecord, RunManifest, version_changes

Settings = Mapping[str, Mapping[str, Any]]


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


def setting_changes(then: Settings, now: Settings, but: Collection[tuple[str, str]] = ()) -> Iterator[str]:
    """Yield a line for each setting that has another value; those of `but`, by section and key, may have one."""
    for section, values in then.items():
        for key, value in values.items():
            found = now.get(section, {}).get(key)
            if found != value and (section, key) not in but:
                yield f"[{section}] {key} is {found!r} now, it was {value!r}"


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
