"""Keeping run.json true while a training runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from spleenseg.config import Config
from spleenseg.config.rewrite import rewritten
from spleenseg.datasets.folders import SliceFile
from spleenseg.datasets.identity import data_and_case_hashes, patient_overlap
from spleenseg.datasets.slices import SliceSet
from spleenseg.models.machine import MachineRecord
from spleenseg.models.run_folder import DataRecord, RunFolder, RunManifest
from spleenseg.models.run_manifest import InitialRecord
from spleenseg.progress import Reporter
from spleenseg.training.differences import changes_since
from spleenseg.training.precision import resolve_precision
from spleenseg.training.state import TrainState


@dataclass
class RunRecord:
    """run.json of a training that goes on.

    Attributes:
        run: the run folder.
        manifest: what run.json says now.
    """

    run: RunFolder
    manifest: RunManifest

    @classmethod
    def start(
        cls,
        config: Config,
        run: RunFolder,
        splits: Mapping[str, SliceSet],
        network: Any,
        initial: InitialRecord | None = None,
    ) -> RunRecord:
        """Describe a training about to begin; nothing is written before `update`.

        Args:
            config: its config.
            run: its folder.
            splits: what it draws from, by name; "train" among them.
            network: the built model.
            initial: what its weights started from.
        """
        manifest = RunManifest.start(
            config,
            network,
            splits["train"].expectation,
            {name: _describe(slices) for name, slices in splits.items()},
            overlaps({name: slices.files for name, slices in splits.items()}),
        )
        more = {
            "initial": initial,
            "config_text": rewritten(config, config.folder, {}),
            "machine": MachineRecord.here(resolve_precision(config.train.precision), config.train.deterministic),
        }
        return cls(run, manifest.model_copy(update=more))

    def goes_on(self, reporter: Reporter) -> None:
        """Take over when and from what the training it goes on with started; say and record in what it differs."""
        if not self.run.manifest.is_file():
            return
        before = RunManifest.read(self.run.manifest)
        changes = tuple(changes_since(before, self.manifest))
        for line in changes:
            reporter.warn(f"resumed with a change: {line}")
        known = tuple(line for line in before.resumed_with if line not in changes)
        kept = {"created": before.created, "initial": before.initial, "resumed_with": known + changes}
        self.manifest = self.manifest.model_copy(update=kept)

    def update(self, state: TrainState) -> None:
        """Write run.json with the best epoch so far, if there is one."""
        known = self.manifest.best
        if state.best_epoch is not None and (known is None or known.epoch != state.best_epoch):
            figures = state.history[state.best_epoch]
            self.manifest = self.manifest.with_best(state.best_epoch, figures, self.run.best_weights, self.run.root)
        self.manifest.write(self.run.manifest)

    def finish(self) -> None:
        """Write run.json with the time the training ended."""
        self.manifest = self.manifest.with_end()
        self.manifest.write(self.run.manifest)


def overlaps(splits: Mapping[str, Sequence[SliceFile]]) -> dict[str, list[str]]:
    """Return the patients that two splits share, by "split, split"; pairs that share none are left out."""
    pairs = {f"{a}, {b}": patient_overlap(splits[a], splits[b]) for a, b in combinations(splits, 2)}
    return {names: list(shared) for names, shared in pairs.items() if shared}


def _describe(slices: SliceSet) -> DataRecord:
    patients = len({file.patient for file in slices.files})
    whole, cases = data_and_case_hashes(slices.files)
    return DataRecord(slices=len(slices), patients=patients, sha256=whole, cases=cases)
